"""The proxies under test: what is started, and where it listens."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
from typing import Callable, NamedTuple, Optional

import machine

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))

from proxy import yaml  # noqa: E402

PEERS = os.path.join(HERE, '..', 'peers')
PROVIDER_PORT, PROVIDER_TLS_PORT = 9000, 9443
COMPLETIONS = '/v1/chat/completions'


class Target(NamedTuple):
    """Listens on `port`, with TLS on `port` + 400. No command: the provider itself."""
    port: int
    command: Optional[Callable[[], list]] = None
    prefix: str = ''
    prefix_tls: str = ''
    ended: Optional[Callable[[], dict]] = None  # asked after the process has ended

    def address(self, tls):
        if self.command is None:
            return (PROVIDER_TLS_PORT if tls else PROVIDER_PORT), COMPLETIONS
        return (self.port + 400 if tls else self.port,
                (self.prefix_tls if tls else self.prefix) + COMPLETIONS)


def fill(name, folder, **words):
    """A peer's configuration with its words filled in; the file's path."""
    with open(os.path.join(PEERS, name + '.in'), encoding='utf-8') as file:
        text = file.read()
    for word, value in words.items():
        text = text.replace('@%s@' % word, str(value))
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def nginx(folder, port):
    def command():
        temporary = os.path.join(folder, 'nginx_tmp')
        os.makedirs(temporary, exist_ok=True)
        path = fill('nginx.conf', folder, RUN=folder, UP=PROVIDER_PORT, UPTLS=PROVIDER_TLS_PORT,
                    CONNS=machine.DESCRIPTORS - 100, PORT=port, TLSPORT=port + 400,
                    USER=pwd.getpwuid(os.geteuid()).pw_name)
        return ['nginx', '-c', path, '-e', os.path.join(folder, 'nginx.err')]
    return Target(port, command)


def haproxy(folder, port):
    def command():
        path = fill('haproxy.cfg', folder, RUN=folder, UP=PROVIDER_PORT,
                    UPTLS=PROVIDER_TLS_PORT, CONNS=machine.DESCRIPTORS // 2 - 100,
                    PORT=port, TLSPORT=port + 400)
        return ['haproxy', '-db', '-f', path]
    return Target(port, command)


class Assay:
    """assay with everything on: keys, claims, usage, prices, journal, ledger, metrics,
    detection; without the line per exchange, unless `differs`, sections of the
    configuration, says otherwise. Each start gets a new state folder."""

    def __init__(self, binary, folder, name, port, **differs):
        self.binary = binary
        self.folder = os.path.join(folder, name)
        self.state = os.path.join(self.folder, 'state')
        self.keys = os.path.join(self.folder, 'keys')
        self.file = os.path.join(self.folder, 'assay.yaml')
        self.port = port
        os.makedirs(self.keys, mode=0o700)
        with open(self.file, 'w', encoding='utf-8') as file:
            file.write(yaml({**self.config(folder), **differs}))

    def config(self, folder):
        common = {'dialects': ['openai'], 'credential': 'env:UPSTREAM_KEY'}
        chain, key = (os.path.join(folder, name) for name in ('server.pem', 'server.key'))
        return {
            'listen': [{'address': '127.0.0.1:%d' % self.port},
                       {'address': '127.0.0.1:%d' % (self.port + 400),
                        'tls': {'certificates': [{'chain': chain, 'key': key}]}}],
            'admin': {'address': '127.0.0.1:%d' % (self.port + 200)},
            'state': self.state,
            'workers': 1,
            'providers': {
                'plain': {'url': 'http://127.0.0.1:%d' % PROVIDER_PORT, **common},
                'tls': {'url': 'https://localhost:%d' % PROVIDER_TLS_PORT,
                        'ca': os.path.join(folder, 'ca.pem'), **common}},
            'teams': {'bench': {'callers': ['load']}},
            'prices': os.path.join(PEERS, 'prices.yaml'),
            'clients': os.path.join(ROOT, 'config', 'clients.yaml'),
            'log': {'file': os.path.join(self.folder, 'log')}}

    def new_state(self):
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.keys, self.state)

    def add_key(self):
        os.makedirs(self.state, mode=0o700)
        done = subprocess.run([self.binary, 'keys', 'add', '--team', 'bench', '--caller',
                               'load', '--config', self.file], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError('assay keys add: ' + done.stderr)
        shutil.rmtree(self.keys)
        shutil.copytree(self.state, self.keys)
        return done.stdout.strip()

    def share_keys(self, other):
        shutil.rmtree(self.keys)
        shutil.copytree(other.keys, self.keys)

    def command(self):
        self.new_state()
        return [self.binary, 'run', '--config', self.file]

    def ledger(self):
        """How many exchanges the ledger has, and how many of them have a cost."""
        with sqlite3.connect(os.path.join(self.state, 'ledger.db')) as database:
            kept, priced = database.execute(
                'SELECT count(*), count(cost_nanousd) FROM exchange').fetchone()
        database.close()
        return {'ledger': kept, 'ledger_priced': priced}

    def target(self):
        return Target(self.port, self.command, '/plain', '/tls', self.ledger)


def all_targets(folder, binary, tools):
    """Everything that can be measured, by name, and the key that assay wants."""
    assay = Assay(binary, folder, 'assay', 18005)
    others = {name: Assay(binary, folder, name, port, **differs)
              for name, port, differs in (
                  ('assay-logged', 18006,
                   {'log': {'file': os.path.join(folder, 'log'), 'exchanges': True}}),
                  ('assay-no-detection', 18007, {'detection': {'mode': 'off'}}))}
    key = assay.add_key()
    for other in others.values():
        other.share_keys(assay)
    relay = [os.path.join(tools, 'relay'), '18001', str(PROVIDER_PORT)]
    return {'direct': Target(PROVIDER_PORT), 'relay': Target(18001, lambda: relay),
            'nginx': nginx(folder, 18002), 'haproxy': haproxy(folder, 18003),
            'assay': assay.target(),
            **{name: other.target() for name, other in others.items()}}, key


ENVIRONMENT = {'UPSTREAM_KEY': 'sk-upstream-0123456789abcdef0123456789ab'}
