"""The attack and conformance vectors of ../shared/vectors, through the running proxy."""

import base64
import collections
import importlib.util
import json
import os
import re
import threading
import time

import hostile
from proxy import Assay, free_port, shared

FRAMING_TIMEOUT = 0.45   # replay.py takes this much silence for the end of a reply
PROXY_TIMEOUT = '300ms'  # of heads and bodies: below that
SHOWN = 30
# A second request in the same bytes, which replay.py leaves without the credential.
WITHOUT_KEY = re.compile(rb'(Host: [^\r\n]*\r\n)\r\n$')

RELAY_ALL = {'dialects': ['openai'], 'credential': 'env:UPSTREAM_KEY', 'default': True,
             'unknown_paths': 'relay'}


def load_replay():
    spec = importlib.util.spec_from_file_location('replay', shared('vectors', 'replay.py'))
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    replay.HEAD_KEPT = 4096
    return replay


def rows_of(*parts):
    with open(shared('vectors', *parts), encoding='utf-8') as file:
        return [json.loads(line) for line in file]


class FramingRun:
    """One set of request vectors, played through a proxy of its own."""

    def __init__(self, replay, parts, policies=None):
        self.replay = replay
        self.parts = parts
        self.policies = policies or {}
        self.complaints = []
        self.counts = collections.Counter()

    def run(self):
        port = free_port()
        settings = {'workers': 1, 'limits': {'head_timeout': PROXY_TIMEOUT,
                                             'body_timeout': PROXY_TIMEOUT}}
        provider = {**RELAY_ALL, 'url': 'http://127.0.0.1:%d' % port}
        record = self.replay.Record()
        self.replay.start_upstream(port, record)
        with Assay({'openai': provider}, settings) as assay:
            header = 'Authorization: Bearer ' + assay.key
            vectors = self.replay.load_vectors([shared('vectors', *self.parts)], header)
            for vector, steps in vectors:
                if vector['id'] == 'pipe-2':
                    steps = [WITHOUT_KEY.sub(rb'\1' + header.encode() + b'\r\n\r\n', step)
                             for step in steps]
                self.play(vector, steps, assay.port, record)
            if not assay.running():
                self.complaints.append('the proxy died\n' + assay.log_tail())

    def play(self, vector, steps, port, record):
        """Play it; once more with patience where it may just have been slow."""
        want = self.policies.get(vector['id']) or vector['want']
        for pause in (0, 1, 3):
            record.clear()
            reply, closed = self.replay.send(('127.0.0.1', port), steps,
                                             FRAMING_TIMEOUT + pause)
            time.sleep(self.replay.SETTLE + pause)
            entries = record.entries()
            row = self.replay.classify(vector, steps, reply, closed, entries)
            heads = b'\n'.join(entry[1] for entry in entries if entry[0] == 'request')
            if passes(vector['id'], want, row, heads) or row['verdict'] == 'leaked':
                break
        self.judge(vector, want, row, heads)

    def judge(self, vector, want, row, heads):
        self.counts[want, row['verdict']] += 1
        if not passes(vector['id'], want, row, heads):
            self.complaints.append('%s (%s): %s, status %s, closed %s, upstream %d %s' % (
                vector['id'], want, row['verdict'], row['status'], row['closed'],
                row['upstream_reqs'], row['flags']))


def passes(name, want, row, heads):
    """The table of vectors/README.md."""
    status, verdict = row['status'], row['verdict']
    if name in SPECIAL:
        return SPECIAL[name](row, heads.lower())
    if want == 'reject':
        return verdict == 'rejected' and any(400 <= code < 600 for code in status) and \
            401 not in status and row['closed']
    if want == 'accept':
        return verdict == 'forwarded-clean' and all(code < 400 for code in status)
    if want == 'noupgrade':
        return 101 not in status and verdict != 'leaked'
    if want == 'timeout408':
        # The head may be there already; what must not arrive is the end of the body.
        return verdict != 'leaked' and (408 in status or row['closed']) and 200 not in status
    if want == 'either':
        return verdict in ('rejected', 'forwarded-clean')
    if want == 'accept-then-400':
        return bool(status) and status[0] < 300 and row['upstream_reqs'] == 1 and \
            (row['closed'] or any(400 <= code < 500 for code in status[1:]))
    return verdict != 'leaked'


def absent(*names):
    return lambda row, heads: not any(name in heads for name in names) and \
        row['verdict'] in ('forwarded-clean', 'rejected')


def refused(*codes):
    return lambda row, heads: row['upstream_reqs'] == 0 and \
        any(code in row['status'] for code in codes)


SPECIAL = {
    'hop-x-fwd-user': absent(b'x-forwarded-user'),
    'hop-conn-strip-auth': refused(400, 401),
    'hop-conn-strip-host': refused(400),
    'hop-conn-strip-cl': refused(400),
    'hop-te-trailers': absent(b'\nte:'),
    'hop-proxy-auth': absent(b'proxy-authorization'),
    'hop-max-fwd': absent(b'max-forwards'),
    'hop-dup-auth': refused(401, 400),
    'hop-two-keys': refused(401),
    'hop-hopbyhop-upgrade': absent(b'keep-alive', b'proxy-connection'),
    'pipe-2': lambda row, heads: row['verdict'] == 'forwarded-multi' and
    row['upstream_reqs'] == 2 and len(row['status']) == 2,
    'pipe-post-bad': lambda row, heads: row['status'][:1] == [200] and
    row['upstream_reqs'] == 1 and len(row['status']) == 2 and
    400 <= row['status'][1] < 500 and row['closed'],
    'close-then-more': lambda row, heads: row['status'] == [200] and
    row['upstream_reqs'] == 1,
}


def framing(results):
    replay = load_replay()
    policies = {row['id']: row['policy'] for row in rows_of('http11probe', 'policy.jsonl')}
    runs = [('own-http1 requests', FramingRun(replay, ('own-http1', 'requests.jsonl'))),
            ('http11probe', FramingRun(replay, ('http11probe', 'cases.jsonl'), policies))]
    threads = [threading.Thread(target=guarded, args=(run,)) for _, run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, run in runs:
        results.ok(not run.complaints, '%s: %d vectors' % (name, sum(run.counts.values())),
                   *run.complaints)


def guarded(run):
    try:
        run.run()
    except Exception as error:  # a thread's failure is the test's
        run.complaints.append(repr(error))


class Upstream(hostile.Upstream):
    """Answers every request with the same words and keeps the heads."""

    words = b'{"id":"x","object":"chat.completion","model":"m","choices":[],' \
            b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'

    def answer(self, sock, head, body):
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
                     b'Content-Length: %d\r\n\r\n%s' % (len(self.words), self.words))
        return True


# What another program may read as another path.
AMBIGUOUS = re.compile(rb'//|/\.|%2[ef]|%5c|%0|;|\\|/$', re.I)


def paths(results):
    """No spelling of a path reaches a provider without being counted."""
    body = b'{"model":"m","max_tokens":1,"messages":[],"input":"x","prompt":"x"}'
    complaints = []
    with Upstream() as upstream:
        provider = {'url': upstream.url, 'credential': 'env:UPSTREAM_KEY', 'default': True}
        with Assay({'openai': {**provider, 'dialects': ['openai']},
                    'anthropic': {**provider, 'dialects': ['anthropic']}}) as assay:
            forwarded = 0
            for row in rows_of('own-paths', 'paths.jsonl'):
                upstream.heads.clear()
                head = b'POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n' \
                    b'Content-Type: application/json\r\nContent-Length: %d\r\n' \
                    b'Connection: close\r\n\r\n' % (
                        row['target'].encode('utf-8'), assay.key.encode(), len(body))
                reply = hostile.exchange(assay.port, head + body)
                status = hostile.status_of(reply)
                targets = [bytes(item.split(b' ')[1]) for item in upstream.heads]
                forwarded += len(targets)
                odd = any(AMBIGUOUS.search(target.partition(b'?')[0]) for target in targets)
                if odd or len(targets) > 1 or \
                        (not targets and status not in (400, 404, 405)):
                    complaints.append('%r: status %s, reached the provider as %s' % (
                        row['target'], status, targets))
            assay.stop()
            counted = [record for record in assay.export() if record['outcome'] == 'complete']
            if len(counted) != forwarded or \
                    any(record['dialect'] == 'unknown' for record in counted):
                complaints.append('%d forwarded, %d recorded as complete' % (
                    forwarded, len(counted)))
    results.ok(not complaints, 'own-paths: 125 targets', *complaints[:SHOWN])


def headers(results):
    """Identity and rewriting fields of a client never reach the provider."""
    complaints = []
    with Upstream() as upstream:
        provider = {**RELAY_ALL, 'url': upstream.url}
        with Assay({'openai': provider}) as assay:
            rows = rows_of('own-headers', 'spoof.jsonl')
            for row in rows:
                upstream.heads.clear()
                lines = ['%s: %s' % (row['header'], row['value'])] + row.get('extra', [])
                head = 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n' \
                    'Authorization: Bearer %s\r\n%s\r\n\r\n' % (assay.key, '\r\n'.join(lines))
                reply = hostile.exchange(assay.port, head.encode('latin-1'), whole=True)
                complaints += spoof_complaints(row, upstream.heads,
                                               hostile.status_of(reply))
            assay.stop()
            for record in assay.export():
                if record['outcome'] != 'refused' and record['caller'] != 'tester':
                    complaints.append('recorded for caller %s' % record['caller'])
    results.ok(not complaints, 'own-headers: %d spoofs' % len(rows), *complaints[:SHOWN])


CREDENTIALS = {'api-key', 'x-api-key', 'x-goog-api-key', 'authorization', 'x-assay-key'}


def spoof_complaints(row, heads, status):
    name = row['header'].lower().replace('_', '-')
    sent = b'\r\n'.join(heads).decode('latin-1').split('\r\n')
    found = [line for line in sent
             if line.partition(':')[0].strip().lower().replace('_', '-') == name and
             line.partition(':')[2].strip() == row['value']]
    if found:
        return ['%s reached the provider: %s' % (row['id'], found)]
    wanted = (401, 400) if row['header'].lower() in CREDENTIALS else (200, 400)
    return [] if status in wanted else ['%s: status %s' % (row['id'], status)]


def responses(results):
    """A provider's hostile responses end as the set wants, and leave no connection behind."""
    complaints = []
    rows = rows_of('own-http1', 'responses.jsonl')
    for row in rows:
        complaints += hostile.response_case(row, base64.b64decode(row['b64']))
    results.ok(not complaints, 'own-http1 responses: %d' % len(rows), *complaints)


COUNTS = {'prompt_tokens': 'input', 'completion_tokens': 'output'}
NAMED = {
    'no-usage': lambda tokens, doubt: doubt,
    'usage-dup': lambda tokens, doubt: doubt and total_of(tokens) == (100, 100),
    'usage-in-content-first': lambda tokens, doubt: total_of(tokens) == (5, 6),
    'escaped-key': lambda tokens, doubt: total_of(tokens) == (5, 6),
    'surrogate': lambda tokens, doubt: total_of(tokens) == (5, 6),
    'cached>prompt': lambda tokens, doubt: doubt and total_of(tokens) == (10, 1),
    'reasoning': lambda tokens, doubt: total_of(tokens) == (1, 50),
    'trailing': lambda tokens, doubt: doubt,
    'error-200': lambda tokens, doubt: not total_of(tokens)[1],
}


def total_of(tokens):
    return (sum(tokens[name] or 0 for name in ('input', 'cache_read', 'cache_write')),
            sum(tokens[name] or 0 for name in ('output', 'reasoning')))


def replies(results):
    """Counts that are no counts are never believed, and never change a byte."""
    complaints = []
    rows = rows_of('own-usage', 'replies.jsonl')
    with Upstream() as upstream, \
            Assay({'openai': {**RELAY_ALL, 'url': upstream.url}}) as assay:
        ids = []
        for row in rows:
            upstream.words = row['body'].encode()
            ids.append(relayed_reply(assay, upstream.words))
        records = {record['id']: record for record in assay.export_all(filter(None, ids))}
        for row, exchange_id in zip(rows, ids):
            if exchange_id is None:
                complaints.append('%s: the bytes changed' % row['id'])
            elif exchange_id not in records:
                complaints.append('%s: no record' % row['id'])
            elif not believed_rightly(row, records[exchange_id]):
                complaints.append('%s (%s): %s %s %s' % (
                    row['id'], row['want'], records[exchange_id]['tokens'],
                    records[exchange_id]['usage_source'], records[exchange_id]['flags']))
    results.ok(not complaints, 'own-usage: %d replies' % len(rows), *complaints)


def relayed_reply(assay, words):
    """Make one call; its exchange id if the reply came through unchanged."""
    body = '{"model":"m","messages":[]}'
    head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n' \
        'Content-Length: %d\r\nConnection: close\r\n\r\n' % (assay.key, len(body))
    reply_head, _, rest = hostile.exchange(assay.port, (head + body).encode()).partition(
        b'\r\n\r\n')
    found = re.search(rb'assay-exchange-id: *(\S+)', reply_head, re.I)
    if hostile.body_of(reply_head, rest) != words or not found:
        return None
    return found.group(1).decode()


def believed_rightly(row, record):
    tokens = record['tokens']
    doubt = record['usage_source'] != 'reported' or bool(record['flags'])
    if row['id'] in NAMED:
        return NAMED[row['id']](tokens, doubt)
    count = COUNTS.get(row['id'].split('/')[1])
    if row['want'].isdigit():
        return count is None or tokens[count] == int(row['want'])
    if row['want'].startswith('1000'):
        return doubt or count is None or tokens[count] == 1000
    if row['want'].startswith('exact'):
        return doubt or tokens[count] == 9007199254740993
    return doubt or row['want'].startswith(('missing', 'invalid'))


def run(results):
    if not os.path.isdir(shared('vectors')):
        results.skip('attack and conformance vectors', '../shared/vectors is absent')
        return
    for part in (framing, responses, paths, headers, replies):
        part(results)
