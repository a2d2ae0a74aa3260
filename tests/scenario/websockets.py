"""WebSockets through the running proxy: the handshake, frames relayed as they came, every
response metered and admitted by itself, and every way in which a connection can end."""

import asyncio
import json
import os
import signal
import tempfile
import time

import callers
import http1
import websocket
from proxy import PATIENCE, Assay, wait_for

QUIET_SECONDS = 0.4  # in which a record too many would have come
BIG = 3 * 1024 * 1024
AT_ONCE = 5
LIFE_SECONDS = 10     # of a token that is used before it expires, and after
RELOAD_SECONDS = 0.5  # from the log's word of a reload until every worker has it
DEFLATE = 'permessage-deflate'


class Provider:
    """Speaks WebSocket by `script(socket, request)`; keeps what it saw."""

    def __init__(self, script, extensions=None, protocol=None, more=(), answer=None):
        self.script = script
        self.extensions, self.protocol, self.more = extensions, protocol, more
        self.answer = answer
        self.requests, self.sockets = [], []
        self.server = None

    async def handle(self, request, reply):
        self.requests.append(request)
        if self.answer:
            reply.writer.write(self.answer)
            reply.keep = False
            return
        socket = websocket.switch(request, reply, self.protocol, self.extensions, self.more)
        self.sockets.append(socket)
        try:
            await self.script(socket, request)
        except websocket.Closed as closed:
            if closed.code is not None:
                socket.close(closed.code, closed.reason)
            elif not socket.writer.is_closing():
                socket.send_frame(websocket.CLOSE)

    async def __aenter__(self):
        self.server = await http1.Server(self.handle).start()
        return self

    async def __aexit__(self, *_):
        await self.server.close()


class House:
    """A provider and an assay in front of it."""

    def __init__(self, script=None, settings=None, provider=None, listen=None, **upstream):
        self.provider = Provider(script or echo_responses, **upstream)
        self.listen = listen
        self.settings = {'workers': 1, **(settings or {})}
        self.more = provider or {}
        self.assay = None

    async def __aenter__(self):
        await self.provider.__aenter__()
        self.assay = Assay({'openai': {
            'url': 'http://127.0.0.1:%d' % self.provider.server.port, 'dialects': ['openai'],
            'credential': 'env:UPSTREAM_KEY', 'default': True, **self.more}}, self.settings,
            self.listen)
        await asyncio.to_thread(self.assay.start)
        return self

    async def __aexit__(self, *_):
        await asyncio.to_thread(self.assay.__exit__)
        await self.provider.__aexit__()

    async def connect(self, path='/v1/responses', fields=None, **more):
        return await asyncio.wait_for(websocket.connect(
            self.assay.port, path, fields if fields is not None else
            [('authorization', 'Bearer ' + self.assay.key)], **more), PATIENCE)

    async def open(self, *path, **more):
        status, fields, socket, body = await self.connect(*path, **more)
        if socket is None:
            raise RuntimeError('refused: %s %s %s' % (status, fields, body))
        return socket

    async def records(self, count=0, ended=0):
        """The ledger's records of responses, oldest first, and the connections', once there
        are so many of each."""
        def both():
            records = self.assay.export()
            return ([one for one in records if one['operation'] != 'connect'],
                    [one for one in records if one['operation'] == 'connect'])

        def enough():
            responses, connections = both()
            return len(responses) >= count and len(connections) >= ended
        await asyncio.to_thread(wait_for, enough)
        await asyncio.sleep(QUIET_SECONDS)
        return await asyncio.to_thread(both)


# ---- what a provider says --------------------------------------------------------------------

def usage(input_tokens, output_tokens, cached=0):
    return {'input_tokens': input_tokens, 'input_tokens_details': {'cached_tokens': cached},
            'output_tokens': output_tokens,
            'output_tokens_details': {'reasoning_tokens': 0},
            'total_tokens': input_tokens + output_tokens}


def events_of(number, lane=None, text='word ', words=3, used=None, model='gpt-5'):
    """The events of one response as texts; the lane stands last, as it may."""
    identity = 'resp_%d' % number
    opening = {'id': identity, 'object': 'response', 'status': 'in_progress', 'model': model,
               'usage': None}
    events = [{'type': 'response.created', 'response': opening}]
    events += [{'type': 'response.output_text.delta', 'item_id': 'msg', 'delta': text}
               for _ in range(words)]
    events.append({'type': 'response.completed', 'response': {
        **opening, 'status': 'completed', 'usage': used or usage(10 * number, words, number)}})
    return [json.dumps({**event, **({'stream_id': lane} if lane else {})})
            for event in events]


async def echo_responses(socket, _request, pieces=1):
    """A response for each message that asks for one, in turn."""
    number = 0
    while True:
        message = json.loads(await socket.receive())
        if message.get('type') == 'response.create':
            number += 1
            for event in events_of(number, message.get('stream_id')):
                socket.send(event, pieces)


def create(lane=None, **members):
    return json.dumps({'type': 'response.create', 'model': 'gpt-5', 'input': 'hi',
                       **({'stream_id': lane} if lane else {}), **members})


async def until(socket, kind, count=1):
    """Messages up to the `count`th of this type."""
    seen = []
    while count:
        seen.append(json.loads(await asyncio.wait_for(socket.receive(), PATIENCE)))
        count -= seen[-1]['type'] == kind
    return seen


async def closing(socket):
    """(code, reason, messages) of how the connection ends; code None: without a close frame."""
    messages = []
    try:
        while True:
            messages.append(json.loads(await asyncio.wait_for(socket.receive(),
                                                              PATIENCE)))
    except websocket.Closed as closed:
        return closed.code, closed.reason, messages


def tokens(record):
    return {name: record['tokens'][name] for name in ('input', 'cache_read', 'output')}


# ---- cases ----------------------------------------------------------------------------------------

async def relays(results, offer, extensions, pieces):
    """Several responses over one connection, each a record; frames as they came."""
    async def script(socket, request):
        await echo_responses(socket, request, pieces)
    name = 'frames in %d pieces, %s' % (pieces, extensions or 'not compressed')
    async with House(script, extensions=extensions) as house:
        socket = await house.open(offer=offer)
        for number in range(1, 4):
            socket.send(create(), pieces)
            await until(socket, 'response.completed')
        socket.send_frame(websocket.PING, b'are you there')
        socket.close(1000, 'bye')
        code, reason, _ = await closing(socket)
        records, connections = await house.records(3, 1)
        other = house.provider.sockets[0]
    results.ok(code == 1000 and reason == 'bye' and socket.pongs == [b'are you there'],
               name + ': ping, pong and close go through', code, reason, socket.pongs)
    results.ok(bytes(socket.sent) == bytes(other.received) and
               bytes(socket.received) == bytes(other.sent),
               name + ': every byte is as it was sent')
    results.ok([tokens(one) for one in records] == [
        {'input': 9 * n, 'cache_read': n, 'output': 3} for n in (1, 2, 3)] and
        all(one['usage_source'] == 'reported' and one['outcome'] == 'complete' and
            one['dialect'] == 'openai.responses' and one['stream'] and one['events'] == 5 and
            one['status'] == 200 and one['cost_nanousd'] for one in records),
        name + ': each response is a record of its own', records)
    results.ok(len(connections) == 1 and connections[0]['status'] == 101 and
               connections[0]['outcome'] == 'complete' and connections[0]['free'],
               name + ': the connection is one, without tokens', connections)


async def lanes(results):
    """Lanes interleave event by event, and answer in another order than they were asked."""
    async def script(socket, _request):
        asked = [json.loads(await socket.receive())['stream_id'] for _ in range(4)]
        streams = [events_of(number + 1, lane) for number, lane in enumerate(asked)]
        firsts = [stream for lane, stream in zip(asked, streams) if lane != 'a2']
        for step in zip(*reversed(firsts)):
            for event in step:
                socket.send(event)
        for event in streams[asked.index('a2')]:
            socket.send(event)
        await socket.receive()
    async with House(script) as house:
        socket = await house.open()
        for lane in ('a', 'b', 'c', 'a2'):
            socket.send(create(lane, model='gpt-5-' + lane))
        seen = await until(socket, 'response.completed', 4)
        socket.close()
        records, _ = await house.records(4)
    by_model = {one['request_model']: one for one in records}
    results.ok(len(seen) == 20 and len(by_model) == 4 and all(
        tokens(by_model['gpt-5-' + lane])['cache_read'] == number and
        by_model['gpt-5-' + lane]['events'] == 5
        for number, lane in enumerate(('a', 'b', 'c', 'a2'), 1)),
        'several lanes at once: every event counts for its own', records)


async def fifo(results):
    """Two responses asked for on one lane: the first answer is the first one's."""
    async def script(socket, _request):
        await socket.receive()
        await socket.receive()
        for number in (1, 2):
            for event in events_of(number, 'same'):
                socket.send(event)
        await socket.receive()
    async with House(script) as house:
        socket = await house.open()
        socket.send(create('same', model='first'))
        socket.send(create('same', model='second'))
        await until(socket, 'response.completed', 2)
        records, _ = await house.records(2)
    results.ok([(one['request_model'], tokens(one)['input']) for one in records] ==
               [('first', 9), ('second', 18)], 'a lane is served in its order', records)


async def cuts(results):
    """The provider breaks off in mid-response: without a word, and with one."""
    for how in ('drop', 'close', 'frame'):
        async def script(socket, _request, how=how):
            await socket.receive()
            for event in events_of(1, words=50)[:40]:
                socket.send(event)
            await socket.writer.drain()
            if how == 'close':
                socket.close(1012, 'again later')
                await closing(socket)
            elif how == 'frame':
                socket.raw(b'\x81\x7e\x10\x00half')
            await asyncio.sleep(0.2)
            socket.writer.close()
        async with House(script) as house:
            socket = await house.open()
            socket.send(create())
            code, reason, messages = await closing(socket)
            if code is not None:
                socket.close(code)
            records, connections = await house.records(1, 1)
        record = records[0]
        results.ok(len(messages) == 40 and (code, reason) == (
            (1012, 'again later') if how == 'close' else (None, '')),
            'a cut (%s): the client sees it as it was' % how, code, reason, len(messages))
        results.ok(record['outcome'] == 'upstream_cut' and
                   record['usage_source'] in ('estimated', 'partial') and
                   record['tokens']['output'] > 20 and
                   connections[0]['outcome'] == ('complete' if how == 'close'
                                                 else 'upstream_cut'),
                   'a cut (%s): estimated, and says so' % how, record, connections)


async def leaving(results):
    """A client that leaves in mid-response."""
    for how, policy in (('drop', 'drain'), ('close', 'drain'), ('drop', 'cancel'),
                        ('close', 'cancel')):
        # One that is to be cancelled goes on until it is.
        words = 3000 if (how, policy) == ('drop', 'cancel') else 75

        async def script(socket, _request, words=words):
            await socket.receive()
            for event in events_of(1, words=words):
                socket.send(event)
                await asyncio.sleep(0.02)
            code, _, _ = await closing(socket)
            socket.close(code or 1000)
        async with House(script, provider={'on_client_abort': policy}) as house:
            socket = await house.open()
            socket.send(create())
            await until(socket, 'response.output_text.delta', 3)
            code = None
            if how == 'close':
                socket.close(1000)
                code, _, _ = await closing(socket)
            socket.abort()
            records, connections = await house.records(1, 1)
        seen = tuple(records[0][name] for name in ('outcome', 'drained', 'usage_source'))
        results.ok(seen == {('drop', 'drain'): ('client_abort', True, 'reported'),
                            ('close', 'drain'): ('client_abort', True, 'reported'),
                            ('drop', 'cancel'): ('client_abort', False, 'estimated'),
                            # this provider finishes before it answers the close
                            ('close', 'cancel'): ('complete', False, 'reported')}[how, policy],
                   'a client that leaves (%s, %s)' % (how, policy), records)
        results.ok(how == 'drop' or code == 1000, 'it is answered (%s, %s)' % (how, policy),
                   code)
        results.ok(len(connections) == 1, 'its connection is recorded', connections)


async def malformed(results):
    """Messages that are no requests: refused by an event, or the connection ends."""
    async with House() as house:
        socket = await house.open()
        for text in ('not json', '[]', '{"type":"response.create","type":"x"}',
                     '{"type":"response.create","model":7}', ''):
            socket.send(text)
            error = (await until(socket, 'error'))[0]
            results.ok(error['status'] == 400 and error['error']['message'] and
                       error['event_id'].startswith('ax-'), 'refused: %s' % text, error)
        socket.send(create())
        await until(socket, 'response.completed')
        records, _ = await house.records(6)
        reached = bytes(house.provider.sockets[0].received)
    results.ok(sum(one['outcome'] == 'refused' and one['status'] == 400
                   for one in records) == 5, 'what is refused is recorded', records)
    results.ok(reached == websocket.frame(1, create().encode(), reached[2:6]),
               'only the good message reached the provider', reached)

    async def other(socket, _request):
        await closing(socket)
    for name, code, data in (
            ('a binary message', 1003, websocket.frame(2, b'{}', b'abcd')),
            ('a frame without a mask', 1002, websocket.frame(1, b'{}')),
            ('a reserved bit', 1002, websocket.frame(1, b'{}', b'abcd', bits=1)),
            ('compression that was not agreed on', 1002,
             websocket.frame(1, b'{}', b'abcd', bits=4)),
            ('a continuation of nothing', 1002, websocket.frame(0, b'{}', b'abcd')),
            ('a close code that is none', 1002, websocket.frame(8, b'\x03\xed', b'abcd')),
            ('a duplicate type behind one that passed', 1008, websocket.frame(
                1, b'{"type":"session.update"', b'abcd', final=False) + websocket.frame(
                    0, b',"type":"response.create"}', b'abcd'))):
        async with House(other) as house:
            socket = await house.open()
            socket.raw(data)
            seen, _, _ = await closing(socket)
            _, connections = await house.records(0, 1)
        results.ok(seen == code and connections[0]['fault'], '%s: %d' % (name, code), seen,
                   connections)


async def sizes(results):
    """A message up to the bound of bodies is held, with a ping in its middle; one beyond it
    ends the connection. Memory stays bounded by it."""
    async with House(settings={'limits': {'body': '4 MiB'}}) as house:
        socket = await house.open()
        body = create(instructions='x' * BIG).encode()
        socket.send_frame(websocket.TEXT, body[:BIG // 2], final=False)
        socket.send_frame(websocket.PING, b'within')
        await asyncio.wait_for(socket.receive_frame(), PATIENCE)
        early = len(house.provider.sockets[0].received)
        socket.send_frame(0, body[BIG // 2:])
        await until(socket, 'response.completed')
        pings = house.provider.sockets[0].pings
        socket.send(create(instructions='x' * 2 * BIG))
        code, _, _ = await closing(socket)
        records, connections = await house.records(1, 1)
    results.ok(pings == [b'within'] and early < 100,
               'a ping goes before the message that is held', early)
    results.ok(records[0]['request_bytes'] == len(body) and
               records[0]['usage_source'] == 'reported', 'a long message passes', records)
    results.ok(code == 1009 and connections[0]['fault'] == 'body_too_large',
               'a longer one ends the connection', code, connections)


async def bombs(results):
    """Compressed messages that grow without bound: from either side."""
    async def script(socket, _request):
        await socket.receive()
        socket.send(json.dumps({'type': 'response.x', 'pad': 'x' * 8 * BIG}))
        await closing(socket)
    limits = {'limits': {'decoded': '2 MiB'}}
    async with House(script, settings=limits, extensions=DEFLATE) as house:
        socket = await house.open(offer=DEFLATE)
        socket.send(create())
        code, _, _ = await closing(socket)
        _, connections = await house.records(1, 1)
        results.ok(connections[0]['fault'] == 'upstream_body', "a provider's bomb", code,
                   connections)
    async with House(settings=limits, extensions=DEFLATE) as house:
        socket = await house.open(offer=DEFLATE)
        socket.send(create(instructions='x' * 8 * BIG))
        code, _, _ = await closing(socket)
        reached = bytes(house.provider.sockets[0].received)
        results.ok(code == 1009 and (not reached or reached[0] == 0x88),
                   "a client's bomb does not reach the provider", code, reached[:20])


async def quotas(results):
    """Every response is admitted by itself: a refused one does not reach the provider."""
    policy = [{'name': 'few', 'limit': '100 tokens', 'per': 'day'}]
    async with House(settings={'quotas': policy}) as house:
        socket = await house.open()
        socket.send(create('a', max_output_tokens=50))
        await until(socket, 'response.completed')
        socket.send(create('b', max_output_tokens=500))
        error = (await until(socket, 'error'))[0]
        socket.send(create('c', max_output_tokens=50))
        await until(socket, 'response.completed')
        records, _ = await house.records(3)
        reached = house.provider.sockets[0].messages
    results.ok(error['status'] == 429 and error['stream_id'] == 'b' and
               error['error']['code'] == 'insufficient_quota' and
               "quota 'few' has too little left" in error['error']['message'] and
               error['headers']['x-should-retry'] == 'false' and
               int(error['headers']['retry-after']) > 0,
               'a lane is refused by an event of its own', error)
    results.ok([one['outcome'] for one in records] == ['complete', 'refused', 'complete'] and
               records[1]['fault'] == 'quota_exceeded' and records[1]['status'] == 429 and
               len(reached) == 2, 'and the others go on', records, reached)

    async def unasked(socket, _request):
        for event in events_of(1):
            socket.send(event)
        await closing(socket)
    policy = [{'name': 'none', 'limit': '1 tokens', 'per': 'day'}]
    async with House(unasked, settings={'quotas': policy}) as house:
        socket = await house.open()
        code, _, messages = await closing(socket)
        records, _ = await house.records(1)
    results.ok(code == 1008 and messages[-1]['type'] == 'error' and
               records[0]['fault'] == 'quota_exceeded',
               'a response that nobody asked for ends the conversation', code, messages,
               records)


    async with House(unasked, settings={'quotas': policy}) as house:
        status, fields, _, body = await house.connect('/v1/realtime?model=gpt-realtime')
        records, connections = await house.records(0, 1)
    results.ok(status == 429 and http1.field(fields, 'x-should-retry') == 'false' and
               b"quota 'none' " in body and not house.provider.requests,
               'where responses begin unasked, a used up quota refuses the connection', status,
               body)
    results.ok(not records and connections[0]['outcome'] == 'refused' and
               connections[0]['fault'] == 'quota_exceeded', 'and that is recorded', connections)

    async def talkative(socket, _request):
        await socket.receive()
        for event in events_of(1, words=400):
            socket.send(event)
        await closing(socket)
    policy = [{'name': 'tight', 'limit': '60 tokens', 'per': 'day', 'on_exceed': 'cut'}]
    async with House(talkative, settings={'quotas': policy}) as house:
        socket = await house.open()
        socket.send(create(max_output_tokens=20))
        code, _, messages = await closing(socket)
        records, _ = await house.records(1)
    results.ok(code == 1008 and messages[-1]['error']['code'] == 'insufficient_quota' and
               records[0]['outcome'] == 'quota_cut',
               'a response is cut where a quota says so', code, messages[-1], records)


async def revoked(results):
    """A key that is revoked while its connection is open asks for nothing more."""
    async with House() as house:
        socket = await house.open()
        socket.send(create())
        await until(socket, 'response.completed')
        records, _ = await house.records(1)
        await asyncio.to_thread(house.assay.run, 'keys', 'revoke', records[0]['key'])
        await asyncio.to_thread(house.assay.wait_for_key, house.assay.key, False)
        socket.send(create())
        error = (await until(socket, 'error'))[0]
        records, _ = await house.records(2)
    results.ok(error['status'] == 401 and records[1]['fault'] == 'bad_credential' and
               len(house.provider.sockets[0].messages) == 1,
               'a key that was revoked meanwhile: refused', error, records)


async def tokens_end(results):
    """A token that expires, and a member who is struck off, ask for nothing more either."""
    def teams(assay, **teams):
        assay.config['teams'] = teams
        assay.reload()

    async def refused(house, socket):
        before, _ = await house.records()
        socket.send(create())
        events = await until(socket, 'error', 1)
        records, _ = await house.records(len(before) + 1)
        return events[0].get('status'), records[-1]['fault']

    with tempfile.TemporaryDirectory(prefix='assay-token-') as folder:
        key = callers.Key(folder, 'k1')
        with open(os.path.join(folder, 'jwks.json'), 'w', encoding='utf-8') as file:
            json.dump({'keys': [key.jwk()]}, file)
        issuer = {'issuer': callers.ISSUER, 'audience': ['assay'], 'leeway': '0s',
                  'jwks': 'file:' + file.name, 'claims': {'caller': 'email'}}
        listen = {'identify': ['key', 'jwt', 'header'],
                  'trusted_header': {'name': 'x-corp-user', 'from': ['127.0.0.1']}}
        async with House(settings={'issuers': {'corp': issuer}}, listen=listen) as house:
            expiry = int(time.time()) + LIFE_SECONDS
            short, long = (key.token(email='tester', exp=when)
                           for when in (expiry, expiry + 600))
            sockets = [await house.open(fields=fields) for fields in (
                [('authorization', 'Bearer ' + short)], [('x-assay-key', long)],
                [('x-corp-user', 'tester')])]
            for socket in sockets:
                socket.send(create())
                await until(socket, 'response.completed')
            await asyncio.sleep(expiry + 0.2 - time.time())
            expired = await refused(house, sockets[0])
            sockets[1].send(create())
            lasting = await until(sockets[1], 'response.completed')
            await asyncio.to_thread(teams, house.assay, others={'callers': ['second']})
            await asyncio.sleep(RELOAD_SECONDS)
            gone = [await refused(house, socket) for socket in sockets[1:]]
            await asyncio.to_thread(teams, house.assay,
                                    others={'callers': ['second', 'tester']})
            await asyncio.sleep(RELOAD_SECONDS)
            moved = [await refused(house, socket) for socket in sockets[1:]]
    results.ok(expired == (401, 'token_expired'), 'a token that expired meanwhile: refused',
               expired)
    results.ok(bool(lasting) and gone == [(403, 'unknown_member')] * 2,
               'a member who was struck off: refused', gone)
    results.ok(moved == [(401, 'bad_credential')] * 2,
               'one who changed teams has to connect anew', moved)


async def realtime(results):
    """Every response.done is a call; what was heard is one, too, of another model."""
    async def script(socket, _request):
        socket.send(json.dumps({'type': 'session.created', 'session': {
            'model': 'gpt-realtime-2', 'audio': {'input': {
                'transcription': {'model': 'whisper-9'}}}}}))
        number = 0
        while True:
            message = json.loads(await socket.receive())
            if message['type'] not in ('response.create', 'input_audio_buffer.commit'):
                continue
            number += 1
            if message['type'] == 'input_audio_buffer.commit':
                socket.send(json.dumps({
                    'type': 'conversation.item.input_audio_transcription.completed',
                    'item_id': 'i', 'transcript': 'hello', 'usage': {
                        'type': 'tokens', 'input_tokens': 20, 'output_tokens': 4,
                        'total_tokens': 24, 'input_token_details': {'audio_tokens': 20}}}))
            place = {'response_id': 'r%d' % number}
            said = {'input_tokens': 100, 'output_tokens': 30, 'total_tokens': 130,
                    'input_token_details': {'cached_tokens': 40, 'text_tokens': 70,
                                            'audio_tokens': 30},
                    'output_token_details': {'text_tokens': 10, 'audio_tokens': 20}}
            socket.send(json.dumps({'type': 'response.created', 'response': {
                'id': 'r%d' % number, 'usage': None}}))
            socket.send(json.dumps({'type': 'response.output_audio.delta',
                                    'delta': 'AAAA' * 1000, **place}))
            socket.send(json.dumps({'type': 'response.done', 'response': {
                'id': 'r%d' % number, 'status': 'completed', 'usage': said}}))
    async with House(script, protocol='realtime') as house:
        key = house.assay.key
        socket = await house.open('/v1/realtime?model=gpt-realtime', fields=[],
                                  protocols='realtime, openai-insecure-api-key.' + key)
        socket.send(json.dumps({'type': 'input_audio_buffer.append', 'audio': 'AAAA' * 5000}))
        socket.send(json.dumps({'type': 'response.create'}))
        socket.send(json.dumps({'type': 'input_audio_buffer.commit'}))
        await until(socket, 'response.done', 2)
        socket.close()
        records, _ = await house.records(3)
        request = house.provider.requests[0]
    results.ok(request.field('sec-websocket-protocol') == 'realtime' and
               request.field('authorization') == 'Bearer sk-upstream' and
               key not in str(request.fields) and '?model=gpt-realtime' in request.target,
               "a browser's key stays here; the provider's goes on", request.fields)
    models = sorted((one['request_model'], one['tokens']['input'], one['tokens']['cache_read'],
                     one['tokens']['output'], one['usage_source']) for one in records)
    results.ok(models == [('gpt-realtime-2', 60, 40, 30, 'reported')] * 2 + [
        ('whisper-9', 20, None, 4, 'reported')] and
        all(one['dialect'] == 'openai.realtime' for one in records),
        'responses and transcriptions are recorded apart', records)
    results.ok(all(one['modality'].get('output_audio') == 20 for one in records
                   if one['request_model'] == 'gpt-realtime-2'), 'with their audio', records)


async def errors(results):
    """An error event of the provider's ends what it refuses, and costs nothing."""
    async def script(socket, _request):
        while True:
            message = json.loads(await socket.receive())
            socket.send(json.dumps({'type': 'error', 'status': 404, 'error': {
                'type': 'invalid_request_error', 'code': 'previous_response_not_found',
                'message': 'no'}, 'stream_id': message['stream_id']}))
    async with House(script) as house:
        socket = await house.open()
        socket.send(create('x'))
        await until(socket, 'error')
        records, _ = await house.records(1)
    results.ok(records[0]['status'] == 404 and records[0]['usage_source'] == 'none' and
               records[0]['cost_nanousd'] == 0 and records[0]['outcome'] == 'complete',
               "a provider's error event", records)


async def refusals(results):
    """Handshakes that are refused, by assay and by the provider."""
    key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
    async with House() as house:
        auth = 'Authorization: Bearer %s\r\n' % house.assay.key

        async def ask(path, lines):
            reader, writer = await asyncio.open_connection('127.0.0.1', house.assay.port)
            writer.write(('GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n' % (path, lines)).encode())
            start, fields = await http1.read_head(reader)
            writer.close()
            return int(start.split(' ')[1]), fields
        good = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
        for name, path, lines, wanted in (
                ('without a key of assay', '/v1/responses', good + key, 401),
                ('with an unknown one', '/v1/responses',
                 good + key + 'Authorization: Bearer assay_x\r\n', 401),
                ('with two', '/v1/responses', good + key + auth +
                 'Sec-WebSocket-Protocol: openai-insecure-api-key.x\r\n', 401),
                ('of another version', '/v1/responses',
                 auth + good.replace('13', '8') + key, 426),
                ('without a Sec-WebSocket-Key', '/v1/responses', auth + good, 426),
                ('that is a plain GET', '/v1/responses', auth, 426),
                ('for h2c', '/v1/responses', auth + good.replace('websocket', 'h2c'), 426),
                ('on another path', '/v1/chat/completions', auth + good + key, 426),
                ('where no provider is', '/none/x', auth + good + key, 426)):
            status, fields = await ask(path, lines)
            results.ok(status == wanted and (
                wanted != 426 or path != '/v1/responses' or
                http1.field(fields, 'sec-websocket-version') == '13'),
                'a handshake %s: %d' % (name, wanted), status, fields)
        results.ok(not house.provider.requests, 'none of them reached the provider',
                   house.provider.requests)
    async with House(provider={'websockets': False}) as house:
        status, _, _, _ = await house.connect()
        results.ok(status == 426 and not house.provider.requests,
                   'a provider whose WebSockets are off: 426', status)
    for status in (401, 404, 426):
        answer = ('HTTP/1.1 %d No\r\ncontent-length: 2\r\nx-own: y\r\n\r\nno' % status).encode()
        async with House(answer=answer) as house:
            seen, fields, _, body = await house.connect()
            records, _ = await house.records()
        results.ok((seen, body, http1.field(fields, 'x-own')) == (status, b'no', 'y') and
                   not records, "a provider's refusal goes through: %d" % status, seen, body)
    switching = ('HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\n'
                 'sec-websocket-accept: %s\r\n%s\r\n')
    right = websocket.answer('dGhlIHNhbXBsZSBub25jZQ==')
    for name, answer in (
            ('a wrong answer to the key', switching % (right.lower(), '')),
            ('an extension that nobody offered',
             switching % (right, 'sec-websocket-extensions: permessage-deflate\r\n')),
            ('a subprotocol that nobody offered',
             switching % (right, 'sec-websocket-protocol: x\r\n')),
            ('another upgrade', switching.replace('websocket\r', 'h2c\r', 1) % (right, ''))):
        async with House(answer=answer.encode()) as house:
            status, _, _, _ = await house.connect(key='dGhlIHNhbXBsZSBub25jZQ==')
        results.ok(status == 502, name + ': 502', status)


async def stopping(results):
    """SIGTERM: an idle connection is told to go, a busy one finishes first."""
    refused = asyncio.Event()

    async def script(socket, _request):
        await socket.receive()
        first, *rest = events_of(1, words=20)
        socket.send(first)
        await refused.wait()
        for event in rest:
            socket.send(event)
        await closing(socket)
    async with House(script) as house:
        idle, busy = await house.open(), await house.open()
        busy.send(create())
        await until(busy, 'response.created')
        house.assay.send_signal(signal.SIGTERM)
        idle_code, _, _ = await closing(idle)
        busy.send(create())
        messages = await until(busy, 'error')
        refused.set()
        busy_code, _, rest = await closing(busy)
        messages += rest
        idle.writer.close()
        busy.writer.close()
        status = await asyncio.to_thread(house.assay.stop)
        records, _ = await house.records(2)
    kinds = [message['type'] for message in messages]
    results.ok(idle_code == busy_code == 1001 and status == 0, 'both are told: 1001',
               idle_code, busy_code, status)
    results.ok('response.completed' in kinds and 'error' in kinds and
               sorted(one['outcome'] for one in records) == ['complete', 'refused'],
               'what is under way finishes, nothing new begins', kinds, records)


async def deadlines(results):
    async def silent(socket, _request):
        await closing(socket)
    async with House(silent, provider={'timeouts': {'websocket_idle': '300ms'}}) as house:
        socket = await house.open()
        begun = time.monotonic()
        socket.send_frame(websocket.PING)
        code, _, _ = await closing(socket)
        waited = time.monotonic() - begun
    results.ok(code == 1001 and 0.25 < waited < PATIENCE, 'a silent connection ends', code,
               waited)
    slow = {'timeouts': {'idle': '300ms', 'first_byte': '300ms'}}
    async with House(silent, provider=slow) as house:
        other = await house.open()
        other.send(create())
        busy, _, _ = await closing(other)
        records, connections = await house.records(1)
    results.ok(busy == 1011 and records[0]['outcome'] == 'timeout' and
               records[0]['fault'] == 'first_byte_timeout',
               'a provider that does not answer', busy, records, connections)
    async with House(silent, settings={'limits': {'body_timeout': '300ms'}}) as house:
        socket = await house.open()
        socket.send_frame(websocket.TEXT, b'{"type":"resp', final=False)
        code, _, _ = await closing(socket)
        _, connections = await house.records(0, 1)
    results.ok(code is not None and connections[0]['fault'] == 'body_timeout',
               'a message that does not end', code, connections)


async def pressure(results):
    """A client that does not read stops the provider, and loses nothing."""
    count = 600

    async def script(socket, _request):
        await socket.receive()
        for event in events_of(1, text='x' * 65536, words=count):
            socket.send(event)
            await socket.writer.drain()
            script.sent += 1
        await closing(socket)
    script.sent = 0
    async with House(script) as house:
        socket = await house.open()
        socket.reader._limit = 65536
        socket.send(create())
        await asyncio.sleep(1.0)
        stalled = script.sent
        seen = await until(socket, 'response.completed')
        records, _ = await house.records(1)
    results.ok(stalled < count and len(seen) == count + 2 and
               records[0]['usage_source'] == 'reported',
               'a slow reader stops the provider and gets everything', stalled, len(seen))


async def flood(results):
    """A client that is refused without end, and does not read it."""
    async def silent(socket, _request):
        await closing(socket)
    bad = websocket.frame(1, b'x', b'abcd') * 200
    async with House(silent, settings={'limits': {'write_timeout': '60s'}}) as house:
        socket = await house.open()
        socket.writer.transport.pause_reading()
        before, sent = house.assay.rss(), 0
        try:
            while sent < 6000 * len(bad):
                socket.writer.write(bad)
                await asyncio.wait_for(socket.writer.drain(), 2)
                sent += len(bad)
        except asyncio.TimeoutError:
            pass
        grown = house.assay.rss() - before
        socket.abort()
    results.ok(grown < 96 * 1024 * 1024, 'a flood of refused messages takes bounded memory',
               grown, sent)


async def early(results):
    """Events of the provider's that come with its 101, and messages of the client's that
    come with its request."""
    async def script(socket, _request):
        socket.send(json.dumps({'type': 'session.hello'}))
        await echo_responses(socket, None)
    async with House(script) as house:
        reader, writer = await asyncio.open_connection('127.0.0.1', house.assay.port)
        writer.write(('GET /v1/responses HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n'
                      'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
                      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
                      'Authorization: Bearer %s\r\n\r\n' % house.assay.key).encode() +
                     websocket.frame(1, create().encode(), b'abcd'))
        start, _ = await http1.read_head(reader)
        socket = websocket.Socket(reader, writer, True)
        seen = await until(socket, 'response.completed')
        records, _ = await house.records(1)
    results.ok('101' in start and seen[0]['type'] == 'session.hello' and len(seen) == 6 and
               records[0]['usage_source'] == 'reported', 'bytes behind the heads', start, seen)


async def all_cases(results):
    """They mostly wait: some at once, those that take longest first."""
    keeps = DEFLATE
    forgets = DEFLATE + '; server_no_context_takeover; client_no_context_takeover'
    narrow = DEFLATE + '; server_max_window_bits=10'
    some = asyncio.Semaphore(AT_ONCE)

    async def one(case, *args):
        async with some:
            await case(results, *args)
    waiting = [one(case) for case in (
        tokens_end, malformed, leaving, quotas, cuts, deadlines, bombs, pressure, refusals,
        revoked, sizes, flood, lanes, fifo, realtime, errors, stopping, early)]
    waiting += [one(relays, *args) for args in (
        (None, None, 1), (None, None, 7), (DEFLATE, keeps, 1), (DEFLATE, keeps, 5),
        (DEFLATE, forgets, 3), (DEFLATE + '; client_max_window_bits', narrow, 1),
        (DEFLATE, None, 1))]
    await asyncio.gather(*waiting)


def run(results):
    asyncio.run(all_cases(results))
