"""OpenAI's Responses API in the demo provider: the document and the full event sequence."""

import json
import time

import text
from answer import Answer, disjoint, sse
from openai import arguments_for, content_text, counts, limited


def items_of(body):
    value = body.get('input')
    return [{'role': 'user', 'content': value}] if isinstance(value, str) else value or []


def tool_of(body, item):
    """(name, arguments) of the function to call, or None."""
    if item.get('role') != 'user':
        return None
    functions = [tool for tool in body.get('tools') or [] if tool.get('type') == 'function']
    asked = text.tool_asked(content_text(item.get('content')))
    if asked and any(function['name'] == asked[0] for function in functions):
        return asked
    if functions and body.get('tool_choice') not in (None, 'auto', 'none'):
        return functions[0]['name'], json.dumps(
            arguments_for(functions[0].get('parameters') or {}))
    return None


def create(body, script, number):
    items = items_of(body)
    last = items[-1] if items else {}
    prompt = content_text(last.get('content'))
    tool = tool_of(body, last)
    if tool:
        pieces, cut = [tool[1]], False
    else:
        pieces, cut = limited(text.words_of(prompt, script.words),
                              body.get('max_output_tokens') or 0)
    total_input = text.input_tokens(items, body.get('instructions'), body.get('tools'))
    cached, reasoning = counts(body, script, total_input, len(pieces))
    output = len(pieces) + reasoning
    usage = {'input_tokens': total_input,
             'input_tokens_details': {'cached_tokens': cached},
             'output_tokens': output,
             'output_tokens_details': {'reasoning_tokens': reasoning},
             'total_tokens': total_input + output}
    reply = ResponseReply(body, number, pieces, tool, cut)
    return Answer('openai.responses', reply.id, reply.model, reply.final(usage),
                  reply.events(usage), usage,
                  disjoint(total_input, cached, 0, output, reasoning))


class ResponseReply:
    """One response with one output item: a message or a function call."""

    def __init__(self, body, number, pieces, tool, cut):
        self.id = 'resp_demo%08d' % number
        self.model = body.get('model') or 'demo'
        self.body = body
        self.pieces = pieces
        self.tool = tool
        self.status = 'incomplete' if cut else 'completed'
        self.item_id = ('fc_demo%08d' if tool else 'msg_demo%08d') % number
        self.call_id = 'call_demo%08d' % number
        self.sequence = -1
        self.created = int(time.time())

    def response(self, status, output, usage):
        incomplete = {'reason': 'max_output_tokens'} if status == 'incomplete' else None
        return {'id': self.id, 'object': 'response', 'created_at': self.created,
                'status': status, 'background': False, 'error': None,
                'incomplete_details': incomplete,
                'instructions': self.body.get('instructions'),
                'max_output_tokens': self.body.get('max_output_tokens'), 'model': self.model,
                'output': output, 'parallel_tool_calls': True, 'previous_response_id': None,
                'reasoning': {'effort': None, 'summary': None}, 'service_tier': 'default',
                'store': False, 'temperature': 1.0, 'text': {'format': {'type': 'text'}},
                'tool_choice': 'auto', 'tools': [], 'top_p': 1.0, 'truncation': 'disabled',
                'tool_usage': {'image_gen': {'input_tokens': 0, 'output_tokens': 0,
                                             'total_tokens': 0}},
                'usage': usage, 'metadata': {}}

    def item(self, status):
        done = status != 'in_progress'
        if self.tool:
            return {'id': self.item_id, 'type': 'function_call', 'status': status,
                    'call_id': self.call_id, 'name': self.tool[0],
                    'arguments': self.tool[1] if done else ''}
        return {'id': self.item_id, 'type': 'message', 'status': status, 'role': 'assistant',
                'content': [self.part(''.join(self.pieces))] if done else []}

    @staticmethod
    def part(words):
        return {'type': 'output_text', 'annotations': [], 'logprobs': [], 'text': words}

    def final(self, usage):
        return self.response(self.status, [self.item(self.status)], usage)

    def event(self, kind, **members):
        self.sequence += 1
        return sse({'type': kind, 'sequence_number': self.sequence, **members}, kind)

    def events(self, usage):
        opening = self.response('in_progress', [], None)
        place = {'output_index': 0, 'item_id': self.item_id}
        events = [self.event('response.created', response=opening),
                  self.event('response.in_progress', response=opening),
                  self.event('response.output_item.added', output_index=0,
                             item=self.item('in_progress'))]
        events += self.call_events(place) if self.tool else self.text_events(place)
        events.append(self.event('response.output_item.done', output_index=0,
                                 item=self.item(self.status)))
        events.append(self.event('response.' + self.status, response=self.final(usage)))
        return events

    def call_events(self, place):
        name = 'response.function_call_arguments.'
        return [self.event(name + 'delta', delta=piece, **place) for piece in self.pieces] + \
            [self.event(name + 'done', arguments=self.tool[1], **place)]

    def text_events(self, place):
        place = {**place, 'content_index': 0}
        words = ''.join(self.pieces)
        events = [self.event('response.content_part.added', part=self.part(''), **place)]
        events += [self.event('response.output_text.delta', delta=piece, logprobs=[], **place)
                   for piece in self.pieces]
        return events + [
            self.event('response.output_text.done', text=words, logprobs=[], **place),
            self.event('response.content_part.done', part=self.part(words), **place)]


def input_tokens(body):
    count = text.input_tokens(items_of(body), body.get('instructions'), body.get('tools'))
    return {'object': 'response.input_tokens', 'input_tokens': count}
