"""Sends planned calls through a running assay, on a clock that only this moves: each call
begins and ends at its own moment, and those that overlap do so on the wire."""

import heapq
import mmap
import select
import socket
import struct
import time

SECONDS = 60
PACE = 500, .25  # after so many calls wait so long: hours pass here in milliseconds


class Clock:
    """The file that an ASSAY_TEST_CLOCK build reads its time from."""

    def __init__(self, path, begin):
        with open(path, 'wb') as file:
            file.write(bytes(8))
        with open(path, 'r+b') as file:
            self.map = mmap.mmap(file.fileno(), 8)
        self.path, self.now_ms = path, 0
        self.set(begin)

    def set(self, ms):
        """Never back."""
        self.now_ms = max(self.now_ms, ms)
        self.map[:] = struct.pack('=Q', self.now_ms * 1_000_000)


def wait(sockets):
    ready, _, _ = select.select(sockets, [], [], SECONDS)
    if not ready:
        raise RuntimeError('nothing came for %d s' % SECONDS)
    return ready


def read_request(sock):
    """A whole request, or None where the connection was closed."""
    received = b''
    while True:
        wait([sock])
        piece = sock.recv(1 << 18)
        if not piece:
            return None
        received += piece
        head, end, body = received.partition(b'\r\n\r\n')
        if not end:
            continue
        for line in head.split(b'\r\n'):
            name, _, value = line.partition(b':')
            if name.lower() == b'content-length' and len(body) >= int(value):
                return received


class Wire:
    def __init__(self, clock):
        self.clock = clock
        self.assay = None
        self.idle = []
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]

    def upstream(self, client):
        """The connection that carries the request that was just sent; None: assay answered."""
        while True:
            for sock in wait([self.listener, client, *self.idle]):
                if sock is client:
                    return None
                if sock is self.listener:
                    self.idle.append(sock.accept()[0])
                    continue
                self.idle.remove(sock)
                if read_request(sock) is not None:
                    return sock
                sock.close()

    def begin(self, call):
        self.clock.set(call['ts'])
        client = socket.create_connection(('127.0.0.1', self.assay.port), SECONDS)
        client.sendall(call['request'])
        return client, self.upstream(client)

    def end(self, call, client, upstream):
        self.clock.set(max(call['end'], call['ts']))
        if upstream is not None:
            upstream.sendall(call['answer'])
        received = b''
        while True:
            wait([client])
            piece = client.recv(1 << 18)
            if not piece:
                break
            received += piece
        client.close()
        if upstream is not None:
            self.idle.append(upstream)
        status = received[9:12].decode()
        if status != call['status']:
            raise RuntimeError('status %s, not %s:\n%s' % (status, call['status'], received[:600]))

    def play(self, calls):
        """All calls, in the order of their moments."""
        moments = [(call['ts'], 0, number) for number, call in enumerate(calls)]
        heapq.heapify(moments)
        open_calls, begun = {}, 0
        while moments:
            _, ends, number = heapq.heappop(moments)
            call = calls[number]
            if ends:
                self.end(call, *open_calls.pop(number))
            else:
                open_calls[number] = self.begin(call)
                begun += 1
                if begun % PACE[0] == 0:
                    time.sleep(PACE[1])
                heapq.heappush(moments, (max(call['end'], call['ts']), 1, number))

    def close(self):
        for sock in [self.listener, *self.idle]:
            sock.close()
