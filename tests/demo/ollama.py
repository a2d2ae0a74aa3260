"""Ollama's side of the demo provider: chat, generate and embed, as lines of JSON."""

import json

import text
from answer import Answer, disjoint

DIMENSIONS = 256


def line(value):
    return json.dumps(value, separators=(',', ':')).encode() + b'\n'


def reply(ask, api, prompt, total, shape):
    """An answer whose pieces `shape` puts into its lines."""
    limit = (ask.body.get('options') or {}).get('num_predict') or 0
    pieces = text.words_of(prompt, ask.script.words)
    pieces = pieces[:limit] if limit > 0 else pieces
    frame = {'model': ask.body.get('model'), 'created_at': '2026-11-21T00:00:00.000Z'}
    usage = {'total_duration': 9, 'load_duration': 1, 'prompt_eval_count': total,
             'prompt_eval_duration': 3, 'eval_count': len(pieces), 'eval_duration': 5}
    end = {'done': True, 'done_reason': 'stop', **usage}
    events = [line({**frame, **shape(piece), 'done': False}) for piece in pieces]
    events.append(line({**frame, **shape(''), **end}))
    return Answer(api, 'ollama-demo%08d' % ask.number, frame['model'],
                  {**frame, **shape(''.join(pieces)), **end}, events, usage,
                  disjoint(total, 0, 0, len(pieces), 0), content_type='application/x-ndjson')


def chat(ask):
    messages = ask.body.get('messages') or [{}]
    return reply(ask, 'ollama.chat', messages[-1].get('content') or '',
                 text.input_tokens(messages),
                 lambda piece: {'message': {'role': 'assistant', 'content': piece}})


def generate(ask):
    prompt = ask.body.get('prompt') or ''
    return reply(ask, 'ollama.chat', prompt, text.tokens(prompt),
                 lambda piece: {'response': piece})


def embed(ask):
    texts = ask.body.get('input')
    texts = texts if isinstance(texts, list) else [texts]
    total = sum(text.tokens(item) for item in texts)
    document = {'model': ask.body.get('model'), 'prompt_eval_count': total,
                'embeddings': [[0.001 * i for i in range(DIMENSIONS)] for _ in texts]}
    return Answer('ollama.embed', 'ollama-demo%08d' % ask.number, document['model'], document,
                  None, {'prompt_eval_count': total}, disjoint(total, 0, 0, 0, 0))


def tags(_):
    return {'models': [{'name': 'demo', 'model': 'demo', 'size': 1, 'digest': 'demo'}]}


def wants_stream(ask):
    return ask.body.get('stream') is not False


def error(_, words, __):
    return {'error': words}


ROUTES = [('POST', '/api/chat', chat), ('POST', '/api/generate', generate),
          ('POST', '/api/embed', embed), ('GET', '/api/tags', tags)]
