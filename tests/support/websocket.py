"""WebSockets (RFC 6455) over asyncio streams, for test servers and test clients: every frame
as the test wants it, permessage-deflate (RFC 7692) included."""

import asyncio
import base64
import hashlib
import os
import struct
import zlib

import http1

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
SALT = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
TAIL = b'\0\0\xff\xff'


def answer(key):
    """Sec-WebSocket-Accept for a key."""
    return base64.b64encode(hashlib.sha1(key.encode() + SALT).digest()).decode()


def frame(opcode, payload, mask=None, final=True, bits=0):
    """One frame as bytes."""
    head = bytes([(0x80 if final else 0) | bits << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack('>H', size)
    else:
        head += bytes([bit | 127]) + struct.pack('>Q', size)
    if mask is not None:
        head += mask
        payload = masked(payload, mask)
    return head + payload


def masked(payload, mask):
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], 'big')
    return (int.from_bytes(payload, 'big') ^ key).to_bytes(size, 'big')


class Closed(Exception):
    """The connection ended; `code` is the close frame's, None without one."""

    def __init__(self, code=None, reason=''):
        super().__init__('closed with %s %s' % (code, reason))
        self.code = code
        self.reason = reason


class Deflate:
    """Both directions of permessage-deflate, as one side sees them."""

    def __init__(self, keep_own, keep_theirs, own_bits=15):
        self.keep_own, self.keep_theirs = keep_own, keep_theirs
        self.own_bits = own_bits
        self.coder = self.decoder = None

    def pack(self, payload):
        if self.coder is None or not self.keep_own:
            self.coder = zlib.compressobj(6, zlib.DEFLATED, -self.own_bits)
        data = self.coder.compress(payload) + self.coder.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(TAIL)

    def unpack(self, payload):
        if self.decoder is None or not self.keep_theirs:
            self.decoder = zlib.decompressobj(-15)
        return self.decoder.decompress(payload + TAIL)


class Socket:
    """One end of an open WebSocket."""

    def __init__(self, reader, writer, client, deflate=None, early=b''):
        self.reader, self.writer = reader, writer
        self.client = client
        self.deflate = deflate
        self.received = bytearray(early)  # every byte of the other side
        self.sent = bytearray()
        self.messages = []  # texts that were received
        self.pings = []
        self.pongs = []

    def raw(self, data):
        if self.writer.is_closing():
            raise Closed()
        self.sent += data
        self.writer.write(data)

    def send_frame(self, opcode, payload=b'', final=True, bits=0):
        self.raw(frame(opcode, payload, os.urandom(4) if self.client else None, final, bits))

    def send(self, text, pieces=1):
        """A text message, in as many frames."""
        payload, bits = text.encode(), 0
        if self.deflate:
            payload, bits = self.deflate.pack(payload), 4
        size = max(1, -(-len(payload) // pieces))
        parts = [payload[at:at + size] for at in range(0, len(payload), size)] or [b'']
        for index, part in enumerate(parts):
            self.send_frame(0 if index else TEXT, part, index == len(parts) - 1,
                            0 if index else bits)

    def close(self, code=1000, reason=''):
        self.send_frame(CLOSE, struct.pack('>H', code) + reason.encode())

    async def exactly(self, size):
        try:
            data = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Closed() from error
        self.received += data
        return data

    async def receive_frame(self):
        """(final, bits, opcode, payload)"""
        first, second = await self.exactly(2)
        size = second & 0x7f
        if size >= 126:
            size = int.from_bytes(await self.exactly(2 if size == 126 else 8), 'big')
        mask = await self.exactly(4) if second & 0x80 else None
        payload = await self.exactly(size)
        if (mask is None) == (not self.client):
            raise ValueError('a frame of the wrong side: mask %s' % mask)
        return (bool(first & 0x80), first >> 4 & 7, first & 15,
                masked(payload, mask) if mask else payload)

    async def receive(self):
        """The next message's text; pings are answered, a close raises Closed."""
        parts, packed = [], False
        while True:
            final, bits, opcode, payload = await self.receive_frame()
            if opcode == CLOSE:
                code = struct.unpack('>H', payload[:2])[0] if payload else None
                raise Closed(code, payload[2:].decode())
            if opcode == PING:
                self.pings.append(payload)
                self.send_frame(PONG, payload)
            elif opcode == PONG:
                self.pongs.append(payload)
            else:
                packed |= bool(bits & 4)
                parts.append(payload)
                if final:
                    whole = b''.join(parts)
                    text = (self.deflate.unpack(whole) if packed else whole).decode()
                    self.messages.append(text)
                    return text

    def abort(self):
        self.writer.transport.abort()


async def connect(port, path, fields, offer=None, protocols=None, key=None):
    """(status, response fields, Socket or None, body) of a client's handshake."""
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines = ['GET %s HTTP/1.1' % path, 'Host: h', 'Connection: Upgrade', 'Upgrade: websocket',
             'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: ' + key]
    lines += ['%s: %s' % pair for pair in fields]
    if offer:
        lines.append('Sec-WebSocket-Extensions: ' + offer)
    if protocols:
        lines.append('Sec-WebSocket-Protocol: ' + protocols)
    reader, writer = await asyncio.open_connection('127.0.0.1', port, limit=http1.HEAD_LIMIT)
    writer.write(('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1'))
    start, head = await http1.read_head(reader)
    status = int(start.split(' ')[1])
    if status != 101:
        body = await http1.read_body(reader, head)
        writer.close()
        return status, head, None, body
    if http1.field(head, 'sec-websocket-accept') != answer(key):
        raise ValueError('a wrong Sec-WebSocket-Accept')
    return status, head, Socket(reader, writer, True, agreed(head, True)), b''


def agreed(fields, client):
    """What a 101 says of permessage-deflate, as one side has to act on it."""
    answered = http1.field(fields, 'sec-websocket-extensions')
    if not answered:
        return None
    client_keeps = 'client_no_context_takeover' not in answered
    server_keeps = 'server_no_context_takeover' not in answered
    return Deflate(client_keeps, server_keeps) if client else \
        Deflate(server_keeps, client_keeps)


def switch(request, reply, protocol=None, extensions=None, more=()):
    """A server's side of the handshake: its Socket."""
    fields = [('upgrade', 'websocket'), ('connection', 'Upgrade'),
              ('sec-websocket-accept', answer(request.field('sec-websocket-key'))), *more]
    if protocol:
        fields.append(('sec-websocket-protocol', protocol))
    if extensions:
        fields.append(('sec-websocket-extensions', extensions))
    reply.writer.write(reply.head(101, fields))
    reply.keep = False
    return Socket(reply.reader, reply.writer, False, agreed(fields, False))
