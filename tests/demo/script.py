"""What the demo provider is told to do: the parameters of one reply.

They stand in the model's name behind a semicolon ("demo;words=50;delay_ms=20"), which
survives any proxy, or in the header `x-demo: words=50;delay_ms=20`, which wins.
"""

import dataclasses


@dataclasses.dataclass
class Script:
    """The defaults are a short answer, sent at once."""

    words: int = 0           # words of the answer; 0: as many as the text has
    delay_ms: int = 0        # between two events of a stream
    ttft_ms: int = 0         # before the head of the response
    status: int = 200        # an error in the API's own shape
    retry_after: int = -1    # the header of that name, in seconds
    flaky: int = 0           # 1: fail with `status` (500) unless this is an SDK's retry
    abort_after: int = -1    # close after this many events (JSON: bytes)
    reset_after: int = -1    # the same with a TCP reset
    close_after: int = -1    # close a WebSocket with a close frame after this many events
    stall_after: int = -1    # fall silent after this many events
    split: int = 0           # seed: write the response in pieces of random sizes
    encoding: str = ''       # gzip or deflate
    cached: int = -1         # input tokens read from the cache
    reasoning: int = -1      # hidden output tokens
    error_after: int = -1    # an error event within the stream after this many events
    n: int = 0               # ignored; makes a model's name unique


def apply(script, text):
    names = {f.name: f.type for f in dataclasses.fields(Script)}
    for pair in text.split(';'):
        name, equals, value = pair.strip().partition('=')
        if not equals or name not in names:
            continue
        current = getattr(script, name)
        setattr(script, name, int(value) if isinstance(current, int) else value)


def read(model, header):
    """The script of a request."""
    script = Script()
    apply(script, model.partition(';')[2])
    apply(script, header or '')
    if script.flaky and script.status == 200:
        script.status = 500
    return script
