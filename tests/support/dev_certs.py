"""A development CA and leaf certificates for tests, minted with openssl: independent of the
code under test."""

import os
import ssl
import subprocess


def openssl(*arguments):
    subprocess.run(['openssl', *arguments], check=True, capture_output=True,
                   stdin=subprocess.DEVNULL)


class DevCerts:
    """ca.pem, and NAME.pem with NAME.key, in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = os.path.join(folder, 'ca.pem')
        self.ca_key = os.path.join(folder, 'ca.key')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
                '-nodes', '-days', '2', '-keyout', self.ca_key, '-out', self.ca,
                '-subj', '/CN=assay test CA', '-addext', 'keyUsage=critical,keyCertSign,cRLSign')

    def leaf(self, name, alternatives='DNS:localhost,IP:127.0.0.1',
             usage='serverAuth'):
        """Paths of the chain and the key."""
        chain = os.path.join(self.folder, name + '.pem')
        key = os.path.join(self.folder, name + '.key')
        request = os.path.join(self.folder, name + '.csr')
        extensions = os.path.join(self.folder, name + '.ext')
        with open(extensions, 'w', encoding='utf-8') as file:
            file.write('subjectAltName=%s\nbasicConstraints=CA:FALSE\n'
                       'keyUsage=critical,digitalSignature\n'
                       'extendedKeyUsage=%s\n' % (alternatives, usage))
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                '-keyout', key, '-out', request, '-subj', '/CN=localhost')
        openssl('x509', '-req', '-in', request, '-CA', self.ca, '-CAkey', self.ca_key,
                '-CAcreateserial', '-days', '2', '-extfile', extensions, '-out', chain)
        os.chmod(key, 0o600)
        return chain, key

    def server_context(self, name='server'):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.leaf(name))
        return context

    def client_context(self):
        return ssl.create_default_context(cafile=self.ca)
