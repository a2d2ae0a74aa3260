"""Clients that have only finished sending (RFC 9112, 9.6): each gets all of its responses and
a clean end, over plain TCP and TLS. One that is gone shows when something is sent to it."""

import asyncio
import json
import socket
import ssl
import tempfile
import threading
import time

import http1
from dev_certs import DevCerts
from proxy import PATIENCE, Assay, wait_for

QUIET_S = 0.2   # nothing must happen for so long
ANSWER = json.dumps({'model': 'gpt-4o', 'choices': [
    {'message': {'role': 'assistant', 'content': 'hello'}}],
    'usage': {'prompt_tokens': 3, 'completion_tokens': 2, 'total_tokens': 5}}).encode()
EVENT = (b'data: {"model":"gpt-4o","choices":[{"delta":{"content":"hello"}}],"usage":null}\n\n')
LAST = (b'data: {"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,'
        b'"total_tokens":5}}\n\ndata: [DONE]\n\n')


class Provider:
    """Answers once it is told to, streams until it is told to end."""

    def __init__(self):
        self.go, self.done = threading.Event(), threading.Event()
        self.gone = False
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = asyncio.run_coroutine_threadsafe(
            http1.Server(self.answer).start(), self.loop).result(PATIENCE).port

    async def answer(self, request, reply):
        if b'"stream": true' in request.body:
            await reply.start(200, [('content-type', 'text/event-stream')])
            try:
                while not self.done.is_set():
                    await reply.piece(EVENT)
                    await asyncio.sleep(0.05)
                await reply.piece(LAST)
                await reply.finish()
            except OSError:
                self.gone = True
        else:
            await asyncio.to_thread(self.go.wait, PATIENCE)
            await reply.whole(200, [('content-type', 'application/json')], ANSWER)


def request(key, path='/v1/chat/completions', stream=False):
    body = json.dumps({'model': 'gpt-4o', 'stream': stream, 'messages': [
        {'role': 'user', 'content': 'hi'}], 'stream_options': {'include_usage': True}}).encode()
    return (b'POST %s HTTP/1.1\r\nhost: h\r\nauthorization: Bearer %s\r\n'
            b'content-type: application/json\r\ncontent-length: %d\r\n\r\n' % (
                path.encode(), key.encode(), len(body))) + body


class Plain:
    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=PATIENCE)
        self.send, self.read = self.socket.sendall, self.socket.recv

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)


class Secure:
    """TLS, with the records in reach."""

    def __init__(self, port, context):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=PATIENCE)
        self.came, self.leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.came, self.leaves, server_hostname='localhost')
        self.step(self.tls.do_handshake)

    def step(self, call, *arguments):
        while True:
            try:
                return call(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                self.came.write(self.socket.recv(65536))
            finally:
                self.flush()

    def flush(self):
        self.socket.sendall(self.leaves.read())

    def send(self, data):
        self.step(self.tls.write, data)

    def read(self, size):
        try:
            return self.step(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b''

    def finish_sending(self):
        """close_notify, and no more."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()


def read_to_end(client):
    """All that comes, and whether it ended well."""
    got = b''
    try:
        while data := client.read(65536):
            got += data
    except OSError as error:
        return got, error
    finally:
        client.socket.close()
    return got, None


def receive(results, connect, provider, key, how):
    def judge(name, data, wanted):
        provider.go.clear()
        client = connect()
        client.send(data)
        client.finish_sending()
        time.sleep(QUIET_S)
        provider.go.set()
        got, error = read_to_end(client)
        results.ok([got.count(word) for word, _ in wanted] == [count for _, count in wanted] and
                   error is None, '%s, half-closed: %s' % (how, name), got, error)

    judge('a response that was still to come', request(key), [(b' 200 OK', 1), (ANSWER, 1)])
    judge('two of them', 2 * request(key), [(b' 200 OK', 2), (ANSWER, 2)])
    judge('one, and a part of the next', request(key) + request(key)[:-1],
          [(b' 200 OK', 1), (ANSWER, 1)])
    judge('one, and a part of a head', request(key) + b'POST ', [(b' 200 OK', 1), (ANSWER, 1)])
    judge('a refusal', request(key, '/v1/unknown'), [(b' 404 Not Found', 1)])
    provider.done.clear()
    threading.Timer(2 * QUIET_S, provider.done.set).start()
    judge('the rest of a stream', request(key, stream=True), [(b' 200 OK', 1), (LAST, 1)])


def notice(results, assay, provider):
    provider.done.clear()
    client = Plain(assay.port)
    client.send(request(assay.key, stream=True))
    client.finish_sending()
    client.read(65536)
    client.socket.close()
    results.ok(wait_for(lambda: provider.gone),
               'half-closed, then gone: the stream is cancelled')
    client = Plain(assay.port)
    client.send(request(assay.key)[:-1])
    client.finish_sending()
    got, error = read_to_end(client)
    results.ok(got == b'' and error is None, 'half a request: closed', got, error)
    results.ok(wait_for(lambda: [record['outcome'] for record in assay.export()][-2:] ==
                        2 * ['client_abort']), 'both are recorded as left', assay.export())


def run(results):
    provider = Provider()
    providers = {'openai': {'url': 'http://127.0.0.1:%d' % provider.port, 'default': True,
                            'dialects': ['openai'], 'credential': 'env:UPSTREAM_KEY',
                            'on_client_abort': 'cancel'}}
    with Assay(providers) as assay:
        receive(results, lambda: Plain(assay.port), provider, assay.key, 'plain')
        notice(results, assay, provider)
    with tempfile.TemporaryDirectory() as folder:
        certs = DevCerts(folder)
        chain, key = certs.leaf('server')
        listen = {'tls': {'certificates': [{'chain': chain, 'key': key}]}}
        with Assay(providers, listen=listen) as assay:
            receive(results, lambda: Secure(assay.port, certs.client_context()), provider,
                    assay.key, 'TLS')
    provider.loop.call_soon_threadsafe(provider.loop.stop)
