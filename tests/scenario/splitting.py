"""Hostile responses, ours: what a provider sends that two parsers may read differently is
answered with 502 or cut visibly, and its connection serves nobody else."""

import os
import signal
import socket
import time

import hostile
from proxy import PATIENCE, Assay, wait_for

REUSE_SECONDS = 0.05  # in which a provider's late bytes reach the proxy
SHOWN = 40
JSON = b'Content-Type: application/json'
GOOD_BODY = b'good'


def answer(*lines, body=b'{}', status=b'200 OK', version=b'HTTP/1.1', end=b'\r\n'):
    return b'%s %s%s%s%s%s%s' % (version, status, end, JSON + end,
                                 b''.join(line + end for line in lines), end, body)


def chunked(body, *lines, **more):
    return answer(b'Transfer-Encoding: chunked', *lines, body=body, **more)


CL = b'Content-Length: 2'
TE = b'Transfer-Encoding: chunked'
WHOLE = b'2\r\n{}\r\n0\r\n\r\n'
EVIL = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
CONTINUE = b'HTTP/1.1 100 Continue\r\n\r\n'

# Answered with 502; nothing of it reaches the client.
REFUSED = {
    'cl-te': answer(CL, TE, body=WHOLE),
    'te-cl': answer(TE, CL, body=WHOLE),
    'cl-te-behind-many': answer(CL, *[b'X-A: b'] * 50, TE, body=WHOLE),
    'cl-twice-same': answer(CL, CL),
    'cl-twice': answer(CL, b'Content-Length: 40'),
    'cl-list': answer(b'Content-Length: 2, 2'),
    'cl-plus': answer(b'Content-Length: +2'),
    'cl-minus': answer(b'Content-Length: -2'),
    'cl-hex': answer(b'Content-Length: 0x2'),
    'cl-zeros': answer(b'Content-Length: 02'),
    'cl-empty': answer(b'Content-Length:'),
    'cl-words': answer(b'Content-Length: two'),
    'cl-point': answer(b'Content-Length: 2.0'),
    'cl-inner-space': answer(b'Content-Length: 1 2'),
    'cl-2-64': answer(b'Content-Length: 18446744073709551618'),
    'cl-space-colon': answer(b'Content-Length : 2'),
    'cl-underscore': answer(b'Content_Length: 2'),
    'cl-folded': answer(b'Content-Length:\r\n 2'),
    'te-twice': answer(TE, TE, body=WHOLE),
    'te-list': answer(b'Transfer-Encoding: gzip, chunked', body=WHOLE),
    'te-list-twice': answer(b'Transfer-Encoding: chunked, chunked', body=WHOLE),
    'te-gzip': answer(b'Transfer-Encoding: gzip'),
    'te-identity': answer(b'Transfer-Encoding: identity'),
    'te-empty': answer(b'Transfer-Encoding:', body=WHOLE),
    'te-quoted': answer(b'Transfer-Encoding: "chunked"', body=WHOLE),
    'te-suffix': answer(TE + b'x', body=WHOLE),
    'te-vt': answer(b'Transfer-Encoding: \x0bchunked', body=WHOLE),
    'te-nbsp': answer(b'Transfer-Encoding: \xa0chunked', body=WHOLE),
    'te-space-colon': answer(b'Transfer-Encoding : chunked', body=WHOLE),
    'te-folded': answer(b'Transfer-Encoding:\r\n chunked', body=WHOLE),
    'te-underscore': answer(b'Transfer_Encoding: chunked', body=WHOLE),
    'te-http10': answer(TE, body=WHOLE, version=b'HTTP/1.0'),
    'all-lf': answer(CL, end=b'\n'),
    'all-cr': answer(CL, end=b'\r'),
    'lf-status-line': answer(CL).replace(b'\r\n', b'\n', 1),
    'lf-before-body': answer(CL).replace(b'\r\n\r\n', b'\r\n\n', 1),
    'cr-before-body': answer(CL).replace(b'\r\n\r\n', b'\r\n\r\r\n', 1),
    'cr-in-value': answer(CL, b'X-A: b\rX-C: d'),
    'lf-in-value': answer(CL, b'X-A: b\nX-C: d'),
    'nul-in-value': answer(CL, b'X-A: b\0c'),
    'escape-in-value': answer(CL, b'X-A: \x1b[2J'),
    'del-in-value': answer(CL, b'X-A: \x7f'),
    'nul-in-name': answer(CL, b'X\0A: b'),
    'high-in-name': answer(CL, b'X-\xc3\xa9: b'),
    'space-behind-name': answer(CL, b'X-A : b'),
    'space-in-name': answer(CL, b'X A: b'),
    'empty-name': answer(CL, b': b'),
    'no-colon': answer(CL, b'X-A'),
    'folded': answer(CL, b'X-A: b\r\n c'),
    'folded-first': answer(CL).replace(JSON, b' ' + JSON, 1),
    'status-99': answer(CL, status=b'99 Low'),
    'status-099': answer(CL, status=b'099 Low'),
    'status-600': answer(CL, status=b'600 High'),
    'status-999': answer(CL, status=b'999 High'),
    'status-1000': answer(CL, status=b'1000 High'),
    'status-words': answer(CL, status=b'OK'),
    'status-empty': answer(CL, status=b''),
    'status-minus': answer(CL, status=b'-20 OK'),
    'status-plus': answer(CL, status=b'+200 OK'),
    'status-glued': answer(CL, status=b'200OK'),
    'status-two-spaces': answer(CL, status=b' 200 OK'),
    'status-tab': answer(CL, status=b'200\tOK'),
    'reason-nul': answer(CL, status=b'200 O\0K'),
    'reason-cr': answer(CL, status=b'200 O\rK'),
    'version-0.9': answer(CL, version=b'HTTP/0.9'),
    'version-1.2': answer(CL, version=b'HTTP/1.2'),
    'version-2.0': answer(CL, version=b'HTTP/2.0'),
    'version-2': answer(CL, version=b'HTTP/2'),
    'version-lower': answer(CL, version=b'http/1.1'),
    'version-icy': answer(CL, version=b'ICY'),
    'version-leading-space': answer(CL, version=b' HTTP/1.1'),
    'crlf-first': b'\r\n' + answer(CL),
    'lf-first': b'\n' + answer(CL),
    'nul-first': b'\0' + answer(CL),
    'bom-first': b'\xef\xbb\xbf' + answer(CL),
    'junk-first': b'junk\r\n' + answer(CL),
    'http09': b'{"usage":{}}\r\n',
    'request': b'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
    'tls-alert': b'\x15\x03\x01\x00\x02\x02\x28',
    'http2-settings': b'\0\0\0\4\0\0\0\0\0',
    'smtp': b'220 mail.example ESMTP\r\n',
    'interim-with-body': b'HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\nevil' +
                         answer(CL),
    'interim-chunked': b'HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n'
                       b'0\r\n\r\n' + answer(CL),
    'interim-nine': CONTINUE * 9 + answer(CL),
    'interim-flood': CONTINUE * 5000,
    'interim-101': b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
                   b'Connection: upgrade\r\n\r\n' + answer(CL),
    'interim-101-bare': b'HTTP/1.1 101 Switching Protocols\r\n\r\n' + answer(CL),
    'interim-bad-then-good': b'HTTP/1.1 100 Continue\r\nX A: b\r\n\r\n' + answer(CL),
    'fields-5000': answer(CL, *[b'X-A: b'] * 5000),
    'field-70k': answer(CL, b'X-A: ' + b'b' * 70000),
    'connection-quoted': answer(CL, b'Connection: "close"'),
    'head-cut': answer(CL)[:40],
    'head-cut-between': answer(CL, body=b'')[:-2],
}

# The client gets it whole, and the connection is used by nobody else.
SPENT = {
    'surplus': answer(CL, body=b'{}junk'),
    'surplus-response': answer(CL, body=b'{}' + EVIL),
    'surplus-crlf': answer(CL, body=b'{}\r\n'),
    'surplus-interim': answer(CL, body=b'{}' + CONTINUE),
    'surplus-chunked': chunked(WHOLE + EVIL),
    'surplus-chunked-crlf': chunked(WHOLE + b'\r\n'),
    'http10': answer(CL, version=b'HTTP/1.0'),
    'http10-keep-alive': answer(CL, b'Connection: keep-alive', version=b'HTTP/1.0'),
    'close': answer(CL, b'Connection: close'),
    'close-case': answer(CL, b'Connection: x, CLOSE'),
    'until-close': answer(),
    'until-close-response': answer(body=b'{}'),
}

# The client gets it whole.
RELAYED = {
    'plain': answer(CL),
    'chunked': chunked(WHOLE),
    'chunk-ext': chunked(b'2;a="b"\r\n{}\r\n0;c\r\n\r\n'),
    'chunk-bytes': chunked(b'1\r\n{\r\n1\r\n}\r\n0\r\n\r\n'),
    'trailer': chunked(WHOLE[:-2] + b'X-Usage: 5\r\n\r\n'),
    'te-upper': answer(b'Transfer-Encoding: CHUNKED', body=WHOLE),
    'interim-eight': CONTINUE * 8 + answer(CL),
    'interim-103': b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' + answer(CL),
    'no-reason': answer(CL, status=b'200 '),
    'no-reason-no-space': answer(CL, status=b'200'),
    'reason-high': answer(CL, status=b'200 \xc3\x96K'),
    'value-high': answer(CL, b'X-A: \xff'),
    'connection-content-length': answer(CL, b'Connection: content-length'),
    'keep-alive': answer(CL, b'Keep-Alive: timeout=5'),
    'upgrade-offered': answer(CL, b'Upgrade: h2c'),
}

# The client sees that it was cut; never a whole body.
CUT = {
    'cl-short': answer(b'Content-Length: 9'),
    'chunk-short': chunked(b'9\r\n{}'),
    'chunk-no-end': chunked(b'2\r\n{}\r\n'),
    'chunk-no-last-crlf': chunked(b'2\r\n{}\r\n0\r\n'),
    'chunk-plus': chunked(b'+2\r\n{}\r\n0\r\n\r\n'),
    'chunk-0x': chunked(b'0x2\r\n{}\r\n0\r\n\r\n'),
    'chunk-space': chunked(b'2 \r\n{}\r\n0\r\n\r\n'),
    'chunk-lf': chunked(b'2\n{}\r\n0\r\n\r\n'),
    'chunk-data-lf': chunked(b'2\r\n{}\n0\r\n\r\n'),
    'chunk-data-long': chunked(b'1\r\n{}\r\n0\r\n\r\n'),
    'chunk-empty-size': chunked(b'\r\n{}\r\n0\r\n\r\n'),
    'chunk-2-64': chunked(b'10000000000000002\r\n{}\r\n0\r\n\r\n'),
    'chunk-last-00': chunked(b'2\r\n{}\r\n00\r\n\r\n'),
    'chunk-last-lf': chunked(b'2\r\n{}\r\n0\n\n'),
    'chunk-ext-lf': chunked(b'2;a\n\r\n{}\r\n0\r\n\r\n'),
    'chunk-ext-quote': chunked(b'2;a="\r\n{}\r\n0\r\n\r\n'),
    'chunk-ext-flood': chunked(b'2;' + b'a' * 4000 + b'\r\n{}\r\n0\r\n\r\n'),
    'trailer-content-length': chunked(WHOLE[:-2] + b'Content-Length: 9\r\n\r\n'),
    'trailer-transfer-encoding': chunked(WHOLE[:-2] + b'Transfer-Encoding: a\r\n\r\n'),
    'trailer-set-cookie': chunked(WHOLE[:-2] + b'Set-Cookie: a=b\r\n\r\n'),
    'trailer-fold': chunked(WHOLE[:-2] + b'X-A: b\r\n c\r\n\r\n'),
    'trailer-lf': chunked(WHOLE[:-2] + b'X-A: b\n\r\n'),
    'trailer-flood': chunked(WHOLE[:-2] + b'X-A: b\r\n' * 4000 + b'\r\n'),
}

# No body, whatever is announced or sent; the connection is used by nobody else.
BODYLESS = {
    '204-length': answer(CL, status=b'204 No Content'),
    '204-chunked': chunked(WHOLE, status=b'204 No Content'),
    '204-response': answer(status=b'204 No Content', body=EVIL),
    '304-body': answer(CL, status=b'304 Not Modified'),
    '304-response': answer(status=b'304 Not Modified', body=EVIL),
}


class Provider(hostile.Upstream):
    """Answers the first request of a case with its bytes, all others well."""

    def __init__(self):
        super().__init__()
        self.case = None  # bytes for the next request
        self.closes = False
        self.used = None  # the socket that they left on
        self.reused = False

    def answer(self, sock, head, body):
        if self.case is not None:
            words, self.case, self.used = self.case, None, sock
            sock.sendall(words)
            return not self.closes
        self.reused = self.reused or sock is self.used
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n' + GOOD_BODY)
        return True


def request(assay, method=b'GET'):
    return b'%s /v1/models HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n' \
        b'Connection: close\r\n\r\n' % (method, assay.key.encode())


def play(assay, provider, words, closes=False):
    """(reply to the case, reply to the call behind it, was the connection used again?)."""
    provider.case, provider.closes, provider.reused = words, closes, False
    reply = hostile.exchange(assay.port, request(assay), silence=PATIENCE)
    if closes:
        wait_for(lambda: provider.used in provider.gone)
    time.sleep(REUSE_SECONDS)
    after = hostile.exchange(assay.port, request(assay), silence=PATIENCE)
    return reply, after, provider.reused


def is_good(kind, reply):
    head, _, rest = reply.partition(b'\r\n\r\n')
    status, body = hostile.status_of(reply), hostile.body_of(head, rest)
    if kind is REFUSED:
        return status == 502 and b'evil' not in reply
    if kind is BODYLESS:
        return status in (204, 304) and rest == b''
    if kind is CUT:
        return status == 502 or (status == 200 and body is None)
    return status == 200 and body == b'{}' and b'x-usage' not in head.lower()


def attacks(results, assay, provider):
    for kind, title in ((RELAYED, 'odd but clear responses relayed'),
                        (REFUSED, 'ambiguous responses refused'),
                        (SPENT, 'connections with more to say left alone'),
                        (CUT, 'broken bodies cut visibly'),
                        (BODYLESS, 'responses without bodies')):
        complaints = []
        for name, words in kind.items():
            closes = kind is CUT or name.startswith(('until-close', 'head-cut'))
            reply, after, reused = play(assay, provider, words, closes)
            if not is_good(kind, reply):
                complaints.append('%s: %r' % (name, reply[:300]))
            if reused and kind is not RELAYED:
                complaints.append('%s: the connection was used again' % name)
            if not after.endswith(GOOD_BODY):
                complaints.append('%s: afterwards %r' % (name, after[:200]))
        results.ok(not complaints, '%s: %d' % (title, len(kind)), *complaints[:SHOWN])


def stop(pid):
    """Stop a process; when this returns none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    def states():
        found = set()
        for thread in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/stat' % (pid, thread), encoding='ascii') as file:
                found.add(file.read().rpartition(') ')[2][0])
        return found
    wait_for(lambda: states() == {'T'})


def stray(results, assay, provider):
    """A response that lay on a pooled connection before the request was sent is nobody's."""
    complaints = []
    for order in ('before', 'behind'):
        play(assay, provider, answer(CL))
        pooled = provider.used
        with socket.create_connection(('127.0.0.1', assay.port), PATIENCE) as sock:
            sock.settimeout(PATIENCE)
            time.sleep(REUSE_SECONDS)
            stop(assay.process.pid)
            if order == 'before':
                pooled.sendall(EVIL)
            sock.sendall(request(assay))
            time.sleep(REUSE_SECONDS)
            if order == 'behind':
                pooled.sendall(EVIL)
            time.sleep(REUSE_SECONDS)
            os.kill(assay.process.pid, signal.SIGCONT)
            reply = b''
            while more := sock.recv(65536):
                reply += more
        if b'evil' in reply:
            complaints.append('%s the request: %r' % (order, reply))
    results.ok(not complaints, 'what came before the request is no response to it',
               *complaints)


def run(results):
    with Provider() as provider:
        server = {'url': provider.url, 'dialects': ['openai'], 'default': True,
                  'credential': 'env:UPSTREAM_KEY',
                  'timeouts': {'first_byte': '2s', 'idle': '2s'}}
        with Assay({'openai': server}, {'workers': 1}) as assay:
            for part in (attacks, stray):
                part(results, assay, provider)
            results.ok(assay.running(), 'and the proxy lives on', assay.log_tail())
