"""A real redis-server for a test."""

import signal
import socket
import ssl
import subprocess

from proxy import PATIENCE, free_port, wait_for


class Redis:
    """A redis-server on a port of its own, with nothing on disk. With `certs` it speaks TLS, wants
    a certificate of its clients, and has a user `meter` who may do no more than is needed."""

    def __init__(self, folder, certs=None):
        self.folder = folder
        self.port = free_port()
        self.listen = ['--port', str(self.port)]
        self.certs = certs
        if certs:
            self.listen = ['--port', '0', '--tls-port', str(self.port),
                           '--tls-cert-file', certs.server[0], '--tls-key-file', certs.server[1],
                           '--tls-ca-cert-file', certs.ca, '--tls-auth-clients', 'yes',
                           '--user', 'meter', 'on', '>sesame', '~assay:*', '+evalsha',
                           '+script|load', '+get', '+set', '+hgetall', '+hdel', '+hset',
                           '+pexpire']
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ['redis-server', *self.listen, '--bind', '127.0.0.1', '--save', '',
             '--appendonly', 'no', '--dir', self.folder, '--requirepass', 'sesame'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(lambda: self.command('PING') == '+PONG')

    def command(self, text):
        try:
            with self.connect() as sock:
                sock.sendall(('AUTH sesame\r\n%s\r\n' % text).encode())
                lines = sock.makefile('r')
                lines.readline()
                return lines.readline().strip()
        except OSError:
            return None

    def connect(self):
        sock = socket.create_connection(('127.0.0.1', self.port), PATIENCE)
        if not self.certs:
            return sock
        context = ssl.create_default_context(cafile=self.certs.ca)
        context.load_cert_chain(*self.certs.replica)
        return context.wrap_socket(sock, server_hostname='127.0.0.1')

    def send_signal(self, number):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
