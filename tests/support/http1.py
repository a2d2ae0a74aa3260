"""HTTP/1.1 over asyncio streams, for test servers and test clients.

Both sides keep heads as lists of (name, value) in the order and case of the wire, and tell
an ended body from a cut one.
"""

import asyncio
import http.client
import random
import socket
import struct
import zlib

HEAD_LIMIT = 4 * 1024 * 1024
PIECE_MEAN = 700  # bytes of one write where bodies are split at random


class Truncated(Exception):
    """The peer closed before the end of a message; `partial` is what had arrived."""

    def __init__(self, partial=b''):
        super().__init__('the message was cut after %d bytes' % len(partial))
        self.partial = partial


def field(fields, name):
    """The first value of a field, or None."""
    name = name.lower()
    for key, value in fields:
        if key.lower() == name:
            return value
    return None


async def read_head(reader):
    """Return (start line, fields), or None at the end of the connection."""
    try:
        raw = await reader.readuntil(b'\r\n\r\n')
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Truncated(error.partial) from error
        return None
    lines = raw[:-4].decode('latin-1').split('\r\n')
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(':')
        fields.append((name, value.strip(' \t')))
    return lines[0], fields


async def read_exactly(reader, size, got):
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise Truncated(got + error.partial) from error


async def read_chunked(reader, pieces):
    """Append the chunks of a body to `pieces`; trailers are read and dropped."""
    while True:
        line = await read_line(reader, pieces)
        size = int(line.split(b';')[0], 16)
        if size == 0:
            while await read_line(reader, pieces) != b'':
                pass
            return
        data = await read_exactly(reader, size + 2, b''.join(pieces))
        pieces.append(data[:-2])


async def read_line(reader, pieces):
    try:
        return (await reader.readuntil(b'\r\n'))[:-2]
    except asyncio.IncompleteReadError as error:
        raise Truncated(b''.join(pieces)) from error


async def read_body(reader, fields, until_close=False):
    """Read a body by its framing; `until_close` is the rule for responses without one."""
    if (field(fields, 'transfer-encoding') or '').lower() == 'chunked':
        pieces = []
        await read_chunked(reader, pieces)
        return b''.join(pieces)
    length = field(fields, 'content-length')
    if length is not None:
        return await read_exactly(reader, int(length), b'')
    return await reader.read() if until_close else b''


class Request:
    """A request as a server read it."""

    def __init__(self, start, fields, body):
        self.method, self.target, self.version = start.split(' ', 2)
        self.path, _, self.query = self.target.partition('?')
        self.fields = fields
        self.body = body

    def field(self, name):
        return field(self.fields, name)


class Reply:
    """The server's side of one exchange: whole messages, chunked streams, and ways to fail."""

    def __init__(self, writer, request):
        self.writer = writer
        self.request = request
        self.keep = request.version == 'HTTP/1.1' and \
            (request.field('connection') or '').lower() != 'close'
        self.splitter = None
        self.coder = None
        self.chunked = False

    def split(self, seed):
        """Write bodies in pieces of random sizes."""
        self.splitter = random.Random(seed)

    def encode(self, coding):
        """Compress what follows, flushing after each write; returns the header's value."""
        bits = {'gzip': 31, 'deflate': 15}[coding]
        self.coder = zlib.compressobj(6, zlib.DEFLATED, bits)
        return coding

    async def put(self, data):
        """Bytes to the wire, in one piece or at random in many."""
        if self.writer.is_closing():
            raise ConnectionResetError('the peer has gone')
        if self.splitter is None:
            self.writer.write(data)
            await self.writer.drain()
            return
        at = 0
        while at < len(data):
            size = 1 + int(self.splitter.expovariate(1 / PIECE_MEAN))
            self.writer.write(data[at:at + size])
            await self.writer.drain()
            await asyncio.sleep(0)
            at += size

    @staticmethod
    def head(status, fields):
        lines = ['HTTP/1.1 %d %s' % (status, http.client.responses.get(status, 'Unknown'))]
        lines += ['%s: %s' % pair for pair in fields]
        return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')

    async def whole(self, status, fields, body):
        """A message with Content-Length."""
        if self.coder:
            body = self.coder.compress(body) + self.coder.flush()
        fields = fields + [('content-length', str(len(body)))]
        if self.request.method == 'HEAD':
            body = b''
        await self.put(self.head(status, fields) + body)

    async def start(self, status, fields):
        """The head of a chunked message; HTTP/1.0 clients get one that ends at the close."""
        self.chunked = self.request.version == 'HTTP/1.1'
        if self.chunked:
            fields = fields + [('transfer-encoding', 'chunked')]
        else:
            self.keep = False
            fields = fields + [('connection', 'close')]
        await self.put(self.head(status, fields))

    async def piece(self, data):
        if self.coder:
            data = self.coder.compress(data) + self.coder.flush(zlib.Z_SYNC_FLUSH)
        await self.raw_piece(data)

    async def raw_piece(self, data):
        if self.chunked:
            data = b'%x\r\n%s\r\n' % (len(data), data)
        await self.put(data)

    async def finish(self):
        if self.coder:
            await self.raw_piece(self.coder.flush())
        if self.chunked:
            await self.put(b'0\r\n\r\n')

    def abort(self, reset=False):
        """Close in mid-message: with FIN, or with RST."""
        self.keep = False
        if reset:
            sock = self.writer.get_extra_info('socket')
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()


class Server:
    """Serves `handler(request, reply)` on one loopback port until closed."""

    def __init__(self, handler, tls=None):
        self.handler = handler
        self.tls = tls
        self.listener = None
        self.port = 0
        self.open = set()

    async def start(self, port=0, host='127.0.0.1'):
        self.listener = await asyncio.start_server(
            self.connection, host, port, ssl=self.tls, limit=HEAD_LIMIT, backlog=1024)
        self.port = self.listener.sockets[0].getsockname()[1]
        return self

    async def close(self):
        self.listener.close()
        for task in list(self.open):
            task.cancel()
        await asyncio.gather(*self.open, return_exceptions=True)

    async def connection(self, reader, writer):
        task = asyncio.current_task()
        self.open.add(task)
        try:
            while await self.exchange(reader, writer):
                pass
        except (Truncated, OSError, asyncio.CancelledError, asyncio.LimitOverrunError,
                ValueError):
            pass
        finally:
            self.open.discard(task)
            writer.close()

    async def exchange(self, reader, writer):
        head = await read_head(reader)
        if head is None:
            return False
        start, fields = head
        if (field(fields, 'expect') or '').lower() == '100-continue':
            writer.write(b'HTTP/1.1 100 Continue\r\n\r\n')
        request = Request(start, fields, await read_body(reader, fields))
        reply = Reply(writer, request)
        reply.reader = reader
        await self.handler(request, reply)
        return reply.keep


class Response:
    """A response as a client read it. `cut`: the connection ended before the message did."""

    def __init__(self, status, reason, fields, body, cut):
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = body
        self.cut = cut

    def field(self, name):
        return field(self.fields, name)

    def fields_named(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]


class Client:
    """One client connection; opened anew when the server closed it."""

    def __init__(self, port, tls=None, host='127.0.0.1', server_name=None):
        self.address = (host, port)
        self.tls = tls
        self.server_name = server_name if tls else None
        self.reader = self.writer = None

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection(
            *self.address, ssl=self.tls, server_hostname=self.server_name, limit=HEAD_LIMIT)

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def send(self, method, target, fields, body, splitter=None):
        if self.writer is None or self.writer.is_closing() or self.reader.at_eof():
            self.close()
            await self.connect()
        lines = ['%s %s HTTP/1.1' % (method, target)]
        lines += ['%s: %s' % pair for pair in fields]
        data = ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1') + body
        if splitter is None:
            self.writer.write(data)
            return
        at = 0
        while at < len(data):
            size = 1 + int(splitter.expovariate(1 / PIECE_MEAN))
            self.writer.write(data[at:at + size])
            await self.writer.drain()
            await asyncio.sleep(0)
            at += size

    async def receive(self, method):
        """The next final response; interim ones are skipped."""
        status = 100
        while 100 <= status < 200:
            head = await read_head(self.reader)
            if head is None:
                raise Truncated()
            version, status, *reason = head[0].split(' ', 2)
            status = int(status)
        fields = head[1]
        bodyless = method == 'HEAD' or status in (204, 304)
        cut = False
        try:
            body = b'' if bodyless else await read_body(self.reader, fields, True)
        except Truncated as error:
            body, cut = error.partial, True
        response = Response(status, reason[0] if reason else '', fields, body, cut)
        if cut or version == 'HTTP/1.0' or not self.reusable(fields, bodyless):
            self.close()
        return response

    @staticmethod
    def reusable(fields, bodyless):
        if (field(fields, 'connection') or '').lower() == 'close':
            return False
        framed = field(fields, 'content-length') or field(fields, 'transfer-encoding')
        return bodyless or framed is not None

    async def request(self, method, target, fields, body=b'', splitter=None):
        await self.send(method, target, fields, body, splitter)
        return await self.receive(method)
