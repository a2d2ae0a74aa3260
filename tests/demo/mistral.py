"""Mistral's side of the demo provider, below /mistral: OpenAI's shapes, but that a stream tells
its usage unasked, in its last chunk."""

import json

import openai
from answer import sse


def chunks_of(events):
    return [json.loads(event[6:]) for event in events if event.startswith(b'data: {')]


def chat(ask):
    asked = {**ask.body, 'stream_options': {'include_usage': True}}
    answer = openai.chat(asked, ask.script, ask.number)
    *chunks, last = chunks_of(answer.events)
    for chunk in chunks:
        chunk.pop('usage')
    chunks[-1]['usage'] = last['usage']
    answer.events = [sse(chunk) for chunk in chunks] + [sse('[DONE]')]
    answer.api = 'mistral.chat'
    return answer


def embeddings(ask):
    answer = openai.embeddings(ask.body, ask.script, ask.number)
    answer.document['id'] = answer.id
    return answer


def wants_stream(ask):
    return ask.body.get('stream') is True


def error(status, words, _):
    return {'object': 'error', 'message': words, 'type': 'invalid_request_error',
            'param': None, 'code': str(status)}


ROUTES = [('POST', '/mistral/v1/chat/completions', chat),
          ('POST', '/mistral/v1/embeddings', embeddings)]
