"""TLS on both sides: which certificates of a provider are refused, and what a client gets."""

import os
import socket
import ssl
import subprocess
import tempfile

import hostile
from dev_certs import DevCerts, openssl
from proxy import PATIENCE, Assay

ANSWER = hostile.GOOD
DATES = {'expired': ('20200101000000Z', '20200201000000Z'),
         'future': ('20400101000000Z', '20410101000000Z')}
CA_CONFIG = '''\
[ca]
default_ca = own
[own]
dir = %(folder)s
new_certs_dir = %(folder)s
database = %(folder)s/index
serial = %(folder)s/serial
certificate = %(folder)s/ca.pem
private_key = %(folder)s/ca.key
policy = any
email_in_dn = no
[any]
commonName = supplied
[leaf]
subjectAltName = %(names)s
basicConstraints = CA:FALSE
extendedKeyUsage = %(usage)s
'''


class Minting(DevCerts):
    """A development CA that also signs what no provider should have."""

    def __init__(self, folder):
        super().__init__(folder)
        for name, text in (('index', ''), ('serial', '1000\n')):
            with open(os.path.join(folder, name), 'w', encoding='ascii') as file:
                file.write(text)

    def bad_leaf(self, name, dates=('20200101000000Z', '20400101000000Z'), digest='sha256',
                 key=('ec', 'ec_paramgen_curve:prime256v1'), usage='serverAuth',
                 names='DNS:localhost,IP:127.0.0.1'):
        path = os.path.join(self.folder, name)
        with open(path + '.cnf', 'w', encoding='ascii') as file:
            file.write(CA_CONFIG % {'folder': self.folder, 'names': names, 'usage': usage})
        openssl('req', '-newkey', key[0], '-pkeyopt', key[1], '-nodes', '-keyout',
                path + '.key', '-out', path + '.csr', '-subj', '/CN=' + name)
        openssl('ca', '-batch', '-config', path + '.cnf', '-extensions', 'leaf', '-in',
                path + '.csr', '-out', path + '.pem', '-notext', '-md', digest,
                '-startdate', dates[0], '-enddate', dates[1])
        return path + '.pem', path + '.key'

    def self_signed(self):
        path = os.path.join(self.folder, 'self')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
                'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-keyout',
                path + '.key', '-out', path + '.pem', '-subj', '/CN=localhost', '-addext',
                'subjectAltName=DNS:localhost')
        return path + '.pem', path + '.key'


class TlsProvider(hostile.Listener):
    """Answers every request over TLS; counts the bytes of requests that reach it."""

    def __init__(self, chain, key, weak=False):
        super().__init__()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if weak:
            self.context.set_ciphers('DEFAULT:@SECLEVEL=0')
        self.context.load_cert_chain(chain, key)
        self.received = 0

    def serve(self, sock):
        sock.settimeout(PATIENCE)
        try:
            with self.context.wrap_socket(sock, server_side=True) as tls:
                self.received += len(tls.recv(65536))
                tls.sendall(ANSWER)
        except OSError:
            sock.close()


def call(assay):
    head = b'GET /openai/v1/models HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n' \
        b'Connection: close\r\n\r\n' % assay.key.encode()
    return hostile.status_of(hostile.exchange(assay.port, head, silence=PATIENCE))


def provider_certificates(results):
    """Each bad certificate is 502 before a byte of the request has left; a good one is not."""
    with tempfile.TemporaryDirectory(prefix='assay-tls-') as folder, \
            tempfile.TemporaryDirectory(prefix='assay-tls-') as elsewhere:
        mint, other = Minting(folder), Minting(elsewhere)
        cases = {
            'good': (200, mint.leaf('good')),
            'expired': (502, mint.bad_leaf('expired', dates=DATES['expired'])),
            'not yet valid': (502, mint.bad_leaf('future', dates=DATES['future'])),
            'for another name': (502, mint.bad_leaf('name', names='DNS:other.example')),
            'by another authority': (502, other.leaf('other')),
            'self-signed': (502, mint.self_signed()),
            'signed with SHA-1': (502, mint.bad_leaf('sha1', digest='sha1')),
            'with a 1024-bit key': (502, mint.bad_leaf(
                'weak', key=('rsa', 'rsa_keygen_bits:1024'))),
            'for clients only': (502, mint.bad_leaf('client', usage='clientAuth')),
        }
        for name, (wanted, (chain, key)) in cases.items():
            with TlsProvider(chain, key, weak=True) as provider, \
                    Assay({'openai': {'url': 'https://localhost:%d' % provider.port,
                                      'dialects': ['openai'], 'ca': mint.ca,
                                      'credential': 'env:UPSTREAM_KEY'}}) as assay:
                status = call(assay)
                assay.stop()
                faults = [record['fault'] for record in assay.export()]
            if wanted == 502:
                right = faults == ['upstream_tls'] and provider.received == 0
            else:
                right = faults == [None] and provider.received > 0
            results.ok(status == wanted and right, "a provider's certificate %s: %d" % (name, wanted),
                       'status %s, %d bytes reached it, %s' % (
                           status, provider.received, faults))


def handshake(port, name, version=None):
    """(protocol, ALPN, the certificate's fingerprint) that a client gets, or the error."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(['h2', 'http/1.1'])
    if version:
        context.set_ciphers('DEFAULT:@SECLEVEL=0')
        context.minimum_version = context.maximum_version = version
    try:
        with socket.create_connection(('127.0.0.1', port), PATIENCE) as sock, \
                context.wrap_socket(sock, server_hostname=name) as tls:
            return tls.version(), tls.selected_alpn_protocol(), tls.getpeercert(True)
    except OSError as error:
        return error


def server_side(results):
    """The certificate by the client's name, TLS 1.2 and 1.3 only, HTTP/1.1 only."""
    with tempfile.TemporaryDirectory(prefix='assay-tls-') as folder:
        mint = Minting(folder)
        leaves = [mint.leaf('first', 'DNS:first.example'),
                  mint.leaf('second', 'DNS:second.example')]
        listen = {'tls': {'certificates': [{'chain': chain, 'key': key}
                                           for chain, key in leaves]}}
        encoded = [ssl.PEM_cert_to_DER_cert(pem_of(chain)) for chain, _ in leaves]
        provider = {'url': 'http://127.0.0.1:1', 'dialects': ['openai']}
        with Assay({'openai': provider}, {}, listen) as assay:
            first = handshake(assay.port, 'first.example')
            second = handshake(assay.port, 'second.example')
            stranger = handshake(assay.port, 'stranger.example')
            old = handshake(assay.port, 'first.example', ssl.TLSVersion.TLSv1_1)
            older = handshake(assay.port, 'first.example', ssl.TLSVersion.TLSv1_2)
        results.ok(first[0] == 'TLSv1.3' and older[0] == 'TLSv1.2' and
                   isinstance(old, OSError), 'TLS 1.3 and 1.2 are spoken, 1.1 is not',
                   first[0], older, old)
        results.ok(first[1] == 'http/1.1', 'ALPN chooses HTTP/1.1', first[1])
        results.ok([first[2], second[2], stranger[2]] == [encoded[0], encoded[1], encoded[0]],
                   'the certificate is chosen by name, the first serves strangers')


def pem_of(chain):
    with open(chain, encoding='ascii') as file:
        text = file.read()
    return text[text.index('-----BEGIN'):]


def run(results):
    for check in (provider_certificates, server_side):
        try:
            check(results)
        except (OSError, RuntimeError, TypeError, subprocess.CalledProcessError) as error:
            results.ok(False, check.__name__, repr(error), getattr(error, 'stderr', ''))
