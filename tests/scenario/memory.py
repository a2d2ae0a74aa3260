"""Once a call is over, no word of its prompt or its answer is in the proxy's memory: what
crashed, was swapped out or is looked at by its administrator tells nothing."""

import asyncio
import contextlib
import gzip
import json
import os
import re
import ssl
import tempfile
import uuid

import http1
import websocket
import websockets
from dev_certs import DevCerts
from proxy import PATIENCE, Assay
from scripted import sse

LONG = 400  # sentences: more than one buffer holds
MOST = 1 << 28  # bytes of a mapping: a sanitizer's own are larger
RANGE = re.compile(r'([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+ *(.*)')


class Words:
    """What is asked and answered: words that nobody else says."""

    def __init__(self):
        self.asked, self.answered = ('%s-%s' % (word, uuid.uuid4().hex)
                                     for word in ('quince', 'medlar'))

    def prompt(self, size=1):
        """With a character that JSON escapes, so that it is also decoded somewhere."""
        return ' '.join('%d: compare\n%s with "pears"' % (n, self.asked) for n in range(size))

    def answer(self):
        return '%s,\n\tas "ever", is %s' % (self.answered, self.answered)


def memory_of(pid):
    """All that the process can read. Raises PermissionError where that is not allowed."""
    with open('/proc/%d/maps' % pid, encoding='ascii', errors='replace') as maps, \
            open('/proc/%d/mem' % pid, 'rb', 0) as memory:
        for begin, end, name in (match.groups() for match in map(RANGE.match, maps) if match):
            if name.startswith('[v') or int(end, 16) - int(begin, 16) > MOST:
                continue
            try:
                memory.seek(int(begin, 16))
                yield name, memory.read(int(end, 16) - int(begin, 16))
            except (OSError, OverflowError, ValueError):
                continue


def places(pid, words):
    """Where words are still said, with what stands around them."""
    for name, memory in memory_of(pid):
        for word in (words.asked, words.answered):
            at = memory.find(word.encode())
            if at >= 0:
                yield name or 'anonymous', word, memory[max(0, at - 80):at + 80]


def chat_answer(words):
    return {'id': 'c', 'object': 'chat.completion', 'model': 'm', 'choices': [
        {'index': 0, 'finish_reason': 'stop', 'message': {
            'role': 'assistant', 'content': words.answer(), 'tool_calls': [
                {'id': 't', 'type': 'function', 'function': {
                    'name': 'read', 'arguments': json.dumps({'path': words.answer()})}}]}}],
        'usage': {'prompt_tokens': 9, 'completion_tokens': 9, 'total_tokens': 18}}


def chat_stream(words):
    chunk = {'id': 'c', 'object': 'chat.completion.chunk', 'model': 'm'}
    return sse(*({**chunk, 'choices': [{'index': 0, 'delta': {'content': words.answer()}}]}
                 for _ in range(20)),
               {**chunk, 'choices': [], 'usage': chat_answer(words)['usage']}, '[DONE]')


def message_stream(words):
    return sse({'type': 'message_start', 'message': {
        'id': 'm', 'model': 'm', 'usage': {'input_tokens': 9, 'output_tokens': 1}}},
               {'type': 'content_block_start', 'index': 0,
                'content_block': {'type': 'text', 'text': ''}},
               {'type': 'content_block_delta', 'index': 0,
                'delta': {'type': 'text_delta', 'text': words.answer()}},
               {'type': 'message_delta', 'delta': {}, 'usage': {'output_tokens': 9}},
               {'type': 'message_stop'})


def provider(words):
    """Streams if it is asked to, in whatever coding is accepted; cuts what is to be cut."""
    async def handle(request, reply):
        body = request.body
        if request.field('content-encoding') == 'gzip':
            body = gzip.decompress(body)
        streams = b'"stream": true' in body
        if request.path.endswith('/messages'):
            kind, answer = 'text/event-stream', message_stream(words)
        elif streams:
            kind, answer = 'text/event-stream', chat_stream(words)
        else:
            kind, answer = 'application/json', json.dumps(chat_answer(words)).encode()
        fields = [('content-type', kind)]
        if 'gzip' in (request.field('accept-encoding') or ''):
            fields.append(('content-encoding', reply.encode('gzip')))
        if b'"cut"' in body:
            await reply.start(200, fields)
            await reply.piece(answer[:len(answer) * 2 // 3])
            reply.abort()
        else:
            await reply.whole(200, fields, answer)
    return handle


class House:
    """A provider and an assay in front of it, both with TLS or both without."""

    def __init__(self, handle, secure=False):
        self.folder = tempfile.TemporaryDirectory(prefix='assay-memory-')
        self.certs = DevCerts(self.folder.name) if secure else None
        self.leaf = self.certs.leaf('server') if secure else None
        self.server = http1.Server(handle, self.context(ssl.PROTOCOL_TLS_SERVER))
        self.assay = None

    def context(self, side):
        if not self.certs:
            return None
        context = ssl.SSLContext(side)
        if side == ssl.PROTOCOL_TLS_SERVER:
            context.load_cert_chain(*self.leaf)
        else:
            context.load_verify_locations(self.certs.ca)
        return context

    async def __aenter__(self):
        await self.server.start()
        provider = {'url': 'http://localhost:%d' % self.server.port, 'default': True,
                    'credential': 'env:UPSTREAM_KEY'}
        listen = {}
        if self.certs:
            provider.update(url='https://localhost:%d' % self.server.port, ca=self.certs.ca)
            chain, key = self.leaf
            listen = {'tls': {'certificates': [{'chain': chain, 'key': key}]}}
        self.assay = Assay({name: {**provider, 'dialects': [name]}
                            for name in ('openai', 'anthropic')}, {'workers': 1}, listen)
        await asyncio.to_thread(self.assay.start)
        return self

    async def __aexit__(self, *_):
        await asyncio.to_thread(self.assay.__exit__)
        await self.server.close()
        self.folder.cleanup()

    async def ask(self, path, fields, body):
        """The status, or 'cut'."""
        client = http1.Client(self.assay.port, self.context(ssl.PROTOCOL_TLS_CLIENT),
                              server_name='localhost')
        try:
            await client.send('POST', path, [
                ('host', 'h'), ('authorization', 'Bearer ' + self.assay.key),
                ('content-type', 'application/json'), ('content-length', str(len(body))),
                *fields], body)
            return (await asyncio.wait_for(client.receive('POST'), PATIENCE)).status
        except http1.Truncated:
            return 'cut'
        finally:
            client.close()

    async def left(self, words):
        """What is still said once no call is under way, and where."""
        await asyncio.to_thread(self.assay.wait_until_idle)
        return list(places(self.assay.process.pid, words))


CASES = (
    # what, path, how long the prompt is, what else the body says, fields
    ('an answer', '/v1/chat/completions', 1, {}, ()),
    ('a long prompt', '/v1/chat/completions', LONG, {}, ()),
    ('a stream', '/v1/chat/completions', 1, {'stream': True}, ()),
    ('a stream that is cut', '/v1/chat/completions', 1, {'stream': True, 'user': 'cut'}, ()),
    ('a stream in another dialect', '/v1/messages', 1, {'stream': True}, ()),
    ('a compressed stream', '/v1/chat/completions', 1, {'stream': True},
     (('accept-encoding', 'gzip'),)),
    ('a compressed prompt', '/v1/chat/completions', LONG, {'stream': True},
     (('content-encoding', 'gzip'),)),
)


async def calls(results, secure):
    words = Words()
    async with House(provider(words), secure) as house:
        for what, path, size, more, fields in CASES:
            body = json.dumps({'model': 'gpt-4o', 'max_tokens': 9, 'messages': [
                {'role': 'system', 'content': words.prompt()},
                {'role': 'user', 'content': words.prompt(size)}], **more}).encode()
            if ('content-encoding', 'gzip') in fields:
                body = gzip.compress(body)
            status = await house.ask(path, fields, body)
            found = await house.left(words)
            results.ok(status in (200, 'cut') and not found, 'nothing of a call%s stays in '
                       'memory: %s' % (' with TLS' if secure else '', what), status, *found[:6])


async def messages(results, offer):
    """WebSocket messages, compressed or not."""
    words = Words()

    async def script(socket, _request):
        while 'response.create' in await socket.receive():
            for event in websockets.events_of(1, text=words.answer()):
                socket.send(event)

    async def handle(request, reply):
        socket = websocket.switch(request, reply, extensions=offer)
        with contextlib.suppress(websocket.Closed):
            await script(socket, request)
    async with House(handle) as house:
        _, _, socket, _ = await websocket.connect(
            house.assay.port, '/v1/responses',
            [('authorization', 'Bearer ' + house.assay.key)], offer=offer)
        socket.send(websockets.create(input=words.prompt(9)))
        seen = await websockets.until(socket, 'response.completed')
        socket.close()
        await websockets.closing(socket)
        found = await house.left(words)
    results.ok(words.answered in json.dumps(seen) and not found,
               'nothing of a WebSocket stays in memory: %s' % (offer or 'not compressed'),
               *found[:6])


def run(results):
    try:
        list(memory_of(os.getppid()))
    except PermissionError:
        results.skip('nothing of a call stays in memory', "others' memory is closed here")
        return
    for secure in (False, True):
        asyncio.run(calls(results, secure))
    for offer in (None, websockets.DEFLATE):
        asyncio.run(messages(results, offer))
