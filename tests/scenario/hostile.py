"""Raw sockets for the vectors: an upstream that answers what it is told, and a client that
sends and reads bytes without understanding them."""

import re
import socket
import threading
import time

from proxy import PATIENCE, Assay, wait_for

CLOSE_SEEN = 0.05   # seconds in which a provider's close reaches the proxy
REUSE_WINDOW = 0.4  # seconds in which a connection that must not be reused is watched

TRIES = 4

STATUS = re.compile(rb'^HTTP/1\.[01] (\d{3})')
GOOD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\ngood'


class Listener:
    """Accepts connections on loopback; serve() has each, on a thread of its own."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        raise NotImplementedError


class Upstream(Listener):
    """Keeps every request head, and asks answer()."""

    def __init__(self):
        super().__init__()
        self.heads = []
        self.gone = []  # sockets that were closed here
        self.url = 'http://127.0.0.1:%d' % self.port

    def serve(self, sock):
        sock.settimeout(2 * PATIENCE)
        data = b''
        try:
            while True:
                while b'\r\n\r\n' not in data:
                    more = sock.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b'\r\n\r\n')
                length = re.search(rb'content-length: *(\d+)', head, re.I)
                length = int(length.group(1)) if length else 0
                while len(data) < length:
                    data += sock.recv(65536)
                self.heads.append(head)
                body, data = data[:length], data[length:]
                if not self.answer(sock, head, body):
                    return
        except OSError:
            pass
        finally:
            sock.close()
            self.gone.append(sock)

    def answer(self, sock, head, body):
        """Send a response; false closes the connection."""
        raise NotImplementedError


class OneAnswer(Upstream):
    """The first request gets the vector, all others a good response."""

    def __init__(self, vector, linger):
        super().__init__()
        self.vector = vector
        self.linger = linger
        self.reused = False
        self.used = None  # the socket that it left on

    def answer(self, sock, head, body):
        if self.used:
            sock.sendall(GOOD)
            return True
        self.used = sock
        sock.sendall(self.vector)
        if not self.linger:
            return False
        sock.settimeout(REUSE_WINDOW)
        try:
            self.reused = bool(sock.recv(1))
        except OSError:
            pass
        return False


def some_tries(case):
    """The complaints of a case whose own deadlines are short: a machine that does much else
    misses one now and then, a wrong answer comes each time. The case says what it complains
    of, and whether that is final: what reached the provider is not forgiven."""
    for _ in range(TRIES):
        found, final = case()
        if not found or final:
            break
    return found


def exchange(port, data, whole=False, half_close=False, silence=PATIENCE):
    """Send bytes; return all bytes that come back, or with `whole` one response's."""
    reply = b''
    with socket.create_connection(('127.0.0.1', port), PATIENCE) as sock:
        sock.settimeout(silence)
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            while True:
                more = sock.recv(65536)
                if not more:
                    break
                reply += more
                if whole and is_whole(reply):
                    break
        except OSError:
            pass
    return reply


def is_whole(reply):
    head, _, rest = reply.partition(b'\r\n\r\n')
    return re.search(rb'\r\n(content-length|transfer-encoding):', head, re.I) is not None and \
        body_of(head, rest) is not None


def status_of(reply):
    match = STATUS.match(reply)
    return int(match.group(1)) if match else None


def body_of(head, body):
    """The content of a reply's body; None if it is visibly incomplete."""
    length = re.search(rb'\r\ncontent-length: *(\d+)', head, re.I)
    if re.search(rb'\r\ntransfer-encoding: *chunked', head, re.I):
        return dechunked(body)
    if length:
        return body if len(body) == int(length.group(1)) else None
    return body


def dechunked(data):
    content = b''
    while True:
        line, end, data = data.partition(b'\r\n')
        if not end or not re.match(rb'^[0-9a-fA-F]+$', line):
            return None
        size = int(line, 16)
        if size == 0:
            return content if data == b'\r\n' else None
        if len(data) < size + 2:
            return None
        content, data = content + data[:size], data[size + 2:]


def judged(want, reply):
    """Is this reply what the vector wants?"""
    head, _, rest = reply.partition(b'\r\n\r\n')
    status, body = status_of(reply), body_of(head, rest)
    if want.startswith('502'):
        return status == 502 or (want == '502 or unfold' and status == 200 and body == b'{}')
    if want.startswith('truncated'):
        return status == 502 or (status == 200 and body is None)
    if 'no body' in want:
        return status == int(want[:3]) and rest == b''
    return status == 200 and body == b'{}' and b'x-usage' not in head.lower()


def response_case(row, vector):
    """Complaints about one hostile response."""
    linger = any(word in row['want'] for word in ('not reused', 'conn closed', '502')) and \
        row['id'] != 'http10'
    with OneAnswer(vector, linger) as upstream:
        provider = {'url': upstream.url, 'dialects': ['openai'], 'default': True,
                    'credential': 'env:UPSTREAM_KEY', 'unknown_paths': 'relay',
                    'timeouts': {'first_byte': '2s', 'idle': '2s'}}
        with Assay({'openai': provider}, {'workers': 1}) as assay:
            reply = ask(assay, row['method'])
            if not linger:
                wait_for(lambda: upstream.used in upstream.gone)
            time.sleep(CLOSE_SEEN)
            after = ask(assay, 'GET')
            alive = assay.running()
    complaints = []
    if not judged(row['want'], reply):
        complaints.append('%s (%s): %r' % (row['id'], row['want'], reply[:300]))
    if upstream.reused:
        complaints.append('%s: the connection was used again' % row['id'])
    if not after.endswith(b'good') or not alive:
        complaints.append('%s: afterwards: %r' % (row['id'], after[:200]))
    return complaints


def ask(assay, method):
    body = b'{}' if method == 'POST' else b''
    path = b'/v1/responses' if method == 'POST' else b'/v1/models'
    length = b'Content-Length: 2\r\n' if body else b''
    head = b'%s %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n%s' \
        b'Connection: close\r\n\r\n' % (method.encode(), path, assay.key.encode(), length)
    started = time.monotonic()
    reply = exchange(assay.port, head + body)
    if time.monotonic() - started > PATIENCE:
        reply += b' (and then silence)'
    return reply
