"""One answer of the demo provider, before it is sent."""

import dataclasses
import json


@dataclasses.dataclass
class Answer:
    """The same answer as a document and as a stream, and the truth about its tokens."""

    api: str                # the dialect's name
    id: str
    model: str
    document: dict          # the JSON response
    events: list = None     # the stream's events as bytes
    usage: dict = None      # as the provider reports it
    tokens: dict = None     # disjoint classes: input, cache_read, cache_write, output, reasoning
    fields: list = dataclasses.field(default_factory=list)  # of the response's head
    content_type: str = 'text/event-stream; charset=utf-8'


def sse(data, event=None):
    """One event; `data` is a JSON value or text."""
    if not isinstance(data, str):
        data = json.dumps(data, separators=(',', ':'), ensure_ascii=False)
    name = 'event: %s\n' % event if event else ''
    return ('%sdata: %s\n\n' % (name, data)).encode()


def disjoint(total_input, cache_read, cache_write, output, reasoning):
    return {'input': total_input - cache_read - cache_write, 'cache_read': cache_read,
            'cache_write': cache_write, 'output': output - reasoning, 'reasoning': reasoning}
