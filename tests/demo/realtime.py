"""OpenAI's Realtime API in the demo provider: what a session says, one response at a time."""

import json

import text
from answer import disjoint

TRANSCRIBER = 'gpt-4o-transcribe'
HEARD_TOKENS = 30  # of audio, per commit of the input buffer


def session(model, number):
    return {'type': 'session.created', 'event_id': 'event_demo%d' % number,
            'session': {'id': 'sess_demo%08d' % number, 'type': 'realtime', 'model': model,
                        'audio': {'input': {'transcription': {'model': TRANSCRIBER}}}}}


def transcribed(number, words):
    """(event, truth) of what was heard."""
    usage = {'type': 'tokens', 'input_tokens': HEARD_TOKENS, 'output_tokens': len(words),
             'total_tokens': HEARD_TOKENS + len(words),
             'input_token_details': {'audio_tokens': HEARD_TOKENS, 'text_tokens': 0}}
    event = {'type': 'conversation.item.input_audio_transcription.completed',
             'event_id': 'event_heard%d' % number, 'item_id': 'item_demo%08d' % number,
             'content_index': 0, 'transcript': ' '.join(words), 'usage': usage}
    return event, ('item_demo%08d' % number, TRANSCRIBER, usage,
                   disjoint(HEARD_TOKENS, 0, 0, len(words), 0))


def response(number, model, prompt, spoken, context):
    """(events, truth) of one response; `context` is what the conversation has by now."""
    words = text.words_of(prompt, 0)
    identity = 'resp_demo%08d' % number
    output = len(words) + (2 * len(words) if spoken else 0)
    cached = min(context // 2, 64)
    usage = {'total_tokens': context + output, 'input_tokens': context,
             'output_tokens': output,
             'input_token_details': {
                 'text_tokens': context, 'audio_tokens': 0, 'cached_tokens': cached,
                 'cached_tokens_details': {'text_tokens': cached, 'audio_tokens': 0}},
             'output_token_details': {'text_tokens': len(words),
                                      'audio_tokens': output - len(words)}}
    opening = {'object': 'realtime.response', 'id': identity, 'status': 'in_progress',
               'output': [], 'usage': None}
    place = {'response_id': identity, 'item_id': 'item_out%08d' % number, 'output_index': 0,
             'content_index': 0}
    events = [{'type': 'response.created', 'response': opening}]
    for word in words:
        if spoken:
            events.append({'type': 'response.output_audio.delta', 'delta': 'AAAA' * 400,
                           **place})
        events.append({'type': 'response.output_text.delta', 'delta': word, **place})
    events.append({'type': 'response.done', 'response': {
        **opening, 'status': 'completed', 'usage': usage}})
    return [json.dumps(event) for event in events], (
        identity, model, usage, disjoint(context, cached, 0, output, 0))
