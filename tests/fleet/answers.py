"""What providers answer: a text, or a call of a tool, streamed as each API does."""

import json


def event(value, name=None):
    head = 'event: %s\n' % name if name else ''
    return '%sdata: %s\n\n' % (head, json.dumps(value, separators=(',', ':')))


def pieces(text, size=160):
    return [text[i:i + size] for i in range(0, len(text), size)]


def anthropic(answer):
    def blocks():
        if answer['tool']:
            name, arguments = answer['tool']
            yield ({'type': 'tool_use', 'id': answer['id'], 'name': name, 'input': {}},
                   [{'type': 'input_json_delta', 'partial_json': piece}
                    for piece in pieces(json.dumps(arguments))])
        else:
            yield ({'type': 'text', 'text': ''},
                   [{'type': 'text_delta', 'text': piece} for piece in pieces(answer['text'])])

    usage = {'input_tokens': answer['input'], 'output_tokens': 1}
    out = [event({'type': 'message_start', 'message': {
        'id': answer['id'], 'type': 'message', 'role': 'assistant', 'model': answer['model'],
        'content': [], 'usage': usage}}, 'message_start')]
    for index, (block, deltas) in enumerate(blocks()):
        out.append(event({'type': 'content_block_start', 'index': index,
                          'content_block': block}, 'content_block_start'))
        out += [event({'type': 'content_block_delta', 'index': index, 'delta': delta},
                      'content_block_delta') for delta in deltas]
        out.append(event({'type': 'content_block_stop', 'index': index}, 'content_block_stop'))
    out.append(event({'type': 'message_delta', 'delta': {'stop_reason': 'end_turn'},
                      'usage': {'output_tokens': answer['output']}}, 'message_delta'))
    out.append(event({'type': 'message_stop'}, 'message_stop'))
    return ''.join(out)


def responses(answer):
    kind = 'response.'
    out = [event({'type': kind + 'created', 'response': {'id': answer['id']}})]
    if answer['tool']:
        name, arguments = answer['tool']
        out.append(event({'type': kind + 'output_item.added', 'item': {
            'type': 'function_call', 'call_id': answer['id'], 'name': name, 'arguments': ''}}))
        out += [event({'type': kind + 'function_call_arguments.delta', 'delta': piece})
                for piece in pieces(json.dumps(arguments))]
    else:
        out += [event({'type': kind + 'output_text.delta', 'delta': piece})
                for piece in pieces(answer['text'])]
    out.append(event({'type': kind + 'completed', 'response': {
        'id': answer['id'], 'model': answer['model'], 'usage': {
            'input_tokens': answer['input'], 'output_tokens': answer['output'],
            'total_tokens': answer['input'] + answer['output']}}}))
    return ''.join(out)


def chat(answer):
    def chunk(delta, finish=None, **more):
        return event({'id': answer['id'], 'object': 'chat.completion.chunk',
                      'model': answer['model'], 'choices': [
                          {'index': 0, 'delta': delta, 'finish_reason': finish}], **more})

    out = [chunk({'role': 'assistant', 'content': ''})]
    if answer['tool']:
        name, arguments = answer['tool']
        out.append(chunk({'tool_calls': [{'index': 0, 'id': answer['id'], 'type': 'function',
                                          'function': {'name': name, 'arguments': ''}}]}))
        out += [chunk({'tool_calls': [{'index': 0, 'function': {'arguments': piece}}]})
                for piece in pieces(json.dumps(arguments))]
    else:
        out += [chunk({'content': piece}) for piece in pieces(answer['text'])]
    out.append(chunk({}, 'stop'))
    out.append(event({'id': answer['id'], 'model': answer['model'], 'choices': [], 'usage': {
        'prompt_tokens': answer['input'], 'completion_tokens': answer['output'],
        'total_tokens': answer['input'] + answer['output']}}))
    return ''.join(out) + 'data: [DONE]\n\n'


def gemini(answer):
    if answer['tool']:
        name, arguments = answer['tool']
        parts = [[{'functionCall': {'name': name, 'args': arguments}}]]
    else:
        parts = [[{'text': piece}] for piece in pieces(answer['text'])]
    out = []
    for index, part in enumerate(parts):
        candidate = {'content': {'role': 'model', 'parts': part}}
        if index == len(parts) - 1:
            candidate['finishReason'] = 'STOP'
        out.append(event({'candidates': [candidate], 'modelVersion': answer['model'],
                          'usageMetadata': {
                              'promptTokenCount': answer['input'],
                              'candidatesTokenCount': answer['output'],
                              'totalTokenCount': answer['input'] + answer['output']}}))
    return ''.join(out)


STREAMS = {'anthropic': anthropic, 'responses': responses, 'chat': chat, 'gemini': gemini}
