"""Groq's side of the demo provider, below /groq: OpenAI's shapes, and in a stream's last chunk
the usage under x_groq, whether it was asked for or not."""

import json

import openai
from answer import sse


def chat(ask):
    answer = openai.chat(ask.body, ask.script, ask.number)
    answer.document['x_groq'] = {'id': 'req_demo%08d' % ask.number}
    whole = [event for event in answer.events if b'"finish_reason":"' in event]
    at = answer.events.index(whole[-1])
    chunk = json.loads(answer.events[at][6:])
    chunk['x_groq'] = {'id': 'req_demo%08d' % ask.number, 'usage': answer.usage}
    answer.events[at] = sse(chunk)
    return answer


def wants_stream(ask):
    return ask.body.get('stream') is True


def error(status, words, _):
    return openai.error(status, words)


ROUTES = [('POST', '/groq/openai/v1/chat/completions', chat)]
