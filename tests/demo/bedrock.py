"""AWS's side of the demo provider: Converse, InvokeModel and their streams, for Claude's
models; requests may be signed."""

import base64
import json
import struct
import zlib

import anthropic
import text
from answer import Answer, disjoint

ACCESS_KEY_ID = 'AKIADEMO'   # signs with the demo's credential as its secret
REGION = 'us-east-1'
# An ARN's last part is the profile's own name, by which it is known.
PATH = r'/model/(?:arn:[^/]+/)?(?P<model>[^/]+)/'


def frame(payload, **headers):
    """One message of application/vnd.amazon.eventstream."""
    named = {':message-type': 'event', ':content-type': 'application/json',
             **{':' + name.replace('_', '-'): value for name, value in headers.items()}}
    block = b''.join(struct.pack('>B%dsBH%ds' % (len(name), len(value)), len(name),
                                 name.encode(), 7, len(value), value.encode())
                     for name, value in named.items())
    body = json.dumps(payload).encode()
    prelude = struct.pack('>II', 16 + len(block) + len(body), len(block))
    whole = prelude + struct.pack('>I', zlib.crc32(prelude)) + block + body
    return whole + struct.pack('>I', zlib.crc32(whole))


def converse(ask):
    turns = ask.body.get('messages') or []
    limit = (ask.body.get('inferenceConfig') or {}).get('maxTokens') or 0
    words = text.words_of(text.strings((turns or [{}])[-1].get('content')), ask.script.words)
    pieces = words[:limit] if limit else words
    reason = 'max_tokens' if len(pieces) < len(words) else 'end_turn'
    total = text.input_tokens(turns, ask.body.get('system'))
    cached = min(max(ask.script.cached, 0), total)
    usage = {'inputTokens': total - cached, 'outputTokens': len(pieces),
             'totalTokens': total + len(pieces), 'cacheReadInputTokens': cached,
             'cacheWriteInputTokens': 0}
    document = {'output': {'message': {'role': 'assistant', 'content': [
        {'text': ''.join(pieces)}]}}, 'stopReason': reason, 'usage': usage,
        'metrics': {'latencyMs': 5}}
    return Answer('bedrock.converse', 'bedrock-demo%08d' % ask.number, ask.model, document,
                  converse_events(pieces, reason, usage), usage,
                  disjoint(total, cached, 0, len(pieces), 0),
                  content_type='application/vnd.amazon.eventstream')


def converse_events(pieces, reason, usage):
    deltas = [frame({'contentBlockIndex': 0, 'delta': {'text': piece}, 'p': 'abcdefgh'[:i % 8]},
                    event_type='contentBlockDelta') for i, piece in enumerate(pieces)]
    return [frame({'role': 'assistant'}, event_type='messageStart'), *deltas,
            frame({'contentBlockIndex': 0}, event_type='contentBlockStop'),
            frame({'stopReason': reason}, event_type='messageStop'),
            frame({'usage': usage, 'metrics': {'latencyMs': 5}}, event_type='metadata')]


def data_of(event):
    lines = event.decode().splitlines()
    return next(json.loads(line[6:]) for line in lines if line.startswith('data: '))


def invoke(ask):
    """Claude's own format; the model is in the path."""
    answer = anthropic.messages({**ask.body, 'model': ask.model}, ask.script, ask.number)
    counts = {'inputTokenCount': answer.usage['input_tokens'],
              'outputTokenCount': answer.usage['output_tokens'],
              'cacheReadInputTokenCount': answer.usage['cache_read_input_tokens'],
              'cacheWriteInputTokenCount': answer.usage['cache_creation_input_tokens']}
    events = [data_of(event) for event in answer.events]
    events[-1]['amazon-bedrock-invocationMetrics'] = {
        **counts, 'invocationLatency': 9, 'firstByteLatency': 4}
    answer.events = [frame({'bytes': base64.b64encode(json.dumps(event).encode()).decode()},
                           event_type='chunk') for event in events]
    answer.api = 'bedrock.invoke'
    answer.id = 'bedrock-demo%08d' % ask.number
    answer.content_type = 'application/vnd.amazon.eventstream'
    answer.fields = [('x-amzn-bedrock-input-token-count', str(counts['inputTokenCount'])),
                     ('x-amzn-bedrock-output-token-count', str(counts['outputTokenCount']))]
    return answer


def count_tokens(ask):
    turns = ((ask.body.get('input') or {}).get('converse') or {}).get('messages') or []
    return {'inputTokens': text.input_tokens(turns)}


def wants_stream(ask):
    return ask.action.endswith('stream')


def error(_, words, __):
    return {'message': words}


def error_type(status):
    """The field that names the exception."""
    names = {400: 'ValidationException', 403: 'AccessDeniedException',
             404: 'ResourceNotFoundException', 429: 'ThrottlingException'}
    return 'x-amzn-errortype', names.get(status, 'InternalServerException')


def stream_error(words):
    return frame({'message': words}, message_type='exception',
                 exception_type='modelStreamErrorException')


ROUTES = [('POST', PATH + '(?P<action>converse|converse-stream)', converse),
          ('POST', PATH + '(?P<action>invoke|invoke-with-response-stream)', invoke),
          ('POST', PATH + '(?P<action>count-tokens)', count_tokens)]
