"""Answers that come later are billed once: when their usage first shows, on whatever route,
to whoever had them made; across workers, restarts and kill -9."""

import asyncio
import json
import signal

from proxy import wait_for
from scripted import Scripted, sse

PRICES = {'gpt-5': (1, 10), 'gpt-4o': (2, 20), 'claude-a': (1, 5), 'gemini-x': (1, 2)}
USAGE = {'input_tokens': 100, 'output_tokens': 10, 'total_tokens': 110}
CHAT_USAGE = {'prompt_tokens': 30, 'completion_tokens': 4, 'total_tokens': 34}
POLLS = 24


class Provider:
    """Keeps objects by path; a test sets what each answers."""

    def __init__(self):
        self.answers = {}
        self.hang = None

    async def handle(self, request, reply):
        answer = self.answers.get(request.method + ' ' + request.target)
        if answer is None:
            await reply.whole(404, [], b'{"error": {"message": "no such thing"}}')
        elif isinstance(answer, bytes):
            kind = 'text/event-stream' if answer.startswith((b'event', b'data')) else \
                'application/octet-stream'
            await reply.whole(200, [('content-type', kind)], answer)
        else:
            await reply.whole(200, [('content-type', 'application/json')],
                              json.dumps(answer).encode())


def billed(house):
    """(caller, operation, input, output, cost) of all records that used tokens."""
    return sorted((record['caller'], record['operation'], record['tokens']['input'],
                   record['tokens']['output'], record['cost_nanousd'])
                  for record in house.records() if record['tokens']['input'])


def house_of(provider, **more):
    return Scripted(provider.handle, ('openai', 'anthropic', 'gemini'), prices=PRICES,
                    settings={'workers': 2, 'quotas': [
                        {'name': 'each', 'limit': '1M tokens', 'per': 'day',
                         'each': 'caller'}]}, **more)


def response(number, status, usage=None):
    return {'id': 'resp_%s' % number, 'object': 'response', 'status': status,
            'model': 'gpt-5', 'usage': usage, 'output': []}


def background(results):
    provider = Provider()
    with house_of(provider) as house:
        other = house.assay.add_key('second')
        house.assay.wait_for_key(other)
        make = {'model': 'gpt-5', 'input': 'x', 'background': True}
        provider.answers = {'POST /v1/responses': response('a', 'queued'),
                            'GET /v1/responses/resp_a': response('a', 'in_progress'),
                            'GET /v1/responses/resp_z': response('z', 'completed', USAGE)}
        house.post('/openai/v1/responses', make)
        house.get('/openai/v1/responses/resp_a')
        house.get('/openai/v1/responses/resp_z')
        results.ok(billed(house) == [], 'nothing is billed before an answer is there, nor '
                   'what was made elsewhere', billed(house))
        provider.answers['GET /v1/responses/resp_a'] = response('a', 'completed', USAGE)

        async def poll():
            await asyncio.gather(*(house.ask('GET', '/openai/v1/responses/resp_a', key=other)
                                   for _ in range(POLLS)))
        asyncio.run(poll())
        got = billed(house)
        results.ok(got == [('tester', 'retrieve', 100, 10, 200000)],
                   '%d racing polls bill an answer once, to who had it made' % POLLS, got)
        results.ok(house.quota('each') == 110, 'the maker\'s quota has it',
                   house.quota('each'))
        provider.answers['GET /v1/responses/resp_a?stream=true'] = sse(
            {'type': 'response.completed', 'response': response('a', 'completed', USAGE)})
        house.get('/openai/v1/responses/resp_a?stream=true')
        results.ok(billed(house) == got, 'and not again as a stream', billed(house))


def resumed(results):
    provider = Provider()
    created = {'type': 'response.created', 'response': response('s', 'queued')}
    done = {'type': 'response.completed', 'response': response('s', 'completed', USAGE)}
    with house_of(provider) as house:
        make = {'model': 'gpt-5', 'input': 'x', 'background': True, 'stream': True}
        provider.answers = {'POST /v1/responses': sse(created),
                            'GET /v1/responses/resp_s?stream=true&starting_after=1': sse(done),
                            'GET /v1/responses/resp_s': response('s', 'completed', USAGE)}
        house.post('/openai/v1/responses', make)
        house.get('/openai/v1/responses/resp_s?stream=true&starting_after=1')
        house.get('/openai/v1/responses/resp_s')
        got = billed(house)
        results.ok(got == [('tester', 'retrieve', 100, 10, 200000)],
                   'a stream that was cut is billed where it is resumed', got)
        provider.answers['POST /v1/responses'] = sse(
            {**created, 'response': response('t', 'queued')},
            {**done, 'response': response('t', 'completed', USAGE)})
        provider.answers['GET /v1/responses/resp_t'] = response('t', 'completed', USAGE)
        house.post('/openai/v1/responses', make)
        house.get('/openai/v1/responses/resp_t')
        got = billed(house)
        results.ok([row[1] for row in got] == ['chat', 'retrieve'],
                   'a stream that shows its end itself is billed there', got)


def restarts(results):
    provider = Provider()
    with house_of(provider) as house:
        for number, number_of_signal in (('a', signal.SIGTERM), ('b', signal.SIGKILL)):
            provider.answers = {
                'POST /v1/responses': response(number, 'queued'),
                'GET /v1/responses/resp_' + number: response(number, 'completed', USAGE)}
            house.post('/openai/v1/responses',
                       {'model': 'gpt-5', 'input': 'x', 'background': True})
            for _ in range(3):
                house.assay.stop(number_of_signal)
                house.assay.start()
                house.get('/openai/v1/responses/resp_' + number)
        got = billed(house)
        results.ok(got == [('tester', 'retrieve', 100, 10, 200000)] * 2,
                   'once across restarts, also after kill -9', got)
        results.ok(house.quota('each') == 220, 'in the quota too', house.quota('each'))


def counted(house, *wanted):
    """The counters of these quotas, once they are as wanted, or after a while: an exchange is
    settled behind its last byte."""
    names = ('each', 'calls', 'roll')[:len(wanted)]
    wait_for(lambda: tuple(house.quota(name) for name in names) == wanted)
    return tuple(house.quota(name) for name in names)


def reserved(results):
    """Until its answer shows a call counts what was reserved for it, also across kill -9: so
    nobody has more made than his quota has room for."""
    provider = Provider()
    make = {'model': 'gpt-5', 'input': 'x', 'background': True, 'max_output_tokens': 300}
    with Scripted(provider.handle, prices=PRICES, settings={'workers': 2, 'quotas': [
            {'name': 'each', 'limit': '1000 output tokens', 'per': 'day', 'each': 'caller'},
            {'name': 'roll', 'limit': '$9', 'per': 'rolling 5h'},
            {'name': 'calls', 'limit': '100 requests', 'per': 'month'}]}) as house:
        statuses = []
        for number in range(5):
            provider.answers = {'POST /v1/responses': response(number, 'queued')}
            statuses.append(house.post('/openai/v1/responses', make).status)
        waiting = counted(house, 900, 3)
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        again = counted(house, 900, 3)
        for number in range(2):
            provider.answers = {'GET /v1/responses/resp_%d' % number:
                                response(number, 'completed', USAGE)}
            house.get('/openai/v1/responses/resp_%d' % number)
        partly = counted(house, 2 * 10 + 300, 3)
        provider.answers = {'POST /v1/responses': response(9, 'queued')}
        more = house.post('/openai/v1/responses', make).status
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        end = counted(house, 620, 4)
        for number in (2, 9):
            provider.answers = {'GET /v1/responses/resp_%d' % number:
                                response(number, 'completed', USAGE)}
            house.get('/openai/v1/responses/resp_%d' % number)
        last = counted(house, 40, 4, 4 * 200000)
    results.ok(statuses == [200] * 3 + [429] * 2 and waiting == (900, 3) and
               again == waiting, 'what is awaited counts what was reserved for it, '
               'also after kill -9', statuses, waiting, again)
    results.ok(partly == (2 * 10 + 300, 3) and more == 200 and end == (620, 4) and
               last == (40, 4, 4 * 200000), 'an answer takes its place, and what it was not '
               'can be used', partly, more, end, last)


def line(number, model, usage):
    return json.dumps({'id': 'batch_req_%d' % number, 'custom_id': str(number), 'response': {
        'status_code': 200, 'request_id': 'r', 'body': {
            'id': 'chatcmpl-%d' % number, 'model': model, 'usage': usage}}, 'error': None})


def batches(results):
    provider = Provider()
    lines = '\n'.join((line(1, 'gpt-5', CHAT_USAGE), line(2, 'gpt-4o', CHAT_USAGE),
                       line(3, 'gpt-5', {**CHAT_USAGE, 'prompt_tokens_details': {
                           'cached_tokens': 0, 'cache_write_tokens': 20}}))).encode() + b'\n'
    zero = {'input_tokens': 0, 'output_tokens': 0, 'total_tokens': 0}
    with house_of(provider) as house:
        batch = {'id': 'batch_1', 'object': 'batch', 'status': 'in_progress', 'usage': zero}
        done = {**batch, 'status': 'completed', 'output_file_id': 'file-1'}
        provider.answers = {'POST /v1/batches': batch, 'GET /v1/batches/batch_1': batch,
                            'GET /v1/files/file-1/content': lines,
                            'GET /v1/files/file-9/content': lines}
        house.post('/openai/v1/batches', {'input_file_id': 'file-0'})
        house.get('/openai/v1/batches/batch_1')
        del done['usage']
        provider.answers['GET /v1/batches/batch_1'] = done
        house.get('/openai/v1/batches/batch_1')
        house.get('/openai/v1/files/file-9/content')
        first = house.get('/openai/v1/files/file-1/content')
        house.get('/openai/v1/files/file-1/content')
        house.get('/openai/v1/batches/batch_1')
        got, record = billed(house), house.record(first)
        parts = sorted((part['model'], part['tokens']['input'], part['within'])
                       for part in record['lines'])
        results.ok(len(got) == 1 and got[0][2:4] == (70, 12) and
                   parts == [('gpt-4o', 30, True), ('gpt-5', 40, True)] and
                   record['tokens']['cache_write'] == 20 and
                   record['service_tier'] == 'batch',
                   'the lines of a batch are billed, each model\'s at its own', got, parts)
        summed = {**done, 'id': 'batch_2', 'usage': USAGE, 'model': 'gpt-5',
                  'output_file_id': 'file-2'}
        provider.answers = {'POST /v1/batches': {**batch, 'id': 'batch_2'},
                            'GET /v1/batches/batch_2': summed,
                            'GET /v1/files/file-2/content': lines}
        house.post('/openai/v1/batches', {'input_file_id': 'file-0'})
        house.get('/openai/v1/batches/batch_2')
        house.get('/openai/v1/files/file-2/content')
        got = billed(house)
        results.ok([row[2:4] for row in got] == [(70, 12), (100, 10)],
                   'a batch that sums up is billed so, and its lines no more', got)
        job = {'id': 'job-3', 'object': 'batch', 'status': 'RUNNING', 'output_file': None}
        provider.answers = {'POST /v1/batch/jobs': job,
                            'GET /v1/batch/jobs/job-3': {**job, 'status': 'SUCCESS',
                                                         'output_file': 'file-3'},
                            'GET /v1/files/file-3/content': lines}
        house.post('/openai/v1/batch/jobs', {'input_files': ['file-0']})
        house.get('/openai/v1/batch/jobs/job-3')
        for _ in range(2):
            house.get('/openai/v1/files/file-3/content')
        got = billed(house)
        results.ok([row[2:4] for row in got] == [(70, 12), (70, 12), (100, 10)],
                   'a job of Mistral is a batch', got)


def others(results):
    provider = Provider()
    message = {'model': 'claude-a', 'usage': {'input_tokens': 7, 'output_tokens': 2,
                                              'service_tier': 'batch'}}
    lines = b''.join(json.dumps({'custom_id': str(n), 'result': {
        'type': 'succeeded', 'message': message}}).encode() + b'\n' for n in range(3)) + \
        b'{"custom_id":"x","result":{"type":"errored"}}\n'
    answer = {'response': {'usageMetadata': {'promptTokenCount': 8, 'totalTokenCount': 11,
                                             'candidatesTokenCount': 3}}}
    cases = (
        ('a batch of messages', 'POST /v1/messages/batches',
         {'id': 'msgbatch_1', 'type': 'message_batch'},
         'GET /v1/messages/batches/msgbatch_1/results', lines, 'anthropic', (21, 6)),
        ('a batch of Gemini', 'POST /v1beta/models/gemini-x:batchGenerateContent',
         {'name': 'batches/b1', 'metadata': {}}, 'GET /v1beta/batches/b1',
         {'name': 'batches/b1', 'done': True, 'response': {'inlinedResponses': {
             'inlinedResponses': [answer, answer]}}}, 'gemini', (16, 6)),
        ('an interaction', 'POST /v1beta/interactions',
         {'id': 'int_1', 'status': 'in_progress'}, 'GET /v1beta/interactions/int_1',
         {'id': 'int_1', 'status': 'completed', 'usage': {
             'total_input_tokens': 9, 'total_output_tokens': 2, 'total_tokens': 11}},
         'gemini', (9, 2)),
        ('a run', 'POST /v1/threads/t1/runs',
         {'id': 'run_1', 'object': 'thread.run', 'status': 'queued', 'usage': None},
         'GET /v1/threads/t1/runs/run_1',
         {'id': 'run_1', 'object': 'thread.run', 'status': 'completed', 'model': 'gpt-4o',
          'usage': CHAT_USAGE}, 'openai', (30, 4)),
        ('a deferred chat', 'POST /v1/chat/completions', {'request_id': 'd1'},
         'GET /v1/chat/deferred-completion/d1',
         {'id': 'x', 'model': 'gpt-4o', 'usage': CHAT_USAGE}, 'openai', (30, 4)),
    )
    for name, make, made, show, shown, family, wanted in cases:
        with house_of(provider) as house:
            provider.answers = {make: made, show: shown}
            method, path = make.split()
            house.settled(method, '/%s%s' % (family, path),
                          {'model': 'gpt-4o', 'background': True, 'deferred': True})
            for _ in range(2):
                house.get('/%s%s' % (family, show.split()[1]))
            got = billed(house)
            results.ok(len(got) == 1 and got[0][2:4] == wanted, name + ' is billed once', got)


def stored(results):
    provider = Provider()
    completion = {'id': 'chatcmpl-1', 'model': 'gpt-4o', 'usage': CHAT_USAGE,
                  'choices': [{'message': {'content': 'hi'}, 'finish_reason': 'stop'}]}
    with house_of(provider) as house:
        provider.answers = {'POST /v1/chat/completions': completion,
                            'GET /v1/chat/completions/chatcmpl-1': completion,
                            'POST /v1/responses': response('p', 'completed', USAGE),
                            'GET /v1/responses/resp_p': response('p', 'completed', USAGE)}
        house.post('/openai/v1/chat/completions', {'model': 'gpt-4o', 'messages': []})
        house.get('/openai/v1/chat/completions/chatcmpl-1')
        house.post('/openai/v1/responses', {'model': 'gpt-5', 'input': 'x'})
        house.get('/openai/v1/responses/resp_p')
        got = billed(house)
        results.ok([row[1] for row in got] == ['chat', 'chat'],
                   'what is stored was billed when it was made', got)


def run(results):
    background(results)
    resumed(results)
    restarts(results)
    reserved(results)
    batches(results)
    others(results)
    stored(results)
