"""Anthropic's side of the demo provider: messages, count_tokens, models."""

import json

import text
from answer import Answer, disjoint, sse
from openai import arguments_for, content_text, limited


def cached_split(body, messages):
    """(uncached, cached) parts of the input: everything before the last message is cached if
    the request marks a cache breakpoint anywhere."""
    total = text.input_tokens(messages, body.get('system'), body.get('tools'))
    if '"cache_control"' not in json.dumps(body):
        return total, 0
    fresh = text.input_tokens(messages[-1:])
    return fresh, total - fresh


def tool_of(body, last):
    """(name, arguments) of the tool to call, or None."""
    content = last.get('content')
    if isinstance(content, list) and any(part.get('type') == 'tool_result' for part in content):
        return None
    tools = [tool for tool in body.get('tools') or [] if 'input_schema' in tool]
    asked = text.tool_asked(content_text(content))
    if asked and any(tool['name'] == asked[0] for tool in tools):
        return asked
    if tools and (body.get('tool_choice') or {}).get('type') in ('any', 'tool'):
        return tools[0]['name'], json.dumps(arguments_for(tools[0]['input_schema']))
    return None


def messages(body, script, number):
    turns = body.get('messages') or []
    last = turns[-1] if turns else {}
    tool = tool_of(body, last)
    if tool:
        pieces, cut = [tool[1]], False
    else:
        pieces, cut = limited(text.words_of(content_text(last.get('content')), script.words),
                              body.get('max_tokens') or 0)
    fresh, cached = cached_split(body, turns)
    if script.cached >= 0:
        fresh, cached = max(0, fresh + cached - script.cached), script.cached
    written, read = (cached, 0) if len(turns) == 1 and script.cached < 0 else (0, cached)
    usage = {'input_tokens': fresh, 'cache_creation_input_tokens': written,
             'cache_read_input_tokens': read,
             'cache_creation': {'ephemeral_5m_input_tokens': written,
                                'ephemeral_1h_input_tokens': 0},
             'output_tokens': len(pieces), 'service_tier': 'standard'}
    reply = MessageReply(body, number, pieces, tool, cut)
    return Answer('anthropic.messages', reply.id, reply.model, reply.document(usage),
                  reply.events(usage), usage,
                  disjoint(fresh + written + read, read, written, len(pieces), 0))


class MessageReply:
    """A message as a document and as events."""

    def __init__(self, body, number, pieces, tool, cut):
        self.id = 'msg_demo%08d' % number
        self.model = body.get('model') or 'demo'
        self.pieces = pieces
        self.tool = tool
        self.tool_id = 'toolu_demo%08d' % number
        self.reason = 'tool_use' if tool else 'max_tokens' if cut else 'end_turn'

    def message(self, content, reason, usage):
        return {'id': self.id, 'type': 'message', 'role': 'assistant', 'model': self.model,
                'content': content, 'stop_reason': reason, 'stop_sequence': None,
                'usage': usage}

    def document(self, usage):
        if self.tool:
            block = {'type': 'tool_use', 'id': self.tool_id, 'name': self.tool[0],
                     'input': json.loads(self.tool[1])}
        else:
            block = {'type': 'text', 'text': ''.join(self.pieces)}
        return self.message([block], self.reason, usage)

    @staticmethod
    def event(kind, **members):
        return sse({'type': kind, **members}, kind)

    def events(self, usage):
        opening = {**usage, 'output_tokens': 1}
        if self.tool:
            block = {'type': 'tool_use', 'id': self.tool_id, 'name': self.tool[0], 'input': {}}
        else:
            block = {'type': 'text', 'text': ''}
        events = [self.event('message_start', message=self.message([], None, opening)),
                  self.event('content_block_start', index=0, content_block=block),
                  self.event('ping')]
        for piece in self.pieces:
            delta = {'type': 'input_json_delta', 'partial_json': piece} if self.tool else \
                {'type': 'text_delta', 'text': piece}
            events.append(self.event('content_block_delta', index=0, delta=delta))
        return events + [
            self.event('content_block_stop', index=0),
            self.event('message_delta', delta={'stop_reason': self.reason,
                                               'stop_sequence': None},
                       usage={'output_tokens': usage['output_tokens']}),
            self.event('message_stop')]


def count_tokens(body):
    fresh, cached = cached_split(body, body.get('messages') or [])
    return {'input_tokens': fresh + cached}


def models():
    names = ['claude-opus-4-5', 'claude-sonnet-4-5', 'claude-haiku-4-5']
    return {'data': [{'type': 'model', 'id': name, 'display_name': name,
                      'created_at': '2025-10-01T00:00:00Z'} for name in names],
            'has_more': False, 'first_id': names[0], 'last_id': names[-1]}


def error(status, words, request_id):
    kinds = {400: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error',
             403: 'permission_error', 404: 'not_found_error', 413: 'request_too_large',
             429: 'rate_limit_error', 504: 'timeout_error', 529: 'overloaded_error'}
    return {'type': 'error', 'error': {'type': kinds.get(status, 'api_error'),
                                       'message': words}, 'request_id': request_id}
