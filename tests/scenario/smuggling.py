"""Attacks on framing, ours: requests that two parsers may read differently, through the
running proxy, with a provider that records every byte. What reaches it has one reading."""

import concurrent.futures
import os
import re
import socket
import threading
import urllib.request

import hostile
from proxy import PATIENCE, Assay

PROXY_TIMEOUT = '300ms'  # of heads and bodies
AT_ONCE = 12
SHOWN = 40
CONTENT = b'{"model":"m","messages":[]}'
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

# What assay writes: nothing that anybody could read in two ways.
START = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[\x21-\x7e]* HTTP/1\.1")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x21-\x7e\x80-\xff]"
                   rb"(?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
LENGTH = re.compile(rb'0|[1-9][0-9]*')
CHUNK = re.compile(rb'[0-9a-f]+')
NOT_FORWARDED = {b'connection', b'keep-alive', b'te', b'trailer', b'upgrade', b'expect',
                 b'http2-settings', b'proxy-connection', b'content_length',
                 b'transfer_encoding', b'x-http-method-override', b'x-http-method',
                 b'x-method-override', b'x-original-url', b'x-rewrite-url'}


class Ambiguous(Exception):
    """Bytes that a strict reader refuses."""


def check_head(head):
    """(body's length, chunked?) of a head; Ambiguous where anybody could stumble."""
    lines = head.split(b'\r\n')
    if not START.fullmatch(lines[0]):
        raise Ambiguous('request line %r' % lines[0])
    fields = []
    for line in lines[1:]:
        match = FIELD.fullmatch(line)
        if not match:
            raise Ambiguous('field %r' % line)
        fields.append((match.group(1).lower(), match.group(2) or b''))
    names = [name for name, _ in fields]
    for name in names:
        if name in NOT_FORWARDED:
            raise Ambiguous('forwarded %r' % name)
    if names.count(b'host') != 1:
        raise Ambiguous('%d hosts' % names.count(b'host'))
    lengths = [value for name, value in fields if name == b'content-length']
    codings = [value for name, value in fields if name == b'transfer-encoding']
    if len(lengths) + len(codings) > 1 or any(not LENGTH.fullmatch(n) for n in lengths) or \
            any(coding != b'chunked' for coding in codings):
        raise Ambiguous('framing %r %r' % (lengths, codings))
    return int(lengths[0]) if lengths else 0, bool(codings)


class Recorder(hostile.Upstream):
    """Reads requests strictly and answers each; what is not strict goes into `faults`."""

    def __init__(self):
        super().__init__()
        self.requests = []  # (head, body)
        self.faults = []
        self.lock = threading.Lock()

    def serve(self, sock):
        sock.settimeout(2 * PATIENCE)
        data = bytearray()
        try:
            while True:
                head = self.until(sock, data, b'\r\n\r\n')
                if head is None:
                    return
                length, chunked = check_head(head)
                body = self.chunks(sock, data) if chunked else \
                    self.exactly(sock, data, length)
                with self.lock:
                    self.requests.append((head, body))
                sock.sendall(ANSWER)
        except Ambiguous as error:
            with self.lock:
                self.faults.append(str(error))
        except OSError:
            pass
        finally:
            sock.close()

    def receive(self, sock, data):
        more = sock.recv(65536)
        data += more
        return bool(more)

    def until(self, sock, data, end):
        while end not in data:
            if not self.receive(sock, data):
                return None
        at = data.index(end)
        front = bytes(data[:at])
        del data[:at + len(end)]
        return front

    def exactly(self, sock, data, length):
        while len(data) < length:
            if not self.receive(sock, data):
                raise OSError('cut')
        front = bytes(data[:length])
        del data[:length]
        return front

    def chunks(self, sock, data):
        body = b''
        while True:
            line = self.until(sock, data, b'\r\n')
            if line is None:
                raise OSError('cut')
            if not CHUNK.fullmatch(line):
                raise Ambiguous('chunk line %r' % line)
            body += self.exactly(sock, data, int(line, 16))
            if self.exactly(sock, data, 2) != b'\r\n':
                raise Ambiguous('chunk end')
            if int(line, 16) == 0:
                return body


# ---- requests ------------------------------------------------------------------------

def post(*lines, body=b'', target=b'/v1/chat/completions', method=b'POST', end=b'\r\n',
         version=b'HTTP/1.1'):
    """A request with the key behind its Host; `lines` and `body` are as they stand."""
    return b'%s %s %s%sHost: h%sAuthorization: Bearer KEY%s%s%s%s' % (
        method, target, version, end, end, end,
        b''.join(line + end for line in lines), end, body)


def get(*lines, **more):
    return post(*lines, method=b'GET', **{'target': b'/v1/models', **more})


def sized(*lines, body=CONTENT, **more):
    return post(*lines, b'Content-Length: %d' % len(body), body=body, **more)


def chunked(body, *lines, **more):
    return post(b'Transfer-Encoding: chunked', *lines, body=body, **more)


WHOLE = b'%x\r\n%s\r\n0\r\n\r\n' % (len(CONTENT), CONTENT)
SMUGGLED = b'GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n'


def chunk_line(line):
    return chunked(line + b'\r\n' + CONTENT + b'\r\n0\r\n\r\n')


def with_trailer(trailer):
    return chunked(WHOLE[:-2] + trailer + b'\r\n\r\n')


SIZE = b'%x' % len(CONTENT)
TE = b'Transfer-Encoding: chunked'
CL = b'Content-Length: %d' % len(CONTENT)
NUMBER = b'%d' % len(CONTENT)

# Refused with 4xx or 5xx, the connection closed, nothing sent to the provider.
REFUSED = {
    # Two framings.
    'cl-te': post(CL, TE, body=WHOLE + SMUGGLED),
    'te-cl': post(TE, CL, body=WHOLE + SMUGGLED),
    'cl0-te': post(b'Content-Length: 0', TE, body=WHOLE),
    'te-cl-case': post(b'tRANSFER-eNCODING: chunked', b'cONTENT-lENGTH: 3', body=WHOLE),
    'cl-te-identity': post(CL, b'Transfer-Encoding: identity', body=CONTENT),
    'cl-te-empty': post(CL, b'Transfer-Encoding:', body=CONTENT),
    'cl-behind-many': post(CL, *[b'X-A: b'] * 40, b'Content-Length: 5', body=CONTENT),
    'cl-twice': post(CL, CL, body=CONTENT),
    'cl-list': post(b'Content-Length: %s, %s' % (NUMBER, NUMBER), body=CONTENT),
    'cl-list-mixed': post(b'Content-Length: 0, ' + NUMBER, body=CONTENT),
    'cl-comma-behind': post(CL + b',', body=CONTENT),
    'cl-comma-before': post(b'Content-Length: ,' + NUMBER, body=CONTENT),
    'cl-semicolon': post(CL + b';q=1', body=CONTENT),
    'cl-quoted': post(b'Content-Length: "%s"' % NUMBER, body=CONTENT),
    'cl-point': post(CL + b'.0', body=CONTENT),
    'cl-octal': post(b'Content-Length: 033', body=CONTENT),
    'cl-zeros': post(b'Content-Length: 00', body=b''),
    'cl-hex': post(b'Content-Length: 0x1b', body=CONTENT),
    'cl-plus': post(b'Content-Length: +' + NUMBER, body=CONTENT),
    'cl-minus-zero': post(b'Content-Length: -0', body=b''),
    'cl-exponent': post(b'Content-Length: 27e0', body=CONTENT),
    'cl-underscored-digits': post(b'Content-Length: 2_7', body=CONTENT),
    'cl-inner-space': post(b'Content-Length: 2 7', body=CONTENT),
    'cl-2-64-plus': post(b'Content-Length: 18446744073709551643', body=CONTENT),
    'cl-2-63': post(b'Content-Length: 9223372036854775808', body=CONTENT),
    'cl-fullwidth': post('Content-Length: ２７'.encode(), body=CONTENT),
    'cl-arabic-digits': post('Content-Length: ٢٧'.encode(), body=CONTENT),
    'cl-on-get': get(b'Content-Length: 5', body=b'xxxxx'),
    'cl-on-head': post(CL, method=b'HEAD', target=b'/v1/models', body=CONTENT),
    'cl-on-options': post(CL, method=b'OPTIONS', body=CONTENT),
    'te-on-get': get(TE, body=WHOLE),
    'te-on-delete': post(TE, method=b'DELETE', target=b'/v1/responses/r', body=WHOLE),
    'te-on-http10': post(TE, body=WHOLE, version=b'HTTP/1.0'),
    'te-cl-on-http10': post(TE, CL, body=WHOLE, version=b'HTTP/1.0'),
    # Transfer-Encoding in disguise.
    'te-twice': post(TE, TE, body=WHOLE),
    'te-list-twice': post(TE + b', chunked', body=WHOLE),
    'te-two-fields': post(b'Transfer-Encoding: gzip', TE, body=WHOLE),
    'te-identity-then': post(b'Transfer-Encoding: identity', TE, body=WHOLE),
    'te-comma-before': post(b'Transfer-Encoding: ,chunked', body=WHOLE),
    'te-comma-behind': post(TE + b',', body=WHOLE),
    'te-comma-space': post(b'Transfer-Encoding: , chunked', body=WHOLE),
    'te-quoted': post(b'Transfer-Encoding: "chunked"', body=WHOLE),
    'te-parameter': post(TE + b';a=b', body=WHOLE),
    'te-semicolon': post(TE + b';', body=WHOLE),
    'te-prefix': post(b'Transfer-Encoding: xchunked', body=WHOLE),
    'te-suffix': post(TE + b'x', body=WHOLE),
    'te-shortened': post(b'Transfer-Encoding: chunke', body=WHOLE),
    'te-deflate': post(b'Transfer-Encoding: deflate', body=CONTENT),
    'te-kelvin': post('Transfer-Encoding: chun\u212aed'.encode(), body=WHOLE),
    'te-fullwidth': post('Transfer-Encoding: ｃhunked'.encode(), body=WHOLE),
    'te-nbsp': post(b'Transfer-Encoding: \xa0chunked', body=WHOLE),
    'te-vt': post(b'Transfer-Encoding: \x0bchunked', body=WHOLE),
    'te-ff': post(b'Transfer-Encoding: \x0cchunked', body=WHOLE),
    'te-ff-behind': post(TE + b'\x0c', body=WHOLE),
    'te-vt-before-colon': post(b'Transfer-Encoding\x0b: chunked', body=WHOLE),
    'te-nel': post(b'Transfer-Encoding: \x85chunked', body=WHOLE),
    'te-backspace': post(b'Transfer-Encoding: x\x08chunked', body=WHOLE),
    'te-nul': post(TE + b'\0', body=WHOLE),
    'te-nul-name': post(b'Transfer-Encoding\0: chunked', body=WHOLE),
    'te-high-name': post(b'Transfer-Encoding\xff: chunked', body=WHOLE),
    'te-space-colon': post(b'Transfer-Encoding : chunked', body=WHOLE),
    'te-tab-colon': post(b'Transfer-Encoding\t: chunked', body=WHOLE),
    'te-leading-space': post(CL, b' Transfer-Encoding: chunked', body=WHOLE),
    'te-leading-tab': post(CL, b'\tTransfer-Encoding: chunked', body=WHOLE),
    'te-first-field-folded': b'POST /v1/chat/completions HTTP/1.1\r\n Host: h\r\n' +
                             post(TE, body=WHOLE).split(b'\r\n', 1)[1],
    'te-folded': post(b'Transfer-Encoding:\r\n chunked', body=WHOLE),
    'te-folded-tab': post(b'Transfer-Encoding:\r\n\tchunked', body=WHOLE),
    'te-folded-lf': post(b'Transfer-Encoding:\n chunked', body=WHOLE),
    'te-folded-into-other': post(b'X-A: b\r\n Transfer-Encoding: chunked', CL, body=CONTENT),
    'te-folded-empty': post(b'X-A: b\r\n \r\nTransfer-Encoding: chunked', CL, body=WHOLE),
    'te-bare-cr': post(b'X-A: b\rTransfer-Encoding: chunked', CL, body=WHOLE),
    'te-bare-lf': post(b'X-A: b\nTransfer-Encoding: chunked', CL, body=WHOLE),
    'te-lf-cr': post(b'X-A: b\n\rTransfer-Encoding: chunked', CL, body=WHOLE),
    'te-cr-cr-lf': post(b'X-A: b\r', CL, body=CONTENT),
    'te-underscore': post(b'Transfer_Encoding: chunked', body=WHOLE),
    'te-dot': post(b'Transfer.Encoding: chunked', CL, body=CONTENT),
    'te-space-name': post(b'Transfer Encoding: chunked', CL, body=CONTENT),
    'te-no-colon': post(b'Transfer-Encoding chunked', CL, body=CONTENT),
    'te-double-colon': post(b'Transfer-Encoding:: chunked', body=WHOLE),
    'te-quoted-name': post(b'"Transfer-Encoding": chunked', CL, body=CONTENT),
    'te-bom': post(b'\xef\xbb\xbfTransfer-Encoding: chunked', CL, body=CONTENT),
    'cl-underscore': post(b'Content_Length: 5', CL, body=CONTENT),
    'cl-star': post(b'Content*Length: 5', CL, body=CONTENT),
    'cl-folded': post(b'Content-Length:\r\n 27', body=CONTENT),
    'cl-split': post(b'Content-Length: 2\r\n 7', body=CONTENT),
    'cl-space-colon': post(b'Content-Length : 27', body=CONTENT),
    # Line ends and control characters.
    'all-lf': post(CL, body=CONTENT, end=b'\n'),
    'all-cr': post(CL, body=CONTENT, end=b'\r'),
    'lf-request-line': post(CL, body=CONTENT).replace(b'\r\n', b'\n', 1),
    'lf-before-body': post(CL, body=CONTENT).replace(b'\r\n\r\n', b'\r\n\n', 1),
    'lf-lf-in-head': post(b'X-A: b\n\nGET / HTTP/1.1', CL, body=CONTENT),
    'cr-before-end': post(CL, body=CONTENT).replace(b'\r\n\r\n', b'\r\n\r\r\n', 1),
    'cr-first': b'\r' + sized(),
    'lf-first': b'\n' + sized(),
    'crlf-thrice': b'\r\n\r\n\r\n' + sized(),
    'space-first': b' ' + sized(),
    'tab-first': b'\t' + sized(),
    'nul-first': b'\0' + sized(),
    'bom-first': b'\xef\xbb\xbf' + sized(),
    'nul-in-value': sized(b'X-A: b\0c'),
    'del-in-value': sized(b'X-A: b\x7fc'),
    'escape-in-value': sized(b'X-A: \x1b[2J'),
    'cr-in-value': sized(b'X-A: b\rc'),
    'cr-ends-value': sized(b'X-A: b\r'),
    'lf-ends-value': sized(b'X-A: b\n'),
    'nul-in-name': sized(b'X-\0A: b'),
    'high-in-name': sized(b'X-\xc3\xa9: b'),
    'space-in-name': sized(b'X A: b'),
    'space-behind-name': sized(b'X-A : b'),
    'empty-name': sized(b': b'),
    'only-colon': sized(b':'),
    'no-colon': sized(b'X-A'),
    'separator-in-name': sized(b'X(A): b'),
    'slash-in-name': sized(b'X/A: b'),
    'at-in-name': sized(b'X@A: b'),
    'equals-in-name': sized(b'X=A: b'),
    'brackets-in-name': sized(b'X[A]: b'),
    'folded-value': sized(b'X-A: b\r\n c'),
    'folded-host': sized(b'X-A: b').replace(b'Host: h', b'Host:\r\n h'),
    'space-line': sized(b' '),
    # The request line.
    'http09': b'GET /v1/models\r\n\r\n',
    'http09-bare': b'GET /v1/models\r\n',
    'no-version': get().replace(b' HTTP/1.1', b'', 1),
    'version-1.2': get(version=b'HTTP/1.2'),
    'version-1.10': get(version=b'HTTP/1.10'),
    'version-01.1': get(version=b'HTTP/01.1'),
    'version-1.01': get(version=b'HTTP/1.01'),
    'version-1': get(version=b'HTTP/1'),
    'version-1,1': get(version=b'HTTP/1,1'),
    'version-2.0': get(version=b'HTTP/2.0'),
    'version-3': get(version=b'HTTP/3'),
    'version-0.9': get(version=b'HTTP/0.9'),
    'version-lower': get(version=b'http/1.1'),
    'version-https': get(version=b'HTTPS/1.1'),
    'version-icy': get(version=b'ICY/1.1'),
    'version-minus': get(version=b'HTTP/-1.1'),
    'version-twice': get(version=b'HTTP/1.1 HTTP/1.1'),
    'version-space-behind': get(version=b'HTTP/1.1 '),
    'version-tab-behind': get(version=b'HTTP/1.1\t'),
    'preface-http2': b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + b'\0\0\0\4\0\0\0\0\0',
    'two-spaces': get().replace(b'GET ', b'GET  ', 1),
    'two-spaces-behind': get().replace(b' HTTP/1.1', b'  HTTP/1.1', 1),
    'tab-separated': get().replace(b'GET ', b'GET\t', 1),
    'tab-behind-target': get().replace(b' HTTP/1.1', b'\tHTTP/1.1', 1),
    'vt-separated': get().replace(b'GET ', b'GET\x0b', 1),
    'nbsp-separated': get().replace(b'GET ', b'GET\xa0', 1),
    'method-lower': get().replace(b'GET', b'get', 1),
    'method-mixed': get().replace(b'GET', b'Get', 1),
    'method-connect': b'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n' + SMUGGLED,
    'method-trace': post(method=b'TRACE', target=b'/v1/models'),
    'method-track': post(method=b'TRACK', target=b'/v1/models'),
    'method-debug': post(method=b'DEBUG', target=b'/v1/models'),
    'method-purge': post(method=b'PURGE', target=b'/v1/models'),
    'method-propfind': post(method=b'PROPFIND', target=b'/v1/models'),
    'method-query': post(CL, method=b'QUERY', body=CONTENT),
    'method-empty': post(method=b'', target=b'/v1/models'),
    'method-quoted': post(method=b'"GET"', target=b'/v1/models'),
    'method-high': post(method=b'G\xc3\x8bT', target=b'/v1/models'),
    'method-nul': post(method=b'GET\0', target=b'/v1/models'),
    'method-long': post(method=b'A' * 9000, target=b'/v1/models'),
    # Targets.
    'absolute-form': get(target=b'http://h/v1/models'),
    'absolute-other-host': get(target=b'http://evil.example/v1/models'),
    'absolute-upper': get(target=b'HTTP://h/v1/models'),
    'absolute-userinfo': get(target=b'http://h@evil.example/v1/models'),
    'absolute-no-path': get(target=b'http://h?x'),
    'authority-form': get(target=b'h:80'),
    'scheme-only': get(target=b'/http://evil.example/v1/models'),
    'asterisk-get': get(target=b'*'),
    'asterisk-path': post(method=b'OPTIONS', target=b'*/v1/models'),
    'no-slash': get(target=b'v1/models'),
    'backslash-first': get(target=b'\\v1/models'),
    'query-first': get(target=b'?/v1/models'),
    'two-slashes': get(target=b'//v1/models'),
    'three-slashes': get(target=b'///evil.example/v1/models'),
    'slash-backslash': get(target=b'/\\evil.example/v1/models'),
    'inner-slashes': get(target=b'/v1//models'),
    'dot-segment': get(target=b'/v1/./models'),
    'dots': get(target=b'/v1/x/../models'),
    'dots-above': get(target=b'/../v1/models'),
    'dots-escaped': get(target=b'/v1/%2e%2e/v1/models'),
    'dots-half-escaped': get(target=b'/v1/.%2E/models'),
    'dots-twice-escaped': get(target=b'/v1/%252e%252e/models'),
    'dots-parameter': get(target=b'/v1/..;/models'),
    'dots-backslash': get(target=b'/v1/..\\models'),
    'slash-escaped': get(target=b'/v1%2fmodels'),
    'backslash-escaped': get(target=b'/v1%5cmodels'),
    'nul-escaped': get(target=b'/v1/models%00'),
    'lf-escaped': get(target=b'/v1/models%0a'),
    'crlf-escaped': get(target=b'/v1/models%0d%0aX-A:%20b'),
    'space-escaped-behind': get(target=b'/v1/models%20'),
    'question-escaped': get(target=b'/v1/models%3f'),
    'hash-escaped': get(target=b'/v1/models%23'),
    'percent-escaped': get(target=b'/v1/models%25'),
    'overlong-slash': get(target=b'/v1%c0%afmodels'),
    'fullwidth-slash': get(target=b'/v1%ef%bc%8fmodels'),
    'escape-cut': get(target=b'/v1/models%2'),
    'escape-bad': get(target=b'/v1/models%zz'),
    'escape-unicode': get(target=b'/v1/%u002e%u002e/models'),
    'fragment': get(target=b'/v1/models#x'),
    'high-in-target': get(target=b'/v1/mod\xc3\xa9ls'),
    'nul-in-target': get(target=b'/v1/models\0'),
    'del-in-target': get(target=b'/v1/models\x7f'),
    'space-in-target': get(target=b'/v1/models x'),
    'lf-in-target': get(target=b'/v1/models\nX-A: b'),
    'cr-in-query': get(target=b'/v1/models?a=\rb'),
    'high-in-query': get(target=b'/v1/models?a=\xff'),
    'fragment-in-query': get(target=b'/v1/models?a#b'),
    'query-escape-bad': get(target=b'/v1/models?a=%g0'),
    'target-long': get(target=b'/v1/models?' + b'a' * 9000),
    # Hosts.
    'host-missing': get().replace(b'Host: h\r\n', b'', 1),
    'host-missing-http10': get(version=b'HTTP/1.0').replace(b'Host: h\r\n', b'', 1),
    'host-twice': get(b'Host: h'),
    'host-twice-other': get(b'Host: evil.example'),
    'host-case-twice': get(b'hOsT: evil.example'),
    'host-empty': get().replace(b'Host: h', b'Host:', 1),
    'host-comma': get().replace(b'Host: h', b'Host: h, evil.example', 1),
    'host-space': get().replace(b'Host: h', b'Host: h evil.example', 1),
    'host-space-colon': get().replace(b'Host: h', b'Host : h', 1),
    'host-slash': get().replace(b'Host: h', b'Host: h/evil', 1),
    'host-backslash': get().replace(b'Host: h', b'Host: h\\evil', 1),
    'host-query': get().replace(b'Host: h', b'Host: h?a', 1),
    'host-fragment': get().replace(b'Host: h', b'Host: h#a', 1),
    'host-userinfo': get().replace(b'Host: h', b'Host: a@h', 1),
    'host-scheme': get().replace(b'Host: h', b'Host: http://h', 1),
    'host-port-empty': get().replace(b'Host: h', b'Host: :80', 1),
    'host-port-zero': get().replace(b'Host: h', b'Host: h:0', 1),
    'host-port-large': get().replace(b'Host: h', b'Host: h:65536', 1),
    'host-port-words': get().replace(b'Host: h', b'Host: h:http', 1),
    'host-port-plus': get().replace(b'Host: h', b'Host: h:+80', 1),
    'host-port-twice': get().replace(b'Host: h', b'Host: h:80:80', 1),
    'host-bracket': get().replace(b'Host: h', b'Host: [::1', 1),
    'host-brackets-inside': get().replace(b'Host: h', b'Host: [::1]evil', 1),
    'host-high': get().replace(b'Host: h', b'Host: h\xc3\xa9', 1),
    'host-nul': get().replace(b'Host: h', b'Host: h\0evil', 1),
    'host-tab': get().replace(b'Host: h', b'Host: h\tevil', 1),
    'host-percent': get().replace(b'Host: h', b'Host: h%00', 1),
    'host-long': get().replace(b'Host: h', b'Host: ' + b'h' * 300, 1),
    # Connection and its kind.
    'connection-content-length': sized(b'Connection: Content-Length'),
    'connection-close-length': sized(b'Connection: close, content-length'),
    'connection-transfer-encoding': chunked(WHOLE, b'Connection: Transfer-Encoding'),
    'connection-host': sized(b'Connection: Host'),
    'connection-authorization': sized(b'Connection: authorization'),
    'connection-content-type': sized(b'Connection: content-type'),
    'connection-content-encoding': sized(b'Connection: content-encoding'),
    'connection-expect': sized(b'Connection: expect'),
    'connection-quoted': sized(b'Connection: "close"'),
    'connection-many': sized(b'Connection: ' + b'a,' * 64),
    'connection-space': sized(b'Connection: close keep-alive'),
    'connection-nul': sized(b'Connection: close\0'),
    'expect-other': sized(b'Expect: 200-ok'),
    'expect-list': sized(b'Expect: 100-continue, 100-continue'),
    'expect-twice': sized(b'Expect: 100-continue', b'Expect: 100-continue'),
    'expect-prefix': sized(b'Expect: x100-continue'),
    'expect-suffix': sized(b'Expect: 100-continuex'),
    'expect-quoted': sized(b'Expect: "100-continue"'),
    'expect-parameter': sized(b'Expect: 100-continue;a=b'),
    'expect-empty': sized(b'Expect:'),
    'expect-y': sized(b'Expect: y 100-continue'),
    # Chunks.
    'chunk-empty-size': chunk_line(b''),
    'chunk-0x': chunk_line(b'0x' + SIZE),
    'chunk-plus': chunk_line(b'+' + SIZE),
    'chunk-minus': chunk_line(b'-' + SIZE),
    'chunk-h': chunk_line(SIZE + b'h'),
    'chunk-underscore': chunk_line(b'1_b'),
    'chunk-point': chunk_line(SIZE + b'.0'),
    'chunk-comma': chunk_line(SIZE + b',0'),
    'chunk-space-before': chunk_line(b' ' + SIZE),
    'chunk-space-behind': chunk_line(SIZE + b' '),
    'chunk-tab-behind': chunk_line(SIZE + b'\t'),
    'chunk-vt-behind': chunk_line(SIZE + b'\x0b'),
    'chunk-space-between': chunk_line(b'1 b'),
    'chunk-nul-behind': chunk_line(SIZE + b'\0'),
    'chunk-quoted': chunk_line(b'"1b"'),
    'chunk-fullwidth': chunk_line('１ｂ'.encode()),
    'chunk-nine-digits': chunk_line(b'0000000' + SIZE),
    'chunk-many-zeros': chunk_line(b'0' * 100 + SIZE),
    'chunk-2-32': chunk_line(b'1000000' + b'1b'),
    'chunk-2-64': chunk_line(b'100000000000000' + b'1b'),
    'chunk-17-digits': chunk_line(b'f' * 17),
    'chunk-lf': chunked(SIZE + b'\n' + CONTENT + b'\r\n0\r\n\r\n'),
    'chunk-cr': chunked(SIZE + b'\r' + CONTENT + b'\r\n0\r\n\r\n'),
    'chunk-cr-cr-lf': chunked(SIZE + b'\r\r\n' + CONTENT + b'\r\n0\r\n\r\n'),
    'chunk-data-lf': chunked(SIZE + b'\r\n' + CONTENT + b'\n0\r\n\r\n'),
    'chunk-data-cr': chunked(SIZE + b'\r\n' + CONTENT + b'\r0\r\n\r\n'),
    'chunk-data-xx': chunked(SIZE + b'\r\n' + CONTENT + b'xx0\r\n\r\n'),
    'chunk-data-crlfcrlf': chunked(SIZE + b'\r\n' + CONTENT + b'\r\n\r\n0\r\n\r\n'),
    'chunk-data-short': chunked(b'1c\r\n' + CONTENT + b'\r\n0\r\n\r\n'),
    'chunk-data-long': chunked(b'1a\r\n' + CONTENT + b'\r\n0\r\n\r\n'),
    'chunk-crlf-first': chunked(b'\r\n' + WHOLE),
    'chunk-last-00': chunked(WHOLE[:-5] + b'00\r\n\r\n'),
    'chunk-last-minus': chunked(WHOLE[:-5] + b'-0\r\n\r\n'),
    'chunk-last-lf': chunked(WHOLE[:-5] + b'0\n\n'),
    'chunk-last-crlf-lf': chunked(WHOLE[:-5] + b'0\r\n\n'),
    'chunk-last-lf-crlf': chunked(WHOLE[:-5] + b'0\n\r\n'),
    'chunk-last-cr-x': chunked(WHOLE[:-5] + b'0\r\n\rX'),
    'chunk-last-nul': chunked(WHOLE[:-5] + b'0\0\r\n\r\n'),
    'chunk-ext-space': chunk_line(SIZE + b' ;a'),
    'chunk-ext-empty': chunk_line(SIZE + b';'),
    'chunk-ext-empty-value': chunk_line(SIZE + b';a='),
    'chunk-ext-lf': chunk_line(SIZE + b';a\nb'),
    'chunk-ext-cr': chunk_line(SIZE + b';a\rb'),
    'chunk-ext-nul': chunk_line(SIZE + b';a\0'),
    'chunk-ext-quote-open': chunk_line(SIZE + b';a="'),
    'chunk-ext-quote-crlf': chunk_line(SIZE + b';a="\r\n"'),
    'chunk-ext-quote-lf': chunk_line(SIZE + b';a="\n"'),
    'chunk-ext-escape-cr': chunk_line(SIZE + b';a="\\\r\n"'),
    'chunk-ext-quote-junk': chunk_line(SIZE + b';a="b"c'),
    'chunk-ext-high': chunk_line(SIZE + b';a=\xff'),
    'chunk-ext-slash': chunk_line(SIZE + b';a/b'),
    'chunk-ext-long': chunk_line(SIZE + b';' + b'a' * 300),
    'chunk-ext-many': chunk_line(SIZE + b';a=b' * 100),
    'chunk-ext-last-lf': chunked(WHOLE[:-5] + b'0;a\n\r\n'),
    # Trailers.
    'trailer-content-length': with_trailer(b'Content-Length: 5'),
    'trailer-transfer-encoding': with_trailer(b'Transfer-Encoding: chunked'),
    'trailer-cl-underscore': with_trailer(b'Content_Length: 5'),
    'trailer-host': with_trailer(b'Host: evil.example'),
    'trailer-authorization': with_trailer(b'Authorization: Bearer x'),
    'trailer-cookie': with_trailer(b'Cookie: a=b'),
    'trailer-expect': with_trailer(b'Expect: 100-continue'),
    'trailer-connection': with_trailer(b'Connection: close'),
    'trailer-content-encoding': with_trailer(b'Content-Encoding: gzip'),
    'trailer-content-type': with_trailer(b'Content-Type: text/html'),
    'trailer-forwarded': with_trailer(b'X-Forwarded-For: 127.0.0.1'),
    'trailer-te': with_trailer(b'TE: chunked'),
    'trailer-upgrade': with_trailer(b'Upgrade: h2c'),
    'trailer-folded': with_trailer(b'X-A: b\r\n c'),
    'trailer-space-colon': with_trailer(b'X-A : b'),
    'trailer-empty-name': with_trailer(b': b'),
    'trailer-no-colon': with_trailer(b'X-A'),
    'trailer-lf': with_trailer(b'X-A: b\nX-C: d'),
    'trailer-cr': with_trailer(b'X-A: b\rX-C: d'),
    'trailer-nul': with_trailer(b'X-A: b\0'),
    'trailer-high-name': with_trailer(b'X-\xff: b'),
    'trailer-request': with_trailer(SMUGGLED[:-4]),
    'trailer-large': with_trailer(b'X-A: ' + b'b' * 10000),
    'trailer-many': with_trailer(b'\r\n'.join([b'X-A: b'] * 2000)),
    # Size.
    'fields-101': get(*[b'X-A: b'] * 101),
    'fields-5000': get(*[b'X-A: b'] * 5000),
    'field-70k': get(b'X-A: ' + b'b' * 70000),
    'name-70k': get(b'X' * 70000 + b': b'),
    # Other protocols.
    'tls-hello': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\0' * 32,
    'socks5': b'\x05\x01\x00',
    'proxy-protocol-1': b'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n' + get(),
    'proxy-protocol-2': b'\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c' + b'\x7f\0\0\1' * 3 + get(),
    'response': b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    'ssh': b'SSH-2.0-OpenSSH_9.2\r\n',
    'smtp': b'EHLO h\r\nMAIL FROM:<a@b>\r\n',
}

# One request, taken and written anew in one reading.
TAKEN = {
    'plain': sized(),
    'plain-chunked': chunked(WHOLE),
    'crlf-first': b'\r\n' + sized(),
    'crlf-twice-first': b'\r\n\r\n' + sized(),
    'te-upper': post(b'Transfer-Encoding: CHUNKED', body=WHOLE),
    'te-white-space': post(b'Transfer-Encoding:\t chunked', body=WHOLE),
    'cl-white-space': post(b'Content-Length:\t %s  ' % NUMBER, body=CONTENT),
    'cl-no-space': post(b'Content-Length:' + NUMBER, body=CONTENT),
    'obs-text-value': sized(b'X-A: \xe9\xff'),
    'tab-in-value': sized(b'X-A: b\tc'),
    'empty-value': sized(b'X-A:'),
    'odd-name': sized(b"!#$%&'*+-.^_`|~: b"),
    'chunk-upper': chunk_line(SIZE.upper()),
    'chunk-padded': chunk_line(b'0000001b'),
    'chunk-ext': chunk_line(SIZE + b';a;b=c;d="e \\" f"'),
    'chunk-bytes': chunked(b''.join(b'1\r\n%c\r\n' % byte for byte in CONTENT) +
                           b'0\r\n\r\n'),
    'trailer': with_trailer(b'X-Checksum: abc'),
    'trailer-prefix': with_trailer(b'Authority: b'),
    'connection-unknown': sized(b'Connection: x-hop', b'X-Hop: secret'),
    'connection-empty': sized(b'Connection:'),
    'connection-commas': sized(b'Connection: , ,'),
    'te-field': sized(b'TE: trailers, deflate', b'Connection: TE'),
    'te-field-alone': sized(b'TE: trailers'),
    'trailer-field': chunked(WHOLE, b'Trailer: X-A'),
    'keep-alive-field': sized(b'Keep-Alive: timeout=5'),
    'proxy-connection': sized(b'Proxy-Connection: keep-alive'),
    'expect': sized(b'Expect: 100-continue'),
    'expect-upper': sized(b'Expect: 100-CONTINUE'),
    'override': get(b'X-HTTP-Method-Override: DELETE', b'X-HTTP-Method: PUT',
                    b'X-Method-Override: PUT'),
    'rewrite': get(b'X-Original-URL: /v1/files', b'X-Rewrite-URL: /v1/files'),
    'range': get(b'Range: bytes=0-0'),
    'h2c': sized(b'Connection: Upgrade, HTTP2-Settings', b'Upgrade: h2c',
                 b'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'),
    'h2c-unlisted': sized(b'Upgrade: h2c', b'HTTP2-Settings: AAMAAABkAAQAAP__'),
    'upgrade-unknown': sized(b'Connection: upgrade', b'Upgrade: foo/2'),
    'upgrade-tls': sized(b'Connection: upgrade', b'Upgrade: TLS/1.0'),
    'http10': sized(version=b'HTTP/1.0'),
    'http10-keep-alive': sized(b'Connection: keep-alive', version=b'HTTP/1.0'),
    'host-port': sized().replace(b'Host: h', b'Host: h:8080', 1),
    'host-ipv6': sized().replace(b'Host: h', b'Host: [::1]:8080', 1),
    'host-other': sized().replace(b'Host: h', b'Host: evil.example', 1),
    'escaped-letters': get(target=b'/v1/%6dodels'),
    'query': get(target=b'/v1/models?a=../..//%2e&b'),
}

# Several requests in the same bytes: how many reach the provider, and each in one reading.
PIPELINED = {
    'two': (get() + sized(), 2),
    'three': (get() * 3, 3),
    'chunked-then': (chunked(WHOLE) + get(), 2),
    'close-then': (get(b'Connection: close') + get(), 1),
    'http10-then': (get(version=b'HTTP/1.0') + get(), 1),
    'good-then-bad': (get() + get(b'X A: b') + get(), 1),
    'line-swallowed': (get() + b'GET /v1/models HTTP/1.1\r\nX: ' + get(), 2),
    'body-longer-than-said': (post(b'Content-Length: 2', body=b'{}' + get()), 2),
    'keyless-behind-body': (post(b'Content-Length: 2', body=b'{}' + SMUGGLED), 1),
    'body-is-a-request': (sized(body=SMUGGLED), 1),
    'chunk-is-a-request': (chunked(b'%x\r\n%s\r\n0\r\n\r\n' % (len(SMUGGLED), SMUGGLED)), 1),
    'expect-then-request': (sized(b'Expect: 100-continue', body=b'').replace(
        b'Content-Length: 0', b'Content-Length: %d' % len(SMUGGLED)) + SMUGGLED, 1),
    'upgrade-then': (get(b'Connection: upgrade', b'Upgrade: h2c') + get(), 2),
    'preface-behind': (get() + b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 1),
    'crlf-between': (get() + b'\r\n' + get(), 2),
    'lf-between': (get() + b'\n' + get(), 1),
    'unknown-path-then': (get(target=b'/v1/no-such') + get(), 1),
    'options-with-length-0': (post(b'Content-Length: 0', target=b'/v1/no-such',
                                   method=b'OPTIONS') + get(), 1),
}


class Gate:
    """One proxy in front of one recorder; cases are told apart by their requests' count."""

    def __init__(self):
        self.recorder = Recorder()
        self.assay = None

    def __enter__(self):
        self.recorder.__enter__()
        provider = {'url': self.recorder.url, 'dialects': ['openai'], 'default': True,
                    'credential': 'env:UPSTREAM_KEY'}
        self.assay = Assay({'openai': provider}, {
            'workers': 1, 'limits': {'head_timeout': PROXY_TIMEOUT,
                                     'body_timeout': PROXY_TIMEOUT,
                                     'keep_alive': PROXY_TIMEOUT}})
        self.assay.__enter__()
        return self

    def __exit__(self, *error):
        self.assay.__exit__(*error)
        self.recorder.__exit__(*error)

    def send(self, raw, pieces=1):
        """(statuses, closed by the proxy?) of what came back within a while."""
        raw = raw.replace(b'KEY', self.assay.key.encode())
        reply, closed = b'', False
        with socket.create_connection(('127.0.0.1', self.assay.port), PATIENCE) as sock:
            sock.settimeout(PATIENCE)
            try:
                for at in range(pieces):
                    size = len(raw) // pieces + 1
                    sock.sendall(raw[at * size:(at + 1) * size])
                while True:
                    more = sock.recv(65536)
                    if not more:
                        closed = True
                        break
                    reply += more
            except ConnectionError:
                closed = True
            except socket.timeout:
                pass
        return [int(code) for code in re.findall(rb'HTTP/1\.1 (\d{3}) ', reply)], closed

    def seen(self):
        """Requests and faults since the last time."""
        with self.recorder.lock:
            seen = self.recorder.requests[:], self.recorder.faults[:]
            self.recorder.requests.clear()
            self.recorder.faults.clear()
        return seen


def refused(results, gate):
    """Nothing of these reaches the provider, whatever the pieces they come in."""
    def one(name, raw, pieces):
        statuses, closed = gate.send(raw, pieces)
        if not closed or len(statuses) != 1 or not 400 <= statuses[0] < 600 or \
                statuses[0] == 401:
            return ['%s: %s, closed %s' % (name, statuses, closed)], False
        return [], False  # what reached the provider is looked at below

    complaints = []
    cases = [(*case, pieces) for case in REFUSED.items() for pieces in (1, 3)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda case: hostile.some_tries(lambda: one(*case)), cases):
            complaints += found
    requests, faults = gate.seen()
    complaints += ['reached the provider: %r' % (request,) for request in requests] + faults
    results.ok(not complaints, 'framing attacks refused: %d' % len(REFUSED),
               *complaints[:SHOWN])


def taken(results, gate):
    """One request each, in the one reading that assay wrote."""
    def one(name, raw):
        statuses, _ = gate.send(raw, 2)
        requests, faults = gate.seen()
        statuses = [code for code in statuses if code != 100]
        wanted = b'' if raw.lstrip().startswith(b'GET') else CONTENT
        if statuses != [200] or len(requests) != 1 or faults or requests[0][1] != wanted:
            return ['%s: %s, %r %s' % (name, statuses, requests, faults)], requests or faults
        return [], False

    complaints = []
    for case in TAKEN.items():
        complaints += hostile.some_tries(lambda: one(*case))
    results.ok(not complaints, 'odd but clear requests written anew: %d' % len(TAKEN),
               *complaints[:SHOWN])


def pipelined(results, gate):
    """What lies behind a request is read as the next one, or not at all."""
    def one(name, raw, wanted):
        statuses, closed = gate.send(raw)
        requests, faults = gate.seen()
        if len(requests) != wanted or faults or not closed:
            return (['%s: %s, closed %s, %r %s' % (name, statuses, closed, requests, faults)],
                    len(requests) > wanted or faults)
        return [], False

    complaints = []
    for name, case in PIPELINED.items():
        complaints += hostile.some_tries(lambda: one(name, *case))
    results.ok(not complaints, 'several requests at once: %d' % len(PIPELINED),
               *complaints[:SHOWN])


# A head that came before is not judged anew, but for its length and its credential.
LENGTHS = (b'0%d', b'+%d', b'-%d', b'%d,', b'%d;', b'%d.0', b'0x%x', b'%d 0', b'%d\0', b'%d\x0b',
           b'%d\r\nTransfer-Encoding: chunked', b'%d\r\nContent-Length: 5', b'%d\r\n 5',
           b'%d\rX: b', b'1844674407370955161%d', b'99999999999999999999%d')


def known(results, gate):
    """What refuses a head's length refuses it also in a head that is known."""
    def good():
        statuses, _ = gate.send(sized(b'X-Known: yes'))
        return [] if statuses == [200] else ['the good one: %s' % statuses], False

    def bad(form):
        raw = sized(b'X-Known: yes').replace(CL, b'Content-Length: ' + form % len(CONTENT))
        statuses, closed = gate.send(raw)
        requests, faults = gate.seen()
        if requests or faults or not closed or len(statuses) != 1 or statuses[0] < 400:
            return ['%r: %s, %r %s' % (form, statuses, requests, faults)], requests or faults
        return [], False

    complaints = []
    for _ in range(3):
        complaints += hostile.some_tries(good)
    gate.seen()
    for form in LENGTHS:
        complaints += hostile.some_tries(lambda: bad(form))
    results.ok(not complaints, 'known heads with other lengths: %d' % len(LENGTHS),
               *complaints[:SHOWN])


def disagreements(gate):
    with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % gate.assay.admin_port,
                                timeout=PATIENCE) as page:
        found = re.search(rb'^assay_parser_disagreements_total (\d+)$', page.read(), re.M)
    return int(found.group(1))


def counted(results, gate):
    """Where only one of the two parsers refuses, the metrics tell."""
    def one():
        before = disagreements(gate)
        statuses, _ = gate.send(post(CL + b' \t', body=CONTENT))
        requests, faults = gate.seen()
        if statuses != [400] or disagreements(gate) != before + 1 or requests or faults:
            return [statuses, requests, faults], requests or faults
        return [], False

    complaints = hostile.some_tries(one)
    results.ok(not complaints, 'parsers that disagree are counted', *complaints)


# Bytes that some parser somewhere takes for an end, a separator or nothing.
ODD = (b'\r', b'\n', b'\0', b'\x0b', b'\x7f', b'\xa0', b' ', b'\r\n')
ODDER = (b'\x0c', b'\x1f', b'\x80', b'\xff', b'\t', b'\n\n', b'\r\n ', b':', b',', b';', b'"')
FRAMED = (sized(b'X-A: b'), chunked(SIZE + b';a=b\r\n' + CONTENT + b'\r\n0\r\nX-T: c\r\n\r\n'))


def odd_bytes(long):
    """Each byte of two requests with something odd before it, or (long) in its place."""
    for raw in FRAMED:
        for at in range(len(raw)):
            for odd in ODD + (ODDER if long else ()):
                yield raw[:at] + odd + raw[at:]
                if long:
                    yield raw[:at] + odd + raw[at + 1:]


def swept(results, gate):
    """Wherever an odd byte stands: an answer, the connection closed, one reading upstream."""
    def one(raw):
        statuses, closed = gate.send(raw)
        final = [code for code in statuses if code != 100]
        if not final or not closed or len(final) > 2 or final[1:] == [200]:
            return ['%r: %s, closed %s' % (raw, statuses, closed)], False
        return [], False  # what reached the provider is looked at below

    complaints = []
    cases = list(odd_bytes(os.environ.get('ASSAY_LONG') == '1'))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda raw: hostile.some_tries(lambda: one(raw)), cases):
            complaints += found
    requests, faults = gate.seen()
    results.ok(not complaints and not faults and requests, 'odd bytes at every place: %d' %
               len(cases), *complaints[:SHOWN], *faults[:SHOWN])


def run(results):
    with Gate() as gate:
        for part in (taken, pipelined, known, counted, refused, swept):
            part(results, gate)
        results.ok(gate.assay.running(), 'and the proxy lives on', gate.assay.log_tail())
