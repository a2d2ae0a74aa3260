#!/usr/bin/env python3
"""A demo provider: answers on loopback in the wire formats of OpenAI and Anthropic, and of
Gemini, Bedrock, Ollama, Cohere, Mistral and Groq (native.py).

    provider.py [--port N] [--cert FILE --key FILE] [--truth FILE] [--credential TEXT]

It needs no network, no account and nothing but Python's standard library. Prints the line
"demo provider on http://127.0.0.1:PORT" once it listens, and ends at SIGTERM or SIGINT.

    POST /v1/chat/completions  /v1/completions  /v1/responses  /v1/responses/input_tokens
         /v1/embeddings  /v1/messages  /v1/messages/count_tokens      GET /v1/models
         /v1beta/models/M:generateContent  :streamGenerateContent  :countTokens
         :embedContent  :batchEmbedContents   (also the paths of Vertex AI)
         /model/M/converse  converse-stream  invoke  invoke-with-response-stream
         count-tokens   /api/chat  /api/generate  /api/embed   /v2/chat  /v2/embed
         /mistral/v1/chat/completions   /groq/openai/v1/chat/completions
    HEAD /api/hello    GET /api/tags
    WebSocket /v1/responses  /v1/realtime

What it says and how it counts: text.py. How to make it slow, fail, stall or compress:
script.py. A credential may come as a bearer, an API key, or as the secret key of a
signature as AWS wants it. With --truth each metered call leaves one line of JSON: what was really used,
whether the client got all of it, and whether a virtual key came through.
"""

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
import time
import urllib.parse
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))

import anthropic  # noqa: E402
import bedrock  # noqa: E402
import native  # noqa: E402
import ollama  # noqa: E402
import openai  # noqa: E402
import responses  # noqa: E402
import script as scripts  # noqa: E402
import sigv4  # noqa: E402
import websockets  # noqa: E402
from http1 import Server  # noqa: E402

METERED = {
    '/chat/completions': openai.chat,
    '/completions': openai.completions,
    '/responses': responses.create,
    '/embeddings': openai.embeddings,
    '/messages': anthropic.messages,
}
FREE = {
    '/messages/count_tokens': anthropic.count_tokens,
    '/responses/input_tokens': responses.input_tokens,
}
REASONS = {400: 'invalid request', 401: 'invalid credential', 404: 'not found',
           429: 'rate limit reached', 529: 'overloaded'}
JSON_TYPE = ('content-type', 'application/json')
VIRTUAL_KEY = 'assay_'


class Provider:
    """The service: routes, scripts and the truth log."""

    def __init__(self, truth, credential):
        self.truth = truth
        self.credential = credential
        self.number = 0

    async def handle(self, request, reply):
        self.number += 1
        call = Call(self, request, reply, self.number)
        try:
            await call.answer()
        except (ConnectionError, asyncio.CancelledError):
            reply.abort()
        finally:
            call.record()


class Call:
    """One request and its reply."""

    def __init__(self, provider, request, reply, number):
        self.provider = provider
        self.request = request
        self.reply = reply
        self.number = number
        self.path = urllib.parse.unquote(request.path)
        self.ask = native.find(request.method, self.path, request.query)
        for prefix in ('/openai', '/anthropic', '/v1'):
            self.path = self.path.removeprefix(prefix)
        self.native_anthropic = 'anthropic-version' in {name.lower() for name, _ in
                                                        request.fields} or \
            self.path.startswith('/messages')
        self.request_id = 'req_demo%08d' % number
        self.script = scripts.Script()
        self.line = None

    def fields(self, *more):
        if self.ask is not None and self.ask.api is bedrock:
            named = ('x-amzn-requestid', 'bedrock-demo%08d' % self.number)
        else:
            named = ('request-id' if self.native_anthropic else 'x-request-id',
                     self.request_id)
        return [named, ('server', 'assay-demo')] + list(more)

    def body(self):
        coding = self.request.field('content-encoding')
        body = self.request.body
        if coding in ('gzip', 'deflate'):
            body = zlib.decompress(body, 47)
        return json.loads(body) if body else {}

    async def answer(self):
        if self.path == '/api/hello':
            await self.document({'status': 'ok'})
        elif self.request.method == 'GET' and self.path == '/models':
            await self.document((anthropic if self.native_anthropic else openai).models())
        elif not self.authorised():
            await self.error(401)
        elif self.ask is not None:
            await self.native_call()
        elif websockets.asked(self.request) and self.path in websockets.KINDS:
            await websockets.KINDS[self.path](self).run()
        elif self.request.method != 'POST' or self.path not in {**METERED, **FREE}:
            await self.error(404)
        else:
            await self.call()

    def authorised(self):
        if self.provider.credential is None:
            return True
        shown = self.request.field('authorization') or ''
        if shown.startswith('AWS4-'):
            keys = {bedrock.ACCESS_KEY_ID: (self.provider.credential, None)}
            return sigv4.objection(self.request, keys, bedrock.REGION) is None
        return self.provider.credential in (
            shown.removeprefix('Bearer '), self.request.field('x-api-key'),
            self.request.field('x-goog-api-key'), self.request.field('api-key'))

    async def call(self):
        try:
            body = self.body()
            self.script = scripts.read(str(body.get('model') or ''),
                                       self.request.field('x-demo'))
            if self.path in FREE:
                answer = FREE[self.path](body)
            else:
                answer = METERED[self.path](body, self.script, self.number)
        except (ValueError, AttributeError, TypeError, KeyError, zlib.error):
            await self.error(400)
            return
        if self.path in FREE:
            await self.document(answer)
            return
        stream = bool(body.get('stream')) and answer.events is not None
        await self.metered(answer, stream)

    async def native_call(self):
        ask = self.ask
        try:
            ask.body = self.body()
            ask.number = self.number
            model = ask.model or str(ask.body.get('model') or '')
            self.script = ask.script = scripts.read(model, self.request.field('x-demo'))
            answer = ask.answer(ask)
            stream = ask.stream
        except (ValueError, AttributeError, TypeError, KeyError, zlib.error):
            await self.error(400)
            return
        if isinstance(answer, dict):
            await self.document(answer)
        else:
            await self.metered(answer, stream and answer.events is not None)

    async def metered(self, answer, stream):
        script = self.script
        retried = int(self.request.field('x-stainless-retry-count') or 0) > 0
        failing = script.status != 200 and not (script.flaky and retried)
        self.line = {'id': answer.id, 'api': answer.api, 'model': answer.model,
                     'status': script.status if failing else 200, 'stream': stream,
                     'usage': None if failing else answer.usage,
                     'tokens': None if failing else answer.tokens,
                     'include_usage': b'"include_usage"' in self.request.body,
                     'sent': 0, 'of': len(answer.events) if stream else 1, 'completed': False}
        answer.fields.append(('x-demo-id', answer.id))
        await asyncio.sleep(script.ttft_ms / 1000)
        if script.split:
            self.reply.split(script.split)
        if failing:
            await self.error(script.status)
            self.line['completed'] = True
        elif stream:
            await self.stream(answer)
        else:
            await self.whole(answer)

    def coding(self):
        return [('content-encoding', self.reply.encode(self.script.encoding))] \
            if self.script.encoding else []

    async def whole(self, answer):
        body = json.dumps(answer.document, ensure_ascii=False).encode()
        script = self.script
        cut = max(script.abort_after, script.reset_after, script.stall_after)
        if cut >= 0:
            head = self.reply.head(200, self.fields(
                JSON_TYPE, ('content-length', str(len(body))), *answer.fields))
            await self.reply.put(head + body[:cut])
            await self.fail()
            return
        fields = self.fields(JSON_TYPE, *self.coding(), *answer.fields)
        await self.reply.whole(200, fields, body)
        self.line.update(sent=1, completed=True)

    async def stream(self, answer):
        script = self.script
        fields = self.fields(('content-type', answer.content_type),
                             ('cache-control', 'no-cache'), *self.coding(), *answer.fields)
        await self.reply.start(200, fields)
        for index, event in enumerate(answer.events):
            if index == script.error_after:
                await self.reply.piece(self.error_event())
                await self.reply.finish()
                return
            if index in (script.abort_after, script.reset_after, script.stall_after):
                await self.fail()
                return
            if self.reply.reader.at_eof():
                raise ConnectionResetError('the client has left')
            await self.reply.piece(event)
            self.line['sent'] = index + 1
            if script.delay_ms:
                await asyncio.sleep(script.delay_ms / 1000)
        await self.reply.finish()
        self.line['completed'] = True

    async def fail(self):
        if self.script.stall_after >= 0:
            while not self.reply.reader.at_eof():
                await asyncio.sleep(0.05)
        self.reply.abort(reset=self.script.reset_after >= 0)

    def error_body(self, status):
        words = 'demo provider: ' + REASONS.get(status, 'error %d' % status)
        if self.ask is not None:
            return self.ask.api.error(status, words, self.request_id)
        if self.native_anthropic:
            return anthropic.error(status, words, self.request_id)
        return openai.error(status, words)

    def error_event(self):
        if self.ask is not None and self.ask.api is bedrock:
            return bedrock.stream_error('demo provider: overloaded')
        if self.ask is not None and self.ask.api is ollama:
            return ollama.line(self.error_body(529))
        event = b'event: error\n' if self.native_anthropic else b''
        return event + b'data: ' + json.dumps(self.error_body(529)).encode() + b'\n\n'

    async def error(self, status):
        more = [JSON_TYPE]
        if self.ask is not None and self.ask.api is bedrock:
            more.append(bedrock.error_type(status))
        if self.script.retry_after >= 0:
            more.append(('retry-after', str(self.script.retry_after)))
        body = json.dumps(self.error_body(status)).encode()
        await self.reply.whole(status, self.fields(*more), body)

    async def document(self, value):
        await self.reply.whole(200, self.fields(JSON_TYPE), json.dumps(value).encode())

    def record(self):
        if self.line is not None:
            self.line['time'] = round(time.time(), 3)
            self.write_truth(self.line)

    def write_truth(self, line):
        if self.provider.truth is None:
            return
        values = ' '.join(value for _, value in self.request.fields)
        line['virtual_key_seen'] = VIRTUAL_KEY in values
        self.provider.truth.write(json.dumps(line) + '\n')
        self.provider.truth.flush()


async def serve(args):
    tls = None
    if args.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(args.cert, args.key)
    truth = open(args.truth, 'a', encoding='utf-8') if args.truth else None
    provider = Provider(truth, args.credential)
    server = await Server(provider.handle, tls).start(args.port)
    print('demo provider on %s://127.0.0.1:%d' % ('https' if tls else 'http', server.port),
          flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await server.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--port', type=int, default=0, help='0: any free port (default)')
    parser.add_argument('--cert', metavar='FILE', help='certificate chain: serve TLS')
    parser.add_argument('--key', metavar='FILE', help='its private key')
    parser.add_argument('--truth', metavar='FILE', help='append what was really used')
    parser.add_argument('--credential', metavar='TEXT', help='refuse calls without it')
    asyncio.run(serve(parser.parse_args()))


if __name__ == '__main__':
    main()
