"""OpenAI's side of the demo provider: chat, completions, responses, embeddings, models."""

import base64
import json
import struct
import time

import text
from answer import Answer, disjoint, sse

CACHE_FROM = 1024    # a prompt of this many tokens is half read from the cache ...
CACHE_STEP = 128     # ... in steps of this many
DIMENSIONS = 256


def counts(body, script, total_input, output):
    """(cached, reasoning) of a call."""
    cached = script.cached
    if cached < 0:
        half = total_input // 2 // CACHE_STEP * CACHE_STEP
        cached = half if total_input >= CACHE_FROM else 0
    reasoning = script.reasoning
    if reasoning < 0:
        reasoning = 64 if text.thinks(body.get('model') or '') and output else 0
    return min(cached, total_input), reasoning


def chat_usage(total_input, cached, output, reasoning):
    return {'prompt_tokens': total_input, 'completion_tokens': output,
            'total_tokens': total_input + output,
            'prompt_tokens_details': {'cached_tokens': cached, 'audio_tokens': 0},
            'completion_tokens_details': {
                'reasoning_tokens': reasoning, 'audio_tokens': 0,
                'accepted_prediction_tokens': 0, 'rejected_prediction_tokens': 0}}


def content_text(content):
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return ''.join(part.get('text') or '' for part in parts if isinstance(part, dict))


def limited(pieces, limit):
    """(pieces, cut?) under a limit of output tokens."""
    return (pieces[:limit], True) if limit and len(pieces) > limit else (pieces, False)


def arguments_for(schema):
    """The least arguments that a tool's schema asks for."""
    samples = {'string': 'Paris', 'number': 1, 'integer': 1, 'boolean': True,
               'array': [], 'object': {}}
    properties = schema.get('properties') or {}
    return {name: samples.get((properties.get(name) or {}).get('type'), 'Paris')
            for name in schema.get('required') or []}


def chat_tool(body, prompt):
    """(name, arguments) of the tool to call, or None."""
    functions = [tool['function'] for tool in body.get('tools') or []
                 if tool.get('type') == 'function']
    asked = text.tool_asked(prompt)
    if asked and any(function['name'] == asked[0] for function in functions):
        return asked
    if functions and body.get('tool_choice') not in (None, 'auto', 'none'):
        function = functions[0]
        return function['name'], json.dumps(arguments_for(function.get('parameters') or {}))
    return None


def chat(body, script, number):
    messages = body.get('messages') or []
    last = messages[-1] if messages else {}
    prompt = content_text(last.get('content'))
    tool = chat_tool(body, prompt) if last.get('role') == 'user' else None
    limit = body.get('max_completion_tokens') or body.get('max_tokens') or 0
    choices = body.get('n') or 1
    if tool:
        pieces, cut = [tool[1][:8], tool[1][8:]] if len(tool[1]) > 8 else [tool[1]], False
    else:
        pieces, cut = limited(text.words_of(prompt, script.words), limit)
    total_input = text.input_tokens(messages, body.get('tools'))
    cached, reasoning = counts(body, script, total_input, len(pieces))
    output = len(pieces) * choices + reasoning
    usage = chat_usage(total_input, cached, output, reasoning)
    reply = ChatReply(body, number, pieces, tool, cut, choices)
    return Answer('openai.chat', reply.id, reply.model, reply.document(usage),
                  reply.events(usage), usage,
                  disjoint(total_input, cached, 0, output, reasoning))


class ChatReply:
    """A chat completion as a document and as chunks."""

    def __init__(self, body, number, pieces, tool, cut, choices):
        self.id = 'chatcmpl-demo%08d' % number
        self.model = body.get('model') or 'demo'
        self.pieces = pieces
        self.tool = tool
        self.choices = choices
        self.reason = 'tool_calls' if tool else 'length' if cut else 'stop'
        self.call_id = 'call_demo%08d' % number
        self.usage_asked = (body.get('stream_options') or {}).get('include_usage') is True
        self.created = int(time.time())

    def message(self):
        message = {'role': 'assistant', 'content': None if self.tool else ''.join(self.pieces),
                   'refusal': None, 'annotations': []}
        if self.tool:
            message['tool_calls'] = [{
                'id': self.call_id, 'type': 'function',
                'function': {'name': self.tool[0], 'arguments': self.tool[1]}}]
        return message

    def document(self, usage):
        return {'id': self.id, 'object': 'chat.completion', 'created': self.created,
                'model': self.model,
                'choices': [{'index': i, 'message': self.message(), 'logprobs': None,
                             'finish_reason': self.reason} for i in range(self.choices)],
                'usage': usage, 'service_tier': 'default', 'system_fingerprint': 'fp_demo'}

    def chunk(self, choices, usage=None):
        chunk = {'id': self.id, 'object': 'chat.completion.chunk', 'created': self.created,
                 'model': self.model, 'service_tier': 'default',
                 'system_fingerprint': 'fp_demo', 'choices': choices}
        if self.usage_asked:
            chunk['usage'] = usage
        return sse(chunk)

    def delta(self, index, delta, reason=None):
        return self.chunk([{'index': index, 'delta': delta, 'logprobs': None,
                            'finish_reason': reason}])

    def piece(self, piece, first):
        if not self.tool:
            return {'content': piece}
        call = {'index': 0, 'function': {'arguments': piece}}
        if first:
            call = {'index': 0, 'id': self.call_id, 'type': 'function',
                    'function': {'name': self.tool[0], 'arguments': piece}}
        return {'tool_calls': [call]}

    def events(self, usage):
        events = []
        for index in range(self.choices):
            events.append(self.delta(index, {'role': 'assistant', 'content':
                                             None if self.tool else '', 'refusal': None}))
            events += [self.delta(index, self.piece(piece, i == 0))
                       for i, piece in enumerate(self.pieces)]
            events.append(self.delta(index, {}, self.reason))
        if self.usage_asked:
            events.append(self.chunk([], usage))
        return events + [sse('[DONE]')]


def completions(body, script, number):
    prompt = text.strings(body.get('prompt'))
    pieces, cut = limited(text.words_of(prompt, script.words), body.get('max_tokens') or 16)
    total_input = max(1, text.tokens(prompt))
    usage = {'prompt_tokens': total_input, 'completion_tokens': len(pieces),
             'total_tokens': total_input + len(pieces)}
    frame = {'id': 'cmpl-demo%08d' % number, 'object': 'text_completion',
             'created': int(time.time()), 'model': body.get('model') or 'demo'}
    reason = 'length' if cut else 'stop'
    asked = (body.get('stream_options') or {}).get('include_usage') is True

    def choice(piece, finish):
        return [{'text': piece, 'index': 0, 'logprobs': None, 'finish_reason': finish}]

    extra = {'usage': None} if asked else {}
    events = [sse({**frame, 'choices': choice(piece, None), **extra}) for piece in pieces]
    events.append(sse({**frame, 'choices': choice('', reason), **extra}))
    if asked:
        events.append(sse({**frame, 'choices': [], 'usage': usage}))
    document = {**frame, 'choices': choice(''.join(pieces), reason), 'usage': usage}
    return Answer('openai.completions', frame['id'], frame['model'], document,
                  events + [sse('[DONE]')], usage,
                  disjoint(total_input, 0, 0, len(pieces), 0))


def embeddings(body, script, number):
    value = body.get('input')
    texts = value if isinstance(value, list) and value and isinstance(value[0], str) else [value]
    total_input = sum(len(item) if isinstance(item, list) else max(1, text.tokens(item or ''))
                      for item in texts)
    size = body.get('dimensions') or DIMENSIONS

    def vector(item):
        seed = text.tokens(text.strings(item))
        numbers = [((seed + 7 * i) % 200 - 100) / 1600 for i in range(size)]
        if body.get('encoding_format') == 'base64':
            return base64.b64encode(struct.pack('<%df' % size, *numbers)).decode()
        return numbers

    usage = {'prompt_tokens': total_input, 'total_tokens': total_input}
    document = {'object': 'list', 'model': body.get('model') or 'demo', 'usage': usage,
                'data': [{'object': 'embedding', 'index': i, 'embedding': vector(item)}
                         for i, item in enumerate(texts)]}
    return Answer('openai.embeddings', 'embd-demo%08d' % number, document['model'], document,
                  None, usage, disjoint(total_input, 0, 0, 0, 0))


def models():
    names = ['gpt-5', 'gpt-4o', 'gpt-4o-mini', 'text-embedding-3-small']
    return {'object': 'list', 'data': [{'id': name, 'object': 'model', 'created': 1700000000,
                                        'owned_by': 'demo'} for name in names]}


def error(status, words):
    kinds = {401: 'invalid_request_error', 404: 'invalid_request_error',
             429: 'rate_limit_exceeded'}
    return {'error': {'message': words, 'param': None, 'code':
                      'invalid_api_key' if status == 401 else None,
                      'type': kinds.get(status, 'server_error' if status >= 500
                                        else 'invalid_request_error')}}
