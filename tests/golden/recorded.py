"""The recorded provider: answers each request with the recording that its header names."""

import asyncio
import random

import corpus
import http1

CASE_FIELD = 'x-golden-case'
CHUNK_MEAN = 900


class Arrival:
    """What reached the provider for one case."""

    def __init__(self, request):
        self.method = request.method
        self.target = request.target
        self.fields = request.fields
        self.body = request.body


class RecordedProvider:
    """Serves cases by id. `split` cuts bodies at random: chunks, writes, TLS records."""

    def __init__(self, cases, split, seed):
        self.cases = {case.id: case for case in cases}
        self.split = split
        self.seed = seed
        self.arrivals = {}

    async def handle(self, request, reply):
        case = self.cases.get(request.field(CASE_FIELD))
        if case is None:
            await reply.whole(599, [], b'unknown case')
            return
        self.arrivals.setdefault(case.id, []).append(Arrival(request))
        rng = random.Random(case.seed ^ self.seed)
        if self.split:
            reply.split(rng.random())
        framing = rng.choice(('length', 'chunked', 'chunked', 'close'))
        if case.status in (204, 304) or request.method == 'HEAD':
            await reply.put(reply.head(case.status, case.response_fields))
        elif framing == 'length':
            await reply.whole(case.status, case.response_fields, case.response_body)
        elif framing == 'chunked':
            await self.chunked(case, reply, rng)
        else:
            await self.until_close(case, reply)

    async def chunked(self, case, reply, rng):
        await reply.start(case.status, case.response_fields)
        body = case.response_body
        at = 0
        while at < len(body):
            size = len(body) if not self.split else 1 + int(rng.expovariate(1 / CHUNK_MEAN))
            await reply.piece(body[at:at + size])
            at += size
        await reply.finish()

    @staticmethod
    async def until_close(case, reply):
        reply.keep = False
        fields = case.response_fields + [('connection', 'close')]
        await reply.put(reply.head(case.status, fields))
        await reply.put(case.response_body)


class Traffic:
    """Sends every case through the proxy, a number of them at a time."""

    def __init__(self, port, key, split, seed, tls=None):
        self.port = port
        self.key = key
        self.split = split
        self.seed = seed
        self.tls = tls
        self.responses = {}

    async def send(self, cases, concurrency=24):
        queue = iter(cases)
        await asyncio.gather(*(self.worker(queue) for _ in range(concurrency)))
        return self.responses

    async def worker(self, queue):
        client = http1.Client(self.port, self.tls, server_name='localhost')
        for case in queue:
            try:
                self.responses[case.id] = await asyncio.wait_for(
                    self.exchange(client, case), 60)
            except (OSError, http1.Truncated, asyncio.TimeoutError, ValueError) as error:
                client.close()
                self.responses[case.id] = error
        client.close()

    def credential(self, case, rng):
        """The virtual key, in one of the fields that clients of this API use."""
        field = corpus.NATIVE_FIELDS.get(case.provider)
        if field is not None and rng.random() < 0.5:
            return (field, self.key)
        return ('authorization', 'Bearer ' + self.key)

    async def exchange(self, client, case):
        rng = random.Random(case.seed ^ self.seed ^ 1)
        fields = [('host', 'localhost:%d' % self.port)] + case.request_fields
        fields += [self.credential(case, rng), (CASE_FIELD, case.id)]
        body = case.request_body
        if body or case.method in ('POST', 'PUT', 'PATCH'):
            if case.method != 'GET' and rng.random() < 0.2:
                fields.append(('transfer-encoding', 'chunked'))
                body = chunks(body, rng)
            else:
                fields.append(('content-length', str(len(body))))
        return await client.request(case.method, '/' + case.provider + case.path, fields,
                                    body, rng if self.split else None)


def chunks(body, rng):
    pieces = []
    while body:
        size = 1 + int(rng.expovariate(1 / CHUNK_MEAN))
        pieces.append(b'%x\r\n%s\r\n' % (len(body[:size]), body[:size]))
        body = body[size:]
    return b''.join(pieces) + b'0\r\n\r\n'
