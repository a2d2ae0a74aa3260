"""What varnishtest cannot express: half-closed connections, readers that do not read, bytes
one at a time, and the instant at which an event arrives."""

import hashlib
import os
import re
import shutil
import signal
import socket
import struct
import threading
import time

import hostile
from proxy import PATIENCE, Assay, wait_for

MIB = 1024 * 1024
BIG = 48 * MIB          # a response that fits no buffer
RSS_GROWTH = 8 * MIB    # what a slow reader may cost
STOP_SECONDS = 20       # of the 30 that a first SIGTERM waits for streams


class Scripted(hostile.Upstream):
    """Asks `script(sock, head, body)` for each request."""

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.bodies = []

    def answer(self, sock, head, body):
        self.bodies.append(body)
        return self.script(sock, head, body)


def good(sock, *_):
    sock.sendall(hostile.GOOD)
    return True


def proxy(upstream, **provider):
    return Assay({'openai': {'url': upstream.url, 'dialects': ['openai'], 'default': True,
                             'credential': 'env:UPSTREAM_KEY', 'unknown_paths': 'relay',
                             **provider}}, {'workers': 1})


def request(assay, method='GET', path='/v1/models', body=b'', more=''):
    length = 'Content-Length: %d\r\n' % len(body) if body else ''
    return ('%s %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n%s%s\r\n' % (
        method, path, assay.key, length, more)).encode() + body


def half_close(results):
    with Scripted(good) as upstream, proxy(upstream) as assay:
        reply = hostile.exchange(assay.port, request(assay), half_close=True, whole=True)
        results.ok(reply.endswith(b'good'), 'a client that half-closes gets its response',
                   reply)


def byte_by_byte(results):
    body = b'{"model":"m","input":"x"}'
    with Scripted(good) as upstream, proxy(upstream) as assay:
        with socket.create_connection(('127.0.0.1', assay.port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in request(assay, 'POST', '/v1/responses', body):
                sock.sendall(bytes([byte]))
                time.sleep(0.0005)
            sock.settimeout(PATIENCE)
            reply = b''
            while not reply.endswith(b'good') and (more := sock.recv(65536)):
                reply += more
        results.ok(hostile.status_of(reply) == 200 and upstream.bodies == [body],
                   'a request that comes byte by byte is relayed whole', reply,
                   upstream.bodies)


def slow_reader(results):
    """A client that does not read stops the provider, not the proxy, and loses nothing."""
    block = os.urandom(MIB)
    digest = hashlib.sha256(block * (BIG // MIB)).hexdigest()

    def script(sock, *_):
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n'
                     b'Content-Length: %d\r\n\r\n' % BIG)
        for _ in range(BIG // MIB):
            sock.sendall(block)
        return True

    with Scripted(script) as upstream, proxy(upstream) as assay:
        hostile.exchange(assay.port, b'', half_close=True)
        before = assay.rss()
        with socket.create_connection(('127.0.0.1', assay.port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(request(assay, more='Connection: close\r\n'))
            time.sleep(1)
            grown = assay.rss() - before
            sock.settimeout(PATIENCE)
            reply = b''
            while b'\r\n\r\n' not in reply and (more := sock.recv(65536)):
                reply += more
            head, _, rest = reply.partition(b'\r\n\r\n')
            got, count = hashlib.sha256(rest), len(rest)
            while more := sock.recv(MIB):
                got.update(more)
                count += len(more)
        results.ok(grown < RSS_GROWTH, 'a client that does not read costs little memory',
                   'grew by %d KiB' % (grown // 1024))
        results.ok(got.hexdigest() == digest, 'and gets every byte in the end',
                   '%d of %d bytes' % (count, BIG), head)


def slow_provider(results):
    """A provider that does not read stops the client, not the proxy."""
    body = os.urandom(24 * MIB)

    def script(sock, head, got):
        sock.sendall(hostile.GOOD)
        return True

    class Reluctant(Scripted):
        def serve(self, sock):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            time.sleep(1.5)
            super().serve(sock)

    with Reluctant(script) as upstream, proxy(upstream) as assay:
        before = assay.rss()
        sizes = []
        timer = threading.Timer(0.8, lambda: sizes.append(assay.rss() - before))
        timer.start()
        reply = hostile.exchange(
            assay.port, request(assay, 'PUT', '/v1/files/f', body), whole=True, silence=PATIENCE)
        timer.join()
        results.ok(sizes[0] < RSS_GROWTH, 'a provider that does not read costs little memory',
                   'grew by %d KiB' % (sizes[0] // 1024))
        results.ok(reply.endswith(b'good') and upstream.bodies == [body],
                   'and gets every byte in the end', reply[:200],
                   [len(item) for item in upstream.bodies])


def prompt_events(results):
    """A complete event is never held back: the next one is sent once it has arrived."""
    arrived = threading.Semaphore(0)
    late = []

    def script(sock, *_):
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'
                     b'Transfer-Encoding: chunked\r\n\r\n')
        for index in range(20):
            data = b'data: {"n":%d}\n\n' % index
            sock.sendall(b'%x\r\n%s\r\n' % (len(data), data))
            if not arrived.acquire(timeout=PATIENCE):
                late.append(index)
                break
        sock.sendall(b'0\r\n\r\n')
        return True

    body = b'{"model":"m","stream":true,"messages":[]}'
    with Scripted(script) as upstream, proxy(upstream) as assay:
        count = 0
        with socket.create_connection(('127.0.0.1', assay.port)) as sock:
            sock.sendall(request(assay, 'POST', '/v1/chat/completions', body))
            sock.settimeout(2 * PATIENCE)
            data = b''
            while not data.endswith(b'\r\n0\r\n\r\n') and (more := sock.recv(65536)):
                data += more
                for _ in range(count, len(re.findall(rb'"n":\d+\}\n\n', data))):
                    count += 1
                    arrived.release()
        results.ok(count == 20 and not late, 'every event arrives at once', late, data)


def reset_mid_stream(results):
    """A provider's reset is visible to the client as a cut, and recorded."""

    def script(sock, *_):
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'
                     b'Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n')
        time.sleep(0.2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        return False

    body = b'{"model":"m","stream":true}'
    with Scripted(script) as upstream, proxy(upstream) as assay:
        reply = hostile.exchange(assay.port, request(assay, 'POST', '/v1/responses', body))
        assay.stop()
        outcomes = [record['outcome'] for record in assay.export()]
        results.ok(b'data: 1\n\n' in reply and not reply.endswith(b'\r\n0\r\n\r\n') and
                   outcomes == ['upstream_cut'], 'a reset in mid-stream is a visible cut',
                   reply, outcomes)


def client_reset_in_body(results):
    """A client that vanishes in its request's body leaves a record and no trouble."""
    with Scripted(good) as upstream, proxy(upstream) as assay:
        sock = socket.create_connection(('127.0.0.1', assay.port))
        sock.sendall(request(assay, 'PUT', '/v1/files/f', b'x' * 1000)[:-500])
        time.sleep(0.2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        sock.close()
        reply = hostile.exchange(assay.port, request(assay), whole=True)
        assay.stop()
        outcomes = sorted(record['outcome'] for record in assay.export())
        results.ok(reply.endswith(b'good') and outcomes[-1:] == ['complete'] and
                   len(outcomes) == 2 and outcomes[0] in ('client_abort', 'complete'),
                   'a client that resets in its body is recorded', reply, outcomes)


def second_signal(results):
    """SIGTERM waits for an open stream; a second one does not."""
    gate = threading.Event()

    def script(sock, *_):
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'
                     b'Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n')
        gate.wait(2 * PATIENCE)
        return False

    body = b'{"model":"m","stream":true}'
    with Scripted(script) as upstream, proxy(upstream) as assay:
        with socket.create_connection(('127.0.0.1', assay.port)) as sock:
            sock.sendall(request(assay, 'POST', '/v1/responses', body))
            sock.settimeout(PATIENCE)
            sock.recv(65536)
            assay.send_signal(signal.SIGTERM)
            wait_for(lambda: not assay.accepts())
            time.sleep(0.5)
            waiting = assay.running()
            status = assay.stop(signal.SIGTERM, STOP_SECONDS)
        gate.set()
        outcomes = [record['outcome'] for record in assay.export()]
        results.ok(waiting and status == 0 and len(outcomes) == 1,
                   'SIGTERM waits for open streams, a second one ends them',
                   'waiting %s, status %s, %s' % (waiting, status, outcomes))


def taken_address(results):
    """A second assay at the same port would get half of the first one's connections, at the
    same Unix socket all."""
    with Scripted(good) as upstream:
        first = proxy(upstream)
        unix = {'address': 'unix:%s/socket' % first.folder}
        tcp = first.config['listen'][0]
        first.config['listen'].append(unix)
        first.write_config()
        with first:
            for listener, where in ((tcp, 'port %d' % first.port),
                                    (unix, '/socket')):
                second = proxy(upstream)
                second.config['listen'] = [listener]
                second.write_config()
                done = second.run_whole('run')
                shutil.rmtree(second.folder)
                results.ok(done.returncode != 0 and first.running() and
                           re.search(rb'\.yaml:\d+:\d+: .*%s: Address already in use'
                                     % re.escape(where).encode(), done.stderr),
                           'nobody else listens at ' + ('a socket' if listener is unix
                                                        else 'a port'), done.stderr)


def own_ports(results):
    """Addresses of one assay may share a port."""
    with Scripted(good) as upstream:
        assay = proxy(upstream)
        assay.config['listen'] += [{'address': '%s:%d' % (host, assay.port)}
                                   for host in ('0.0.0.0', '[::]')]
        assay.write_config()
        with assay:
            reply = hostile.exchange(assay.port, request(assay), half_close=True, whole=True)
        results.ok(reply.endswith(b'good'), 'one port at several addresses of its own', reply)


def run(results):
    for check in (half_close, byte_by_byte, slow_reader, slow_provider, prompt_events,
                  reset_mid_stream, client_reset_in_body, second_signal, taken_address,
                  own_ports):
        try:
            check(results)
        except (OSError, RuntimeError, IndexError, ValueError) as error:
            results.ok(False, check.__name__, repr(error))
