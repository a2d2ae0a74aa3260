"""on_exceed: cut. A stream that goes on beyond what a quota has left ends between two events,
with the error event of its dialect, and is recorded as cut."""

import asyncio
import json
import struct
import zlib

from proxy import wait_for
from scripted import Scripted

LIMIT = 600  # tokens; the endless answers below come to far more
EVENTS_MAX = 200_000  # more than fits between provider and client
WORDS = 'all work and no play makes a model dull '


def event(name, value):
    return (('event: %s\n' % name if name else '') + 'data: %s\n\n' % json.dumps(value)).encode()


def message(payload):
    """A contentBlockDelta of an AWS event stream."""
    headers = b''
    for name, value in ((b':event-type', b'contentBlockDelta'), (b':message-type', b'event'),
                        (b':content-type', b'application/json')):
        headers += struct.pack('!B', len(name)) + name + struct.pack('!BH', 7, len(value)) + value
    body = json.dumps(payload).encode()
    front = struct.pack('!II', 16 + len(headers) + len(body), len(headers))
    front += struct.pack('!I', zlib.crc32(front)) + headers + body
    return front + struct.pack('!I', zlib.crc32(front))


# dialect: (path, request, content type, an event with text)
DIALECTS = {
    'openai': ('/openai/v1/chat/completions', {'model': 'm', 'stream': True, 'messages': []},
               'text/event-stream', event(None, {'choices': [{'delta': {'content': WORDS}}]})),
    'responses': ('/openai/v1/responses', {'model': 'm', 'stream': True, 'input': 'x'},
                  'text/event-stream', event('response.output_text.delta', {
                      'type': 'response.output_text.delta', 'delta': WORDS})),
    'anthropic': ('/anthropic/v1/messages', {'model': 'm', 'stream': True, 'messages': []},
                  'text/event-stream', event('content_block_delta', {
                      'type': 'content_block_delta', 'index': 0,
                      'delta': {'type': 'text_delta', 'text': WORDS}})),
    'gemini': ('/gemini/v1beta/models/m:streamGenerateContent?alt=sse', {'contents': []},
               'text/event-stream', event(None, {'candidates': [{'content': {
                   'parts': [{'text': WORDS}]}}]}).replace(b'\n', b'\r\n')),
    'ollama': ('/ollama/api/chat', {'model': 'm', 'messages': []}, 'application/x-ndjson',
               json.dumps({'message': {'content': WORDS}, 'done': False}).encode() + b'\n'),
    'bedrock': ('/bedrock/model/m/converse-stream', {'messages': []},
                'application/vnd.amazon.eventstream',
                message({'delta': {'text': WORDS}, 'contentBlockIndex': 0})),
}


def sse_events(body):
    """(name, data) of each; raises where something is left over."""
    text = body.decode().replace('\r\n', '\n')
    assert text.endswith('\n\n'), text[-80:]
    for block in text[:-2].split('\n\n'):
        lines = dict(line.split(': ', 1) for line in block.split('\n'))
        yield lines.get('event'), lines['data']


def messages(body):
    """(headers, payload) of each message, with good checksums."""
    while body:
        total, size, crc = struct.unpack('!III', body[:12])
        assert crc == zlib.crc32(body[:8]) and len(body) >= total
        assert struct.unpack('!I', body[total - 4:total])[0] == zlib.crc32(body[:total - 4])
        yield body[12:12 + size], body[12 + size:total - 4]
        body = body[total:]


def ending(dialect, body):
    """What a program sees at the end, as far as it is an error."""
    if dialect == 'bedrock':
        headers, payload = list(messages(body))[-1]
        return b'throttlingException' in headers and json.loads(payload)['message']
    if dialect == 'ollama':
        return json.loads(body.decode().splitlines()[-1])['error']
    events = list(sse_events(body))
    if dialect == 'openai':
        assert events.pop() == (None, '[DONE]')
    for _, data in events:
        json.loads(data)
    name, value = events[-1][0], json.loads(events[-1][1])
    if dialect == 'anthropic':
        return name == value['type'] == 'error' and value['error']['message']
    if dialect == 'responses':
        error = value['response']['error']
        assert name == value['type'] == 'response.failed' and value['sequence_number'] > 0
        return error['code'] == 'insufficient_quota' and error['message']
    return value['error']['message']


class Endless:
    """A provider that streams on in pieces of odd sizes until it is left."""

    def __init__(self, count=EVENTS_MAX):
        self.count = count
        self.left = 0  # streams that were cut while they could be sent

    async def __call__(self, request, reply):
        name = next(name for name, row in DIALECTS.items() if request.target == row[0] or
                    row[0].endswith(request.target))
        _, _, kind, one = DIALECTS[name]
        await reply.start(200, [('content-type', kind)])
        sent = 0
        try:
            pending = b''
            for _ in range(self.count):
                pending += one
                size = 1 + (sent * 7919 % (2 * len(one)))
                await reply.piece(pending[:size])
                pending = pending[size:]
                sent += 1
                await asyncio.sleep(0)
            await reply.piece(pending)
            await reply.finish()
        except (ConnectionError, OSError):
            self.left += 1


def house(provider, **quota):
    rule = {'name': 'tight', 'limit': '%d tokens' % LIMIT, 'per': 'day', 'on_exceed': 'cut',
            'contact': 'ops@example.com', **quota}
    return Scripted(provider, dialects=('openai', 'anthropic', 'gemini', 'ollama', 'bedrock'),
                    settings={'quotas': [rule]})


def cut_streams(results):
    for dialect, (path, body, _, _) in DIALECTS.items():
        limits = {'max_tokens': 100} if dialect in ('openai', 'anthropic') else {}
        if dialect == 'responses':
            limits = {'max_output_tokens': 100}
        elif dialect == 'gemini':
            limits = {'generationConfig': {'maxOutputTokens': 100}}
        elif dialect == 'ollama':
            limits = {'options': {'num_predict': 100}}
        elif dialect == 'bedrock':
            limits = {'inferenceConfig': {'maxTokens': 100}}
        with house(Endless()) as scripted:
            reply = scripted.post(path, {**body, **limits})
            record = scripted.record(reply)
            used = scripted.quota('tight')
            refused = scripted.post(path, {**body, **limits})
        try:
            words = ending(dialect, reply.body)
        except (AssertionError, KeyError, ValueError) as failure:
            words = repr(failure)
        results.ok(reply.status == 200 and not reply.cut and words and
                   words.startswith("quota 'tight' is used up") and 'ops@example.com' in words,
                   '%s: ends whole, with its own error event' % dialect, words,
                   reply.body[-300:])
        results.ok(record['outcome'] == record['fault'] == 'quota_cut' and
                   record['usage_source'] in ('partial', 'estimated') and
                   0.8 * LIMIT <= used <= 1.1 * LIMIT, '%s: recorded as cut' % dialect, record,
                   used)
        results.ok(refused.status in (400, 429), '%s: the next call is refused' % dialect,
                   refused.status)


def others_pass(results):
    """Without on_exceed: cut, or with room, a stream goes to its end."""
    path, body, _, one = DIALECTS['openai']
    count = 200
    for name, quota in (('by default', {'on_exceed': 'finish'}),
                        ('with room', {'limit': '1M tokens'})):
        with house(Endless(count), **quota) as scripted:
            reply = scripted.post(path, {**body, 'max_tokens': 100})
            record = scripted.record(reply)
        results.ok(reply.status == 200 and reply.body == one * count and
                   record['outcome'] == 'complete', '%s a stream ends by itself' % name,
                   len(reply.body), record)


def upstream_is_left(results):
    provider = Endless()
    path, body, _, _ = DIALECTS['anthropic']
    with house(provider) as scripted:
        scripted.post(path, {**body, 'max_tokens': 100})
        wait_for(lambda: provider.left)
    results.ok(provider.left == 1, 'the provider is left, too', provider.left)


def run(results):
    for case in (cut_streams, others_pass, upstream_is_left):
        case(results)
