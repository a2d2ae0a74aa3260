"""Cohere's side of the demo provider: chat, embed and rerank of its second version."""

import text
from answer import Answer, disjoint, sse

DIMENSIONS = 256


def usage_of(total, billed, output, cached):
    return {'billed_units': {'input_tokens': billed, 'output_tokens': output},
            'tokens': {'input_tokens': total, 'output_tokens': output},
            'cached_tokens': cached}


def chat(ask):
    messages = ask.body.get('messages') or [{}]
    limit = ask.body.get('max_tokens') or 0
    words = text.words_of(text.strings(messages[-1].get('content')), ask.script.words)
    pieces = words[:limit] if limit else words
    reason = 'MAX_TOKENS' if len(pieces) < len(words) else 'COMPLETE'
    total = text.input_tokens(messages, ask.body.get('tools'))
    cached = min(max(ask.script.cached, 0), total)
    billed = total - 3 * len(messages)  # the template's own tokens are free
    usage = usage_of(total, billed, len(pieces), cached)
    answer_id = 'cohere-demo%08d' % ask.number
    message = {'role': 'assistant', 'content': [{'type': 'text', 'text': ''.join(pieces)}]}
    return Answer('cohere.chat', answer_id, ask.body.get('model'),
                  {'id': answer_id, 'finish_reason': reason, 'message': message,
                   'usage': usage}, events(answer_id, pieces, reason, usage), usage,
                  disjoint(total, cached, 0, len(pieces), 0))


def events(answer_id, pieces, reason, usage):
    def event(kind, **members):
        return sse({'type': kind, **members}, kind)

    deltas = [event('content-delta', index=0, delta={'message': {'content': {'text': piece}}})
              for piece in pieces]
    return [event('message-start', id=answer_id, delta={'message': {
        'role': 'assistant', 'content': [], 'tool_plan': '', 'tool_calls': [],
        'citations': []}}),
        event('content-start', index=0, delta={'message': {'content': {
            'type': 'text', 'text': ''}}}), *deltas, event('content-end', index=0),
        event('message-end', id=answer_id, delta={'finish_reason': reason, 'usage': usage}),
        sse('[DONE]')]


def embed(ask):
    texts = ask.body.get('texts') or []
    total = sum(text.tokens(item) for item in texts)
    answer_id = 'cohere-demo%08d' % ask.number
    meta = {'api_version': {'version': '2'}, 'billed_units': {'input_tokens': total}}
    return Answer('cohere.embed', answer_id, ask.body.get('model'),
                  {'id': answer_id, 'texts': texts, 'meta': meta, 'embeddings': {
                      'float': [[0.001 * i for i in range(DIMENSIONS)] for _ in texts]}},
                  None, meta, disjoint(total, 0, 0, 0, 0))


def wants_stream(ask):
    return ask.body.get('stream') is True


def error(_, words, request_id):
    return {'id': request_id, 'message': words}


ROUTES = [('POST', '/v2/chat', chat), ('POST', '/v2/embed', embed)]
