"""Ways around a quota: other fields, paths, dialects, spellings and framings, bodies that two
readers read differently, bounds that are not what they seem. None reaches the provider beyond
the limit, and whatever does is counted."""

import gzip
import json
import os
import re
import signal

import hostile
from proxy import PATIENCE, shared
from scripted import Scripted

DIALECTS = ('openai', 'anthropic', 'gemini', 'bedrock', 'cohere', 'ollama')
CHAT = '/openai/v1/chat/completions'
SPENT = 5  # output tokens of every answer


class Provider:
    """Answers any path with the usage of every dialect, and counts."""

    def __init__(self):
        self.reached = []

    async def handle(self, request, reply):
        self.reached.append('%s %s' % (request.method, request.target))
        await reply.whole(200, [('content-type', 'application/json')], json.dumps({
            'id': 'x', 'model': 'm', 'choices': [], 'usage': {
                'prompt_tokens': 1, 'completion_tokens': SPENT, 'total_tokens': 1 + SPENT,
                'input_tokens': 1, 'output_tokens': SPENT, 'inputTokens': 1,
                'outputTokens': SPENT, 'tokens': {'input_tokens': 1, 'output_tokens': SPENT}},
            'usageMetadata': {'promptTokenCount': 1, 'candidatesTokenCount': SPENT,
                              'totalTokenCount': 1 + SPENT},
            'prompt_eval_count': 1, 'eval_count': SPENT, 'done': True}).encode())


def house_of(provider, quotas, **settings):
    return Scripted(provider.handle, DIALECTS,
                    settings={'workers': 2, 'quotas': quotas, **settings})


def raw(target, body=b'', method='POST', version='1.1', fields=(), length=True,
        kind='application/json', last=True):
    """A request as bytes; `body` may be what is to be JSON."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = ['%s %s HTTP/%s' % (method, target, version), 'Host: h', *fields]
    lines += ['Connection: close'] if last else []
    lines += ['Content-Type: ' + kind] if kind else []
    lines += ['Content-Length: %d' % len(body)] if length else []
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


def send(house, request, silence=PATIENCE):
    """Statuses of all replies on one connection."""
    reply = hostile.exchange(house.assay.port, request, silence=silence)
    house.ids += [found.decode() for found in re.findall(rb'assay-exchange-id: *(\S+)', reply)]
    return [int(line.split(b' ')[1]) for line in reply.split(b'\r\n')
            if line.startswith(b'HTTP/1.1 ') or line.startswith(b'HTTP/1.0 ')]


def asked(**more):
    return {'model': 'm', 'messages': [{'role': 'user', 'content': 'hi'}], 'max_tokens': 9,
            **more}


def spellings(key, other):
    """(what it is, the request): each would cost something."""
    bearer = ['Authorization: Bearer ' + key]
    body = json.dumps(asked()).encode()
    for name in ('x-api-key', 'api-key', 'x-goog-api-key', 'x-assay-key'):
        yield 'key in ' + name, raw(CHAT, body, fields=['%s: %s' % (name, key)])
    yield 'two keys', raw(CHAT, body, fields=[*bearer, 'x-api-key: ' + key])
    yield 'scheme in small letters', raw(CHAT, body, fields=['authorization: bearer  ' + key])
    yield 'another key of his', raw(CHAT, body, fields=['Authorization: Bearer ' + other])
    yield 'HTTP/1.0', raw(CHAT, body, version='1.0', fields=bearer)
    yield 'a claimed retry', raw(CHAT, body, fields=[*bearer, 'x-stainless-retry-count: 1'])
    yield 'claims of another', raw(CHAT, asked(user='boss', metadata={'user_id': 'boss'}), fields=[
        *bearer, 'x-forwarded-user: boss', 'x-assay-caller: boss', 'openai-organization: other'])
    yield 'compressed', raw(CHAT, gzip.compress(body), fields=[
        *bearer, 'Content-Encoding: gzip'])
    yield 'chunked', raw(CHAT, b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body), length=False,
                         fields=[*bearer, 'Transfer-Encoding: chunked'])
    yield 'expecting', raw(CHAT, body, fields=[*bearer, 'Expect: 100-continue'])
    yield 'pipelined', raw(CHAT, body, fields=bearer, last=False) * 2 + raw(
        CHAT, body, fields=bearer)
    for method in ('GET', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'):
        yield method, raw(CHAT, body, method=method, fields=bearer)
    for target in ('/v1/chat/completions', '/openai/chat/completions', CHAT + '/', CHAT + '?a=1',
                   '/openai//v1/chat/completions', '/openai/v1/chat%2fcompletions',
                   '/openai/v1/./chat/completions', '/openai/v1/x/../chat/completions',
                   '/openai/V1/Chat/Completions', '/OPENAI/v1/chat/completions',
                   'http://h' + CHAT, '/openai/deployments/m/chat/completions?api-version=1',
                   '/anthropic/v1/messages', '/anthropic/v1/complete', '/v1/messages',
                   '/openai/v1/completions', '/openai/v1/responses', '/openai/v1/embeddings',
                   '/openai/v1/images/generations', '/openai/v1/audio/speech',
                   '/openai/v1/audio/transcriptions', '/openai/v1/batches',
                   '/openai/v1/fine_tuning/jobs', '/openai/v1/threads/t/runs',
                   '/anthropic/v1/messages/batches', '/openai/v1/videos', '/openai/v1/unknown',
                   '/gemini/v1beta/models/m:generateContent',
                   '/gemini/v1beta/models/m:streamGenerateContent?alt=sse',
                   '/gemini/v1beta/models/m:embedContent',
                   '/gemini/v1beta/models/m:batchGenerateContent',
                   '/bedrock/model/m/converse', '/bedrock/model/m/invoke',
                   '/bedrock/model/m/converse-stream', '/cohere/v2/chat', '/cohere/v2/embed',
                   '/ollama/api/chat', '/ollama/api/generate', '/ollama/api/embed'):
        yield target, raw(target, body, fields=bearer)
    yield 'a WebSocket', raw('/openai/v1/responses', method='GET', kind=None, length=False, last=False, fields=[
        *bearer, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='])


# It is opened, and costs nothing until it asks for a response.
OPENS = ('a WebSocket',)


def used_up(results):
    """One request a month, which he has made: none of these is another."""
    provider = Provider()
    quotas = [{'name': 'one', 'each': 'caller', 'limit': '1 requests', 'per': 'month'}]
    with house_of(provider, quotas) as house:
        other = house.assay.add_key()
        house.assay.wait_for_key(other)
        first = send(house, raw(CHAT, asked(), fields=['Authorization: Bearer ' + house.assay.key]))
        used, wrong, count = house.quota('one'), [], 0
        for what, request in spellings(house.assay.key, other):
            provider.reached.clear()
            statuses = send(house, request, 1 if what in OPENS else PATIENCE)
            count += 1
            if what not in OPENS and (provider.reached or 200 in statuses):
                wrong.append('%s: %s, reached as %s' % (what, statuses, provider.reached))
        after = house.quota('one')
    results.ok(first == [200] and used == after == 1 and not wrong,
               'used up stays used up: %d other ways to ask' % count, first, used, after, *wrong)


def bounds(results):
    """What a call may come to is reserved, however its bound is written; else it is refused."""
    provider = Provider()
    limit = 10000
    beyond = (
        (CHAT, asked(n=9, max_tokens=2000)), (CHAT, asked(max_tokens=2**31 - 1)),
        (CHAT, asked(max_tokens=2**63)), (CHAT, asked(max_completion_tokens=20000)),
        (CHAT, b'{"model":"m","messages":[],"n":1e9,"max_tokens":10}'),
        (CHAT, b'{"model":"m","messages":[],"max_tokens":1e9}'),
        ('/openai/v1/completions', {'model': 'm', 'prompt': 'x', 'max_tokens': 9, 'best_of': 2000}),
        ('/openai/v1/responses', {'model': 'm', 'input': 'x', 'max_output_tokens': 20000}),
        ('/anthropic/v1/messages', asked(max_tokens=20000)),
        ('/gemini/v1beta/models/m:generateContent', {
            'contents': [], 'generationConfig': {'maxOutputTokens': 6000, 'candidateCount': 2}}),
        ('/bedrock/model/m/converse', {'messages': [], 'inferenceConfig': {'maxTokens': 20000}}),
        ('/cohere/v2/chat', asked(max_tokens=20000)),
        ('/ollama/api/chat', {'model': 'm', 'messages': [], 'options': {'num_predict': 20000}}))
    double = (b'{"model":"m","messages":[],"max_tokens":9,"max_tokens":20000}',
              b'{"model":"m","messages":[],"max_tokens":9,"max\\u005ftokens":20000}',
              b'{"model":"m","messages":[],"n":1,"n":20000}',
              b'{"model":"m","model":"dear","messages":[]}',
              b'{"model":"m","messages":[]}{"model":"m","max_tokens":20000}')
    odd = (asked(max_tokens=-1), asked(max_tokens=0), asked(max_tokens=None),
           asked(max_tokens='20000'), asked(n=0), asked(n=-5), asked(n=None),
           asked(max_tokens=[20000]), asked(stream='true'))
    with house_of(provider, [{'name': 'out', 'limit': '%d output tokens' % limit,
                              'per': 'month'}]) as house:
        bearer = ['Authorization: Bearer ' + house.assay.key]
        refused = [(path, send(house, raw(path, body, fields=bearer))) for path, body in beyond]
        doubled = [send(house, raw(CHAT, body, fields=bearer)) for body in double]
        reached = list(provider.reached)
        fault_of = {record['id']: record['fault'] for record in house.records()}
        faults = [fault_of[one] for one in house.ids[:len(beyond)]]
        passed = [send(house, raw(CHAT, body, fields=bearer)) for body in odd]
        counted = house.quota('out')
        went = len(provider.reached) - len(reached)
    results.ok(faults == ['quota_exceeded'] * len(beyond) and not reached and
               all(statuses in ([429], [402], [400]) for _, statuses in refused),
               'more than is left is refused in every dialect, however it is written',
               *zip(refused, faults), reached)
    results.ok(doubled == [[400]] * len(double), 'what stands there twice is refused', doubled)
    results.ok(counted == went * SPENT and all(s in ([200], [400]) for s in passed),
               'bounds that are none: refused, or let through and counted', passed, counted, went)


def vectors(results):
    """../shared/vectors/own-quota, through the proxy."""
    path = shared('vectors', 'own-quota', 'bodies.jsonl')
    if not os.path.exists(path):
        results.skip('own-quota', 'there is no ../shared')
        return
    with open(path, encoding='utf-8') as file:
        rows = [json.loads(line) for line in file]
    wanted = {'n128': 429, 'n-float': 429, 'max-huge': 429, 'max-i64': 429, 'model-esc': 400,
              'model-null': 400, 'model-long': 400, 'model-alias': 400, 'array': 400,
              'trailing': 400, 'nan': 400}  # 'jsonl-batch' is an upload, which is free
    least = {'both-max': 100000}  # output tokens that have to be reserved
    provider, wrong = Provider(), []
    with house_of(provider, [{'name': 'out', 'limit': '200k output tokens',
                              'per': 'month'}]) as house:
        for row in rows:
            before = len(provider.reached), house.quota('out')
            statuses = send(house, raw('/openai' + row['path'], row['body'].encode(), fields=[
                'Authorization: Bearer ' + house.assay.key], kind=row['content_type']))
            record = next(one for one in house.records() if one['id'] == house.ids[-1])
            went = len(provider.reached) - before[0]
            if statuses != [wanted.get(row['id'], 200)] or went != (statuses == [200]) or \
                    house.quota('out') - before[1] != (record['tokens']['output'] or 0) or \
                    (record['reserved_output'] or 0) < least.get(row['id'], 0) or \
                    record['caller'] != 'tester':
                wrong.append('%s (%s): %s, %d went, %s' % (
                    row['id'], row['want'], statuses, went, record))
    results.ok(not wrong, 'own-quota: %d bodies' % len(rows), *wrong)


def models(results):
    """A quota of one model is met by every way to name it."""
    provider = Provider()
    with house_of(provider, [{'name': 'dear', 'for': {'model': 'dear-*'}, 'limit': '1 requests',
                              'per': 'month'}]) as house:
        bearer = ['Authorization: Bearer ' + house.assay.key]
        first = send(house, raw(CHAT, asked(model='dear-1'), fields=bearer))
        provider.reached.clear()
        statuses = [send(house, raw(target, body, fields=[*bearer, *more])) for target, body, more in (
            (CHAT, asked(model='DEAR-1'), ()),
            (CHAT, b'{"model":"de\\u0061r-1","messages":[]}', ()),
            (CHAT, b'\n {"messages":[],"x":{"model":"m"},"model" : "dear-1"}', ()),
            (CHAT, gzip.compress(b'{"messages":[],"model":"dear-1"}'),
             ('Content-Encoding: gzip',)),
            (CHAT, {'messages': [{'role': 'user', 'content': 'x' * 300000}], 'model': 'dear-2'}, ()),
            ('/gemini/v1beta/models/dear-1:generateContent', {'contents': [], 'model': 'm'}, ()),
            ('/gemini/v1beta/models/d%65ar-1:generateContent', {'contents': []}, ()),
            ('/bedrock/model/dear-1/converse', {'messages': []}, ()),
            ('/openai/deployments/dear-1/chat/completions?api-version=1', {'messages': []}, ()))]
        others = send(house, raw(CHAT, asked(model='cheap'), fields=bearer))
    results.ok(first == others == [200] and provider.reached == ['POST /v1/chat/completions'] and
               all(s in ([429], [404], [400]) for s in statuses) and statuses[:6] == [[429]] * 6,
               'a model by any spelling is the same model', first, statuses, others,
               provider.reached)


def reloads(results):
    """Renaming teams, moving callers and rotating keys gives nobody a second limit."""
    provider = Provider()
    quotas = [{'name': 'one', 'each': 'caller', 'limit': '1 requests', 'per': 'month'}]
    with house_of(provider, quotas) as house:
        key = house.assay.key

        def again(key):
            return send(house, raw(CHAT, asked(), fields=['Authorization: Bearer ' + key]))

        first = again(key)
        number = house.records()[-1]['key']
        house.assay.config['teams'] = {'renamed': {'callers': ['tester']}, 'tests': {}}
        house.assay.reload()
        renamed = again(key)
        rotated = house.assay.run('keys', 'rotate', number, '--grace', '1h').strip().split()[0]
        moved = house.assay.run('keys', 'add', '--team', 'renamed', '--caller', 'tester').strip()
        for new in (rotated, moved):
            house.assay.wait_for_key(new)
        statuses = [renamed, again(rotated), again(moved), again(key)]
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        statuses.append(again(moved))
    results.ok(first == [200] and statuses == [[429]] * 5 and len(provider.reached) == 1,
               'new teams, new keys and a restart give no second limit', first, statuses)


def run(results):
    for case in (used_up, bounds, vectors, models, reloads):
        case(results)
