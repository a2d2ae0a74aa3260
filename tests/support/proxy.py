"""A running assay for a test: configuration, key, process, export."""

import datetime
import fcntl
import http.client
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zoneinfo

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
COMMAND = shlex.split(os.environ.get('ASSAY_UNDER_TEST') or os.environ.get('ASSAY') or
                      os.path.join(ROOT, 'build', 'assay'))
PORTS = range(10000, 20000)  # below those of outgoing connections
PORT_LOCKS = []
DAYS_END = 90  # seconds before midnight in which no test of quotas begins
PATIENCE = 60  # seconds for what comes at once, but on a slow machine that does much else


def use(command):
    """From now on this is assay, here and in child processes."""
    COMMAND[:] = shlex.split(command)
    os.environ['ASSAY_UNDER_TEST'] = command


def shared(*parts):
    """A path in the folder of recordings and vectors that lies beside the repository."""
    return os.path.join(ROOT, '..', 'shared', *parts)


def wait_for(condition, seconds=PATIENCE):
    """What the condition says: at once if that is true, or else after a while."""
    deadline = time.monotonic() + seconds
    while True:
        said = condition()
        if said or time.monotonic() > deadline:
            return said
        time.sleep(0.02)


def free_port():
    """A port that no other test gets while this process lives: each is locked by a file, and
    the kernel hands out none of them."""
    folder = '%s/assay-test-ports-%d' % (tempfile.gettempdir(), os.getuid())
    os.makedirs(folder, exist_ok=True)
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        lock = os.open(os.path.join(folder, str(port)), os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket.create_server(('127.0.0.1', port)).close()
        except OSError:
            os.close(lock)
            continue
        PORT_LOCKS.append(lock)
        return port
    raise RuntimeError('no port is free')


def yaml(value, indent=0):
    """Plain values as YAML: enough for a configuration."""
    pad = ' ' * indent
    if isinstance(value, dict):
        return ''.join('%s%s:%s' % (pad, key, nested(item, indent))
                       for key, item in value.items())
    return ''.join('%s-%s' % (pad, nested(item, indent)) for item in value)


def nested(value, indent):
    if isinstance(value, (dict, list)) and value:
        return '\n' + yaml(value, indent + 2)
    if isinstance(value, bool):
        return ' ' + ('true' if value else 'false') + '\n'
    return ' ' + json.dumps(value) + '\n'


def let_the_day_turn():
    """A quota per day that begins anew in mid-test is another one: wait until that is over."""
    for zone in ('UTC', 'Europe/Berlin'):  # those that tests use
        now = datetime.datetime.now(zoneinfo.ZoneInfo(zone))
        left = 86400 - (now.hour * 60 + now.minute) * 60 - now.second
        if left < DAYS_END:
            time.sleep(left + 1)


def listens(port):
    try:
        socket.create_connection(('127.0.0.1', port), 1).close()
    except OSError:
        return False
    return True


class Assay:
    """One proxy over a folder of its own. Use it as a context manager."""

    def __init__(self, providers, settings=None, listen=None, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix='assay-test-')
        self.owned = folder is None
        self.port = free_port()
        self.admin_port = free_port()
        self.file = os.path.join(self.folder, 'assay.yaml')
        self.log = os.path.join(self.folder, 'assay.log')
        self.process = None
        self.variables = {}
        if settings and 'quotas' in settings:
            let_the_day_turn()
        listener = {'address': '127.0.0.1:%d' % self.port, **(listen or {})}
        self.config = {'listen': [listener],
                       'admin': {'address': '127.0.0.1:%d' % self.admin_port},
                       'state': os.path.join(self.folder, 'state'),
                       'providers': providers, 'teams': {'tests': {'callers': ['tester', 'second']}},
                       'prices': os.path.join(ROOT, 'config', 'prices.yaml'),
                       'clients': os.path.join(ROOT, 'config', 'clients.yaml'),
                       **(settings or {})}
        os.makedirs(self.config['state'], mode=0o700, exist_ok=True)
        self.write_config()
        self.key = None

    def write_config(self):
        text = yaml(self.config)
        with open(self.file + '.new', 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(self.file + '.new', self.file)

    def run_whole(self, *arguments):
        """Run an assay command to its end; exit status and output."""
        return subprocess.run([*COMMAND, *arguments, '--config', self.file], timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              env=self.environment())

    def run(self, *arguments):
        """Run an assay command that succeeds; its standard output."""
        done = self.run_whole(*arguments)
        if done.returncode != 0:
            raise RuntimeError('assay %s: exit status %d: %s' % (
                arguments[0], done.returncode, done.stderr.decode(errors='replace')))
        return done.stdout.decode()

    def environment(self):
        return {'PATH': os.environ['PATH'], 'UPSTREAM_KEY': 'sk-upstream', **self.variables, **{
            name: value for name, value in os.environ.items() if name.endswith('SAN_OPTIONS')}}

    def add_key(self, caller='tester'):
        return self.run('keys', 'add', '--team', 'tests', '--caller', caller).strip()

    def start(self, preexec=None, seconds=PATIENCE):
        if self.key is None:
            self.key = self.add_key()
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [*COMMAND, 'run', '--config', self.file], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.environment(), preexec_fn=preexec)
        deadline = time.monotonic() + seconds
        while not (self.accepts() and listens(self.admin_port)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError('assay did not start:\n' + self.log_tail())
            time.sleep(0.02)
        return self

    def accepts(self):
        return listens(self.port)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def send_signal(self, number):
        self.process.send_signal(number)

    def rss(self):
        """Resident bytes."""
        with open('/proc/%d/statm' % self.process.pid, encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def wait_for_tables(self):
        """Until the tables that tokens are counted by are in memory. They are loaded behind
        the first answer."""
        if not wait_for(lambda: '\nassay_rank_tables_loaded 1\n' in self.admin('/metrics')):
            raise RuntimeError('the rank tables are not loaded:\n' + self.log_tail())

    def wait_until_idle(self):
        """Until all calls that were answered are settled: that is done behind the last byte."""
        self.wait_for_calls(0)

    def wait_for_calls(self, count, state=''):
        """Until so many are under way, in this state or in all."""
        if not wait_for(lambda: self.calls_under_way(state) == count):
            raise RuntimeError('%d calls are under way:\n%s' % (
                self.calls_under_way(state), self.log_tail()))

    def calls_under_way(self, state):
        return sum(map(int, re.findall(
            r'^assay_exchanges_in_flight\{state="%s.* (\d+)$' % state, self.admin('/metrics'),
            re.M)))

    def wait_for_key(self, key, good=True):
        """Until it knows a key that was made while it runs, or no longer does."""
        if not wait_for(lambda: ('is unknown' not in self.admin('/v1/me', key)) == good):
            raise RuntimeError('a key is not known:\n' + self.log_tail())

    def admin(self, path, key=None):
        """What the admin port answers, whatever the status."""
        connection = http.client.HTTPConnection('127.0.0.1', self.admin_port,
                                                timeout=PATIENCE)
        try:
            connection.request('GET', path, headers={
                'authorization': 'Bearer ' + key} if key else {})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def logged(self, event):
        """The log's lines of events whose names begin so."""
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return [line for line in file if '"event":"%s' % event in line]

    def reload(self):
        """Put the configuration as it is now in force."""
        before = len(self.logged('reloaded"'))
        self.write_config()
        self.send_signal(signal.SIGHUP)
        if not wait_for(lambda: len(self.logged('reloaded"')) > before):
            raise RuntimeError('no reload:\n' + self.log_tail())

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        """End the process; its exit status, or None if it had to be killed."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self.process = None
        return status

    def export(self):
        """The ledger's records."""
        lines = self.run('export', '--format', 'jsonl').splitlines()
        return [json.loads(line) for line in lines]

    def export_all(self, ids):
        """The ledger's records once all of these exchange ids are in it, or after a while."""
        deadline = time.monotonic() + PATIENCE
        wanted = set(ids) - {None}
        while True:
            records = self.export()
            missing = wanted - {record['id'] for record in records}
            if not missing or time.monotonic() > deadline:
                return records
            time.sleep(0.1)

    def log_tail(self, lines=30):
        try:
            with open(self.log, encoding='utf-8', errors='replace') as file:
                told = [line for line in file if not line.startswith('{"id":')]
                return ''.join(told[:lines] if any('==ERROR' in line or 'WARNING: Thread' in line
                                                   for line in told) else told[-lines:])
        except OSError:
            return ''

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        if self.owned and not os.environ.get('ASSAY_KEEP'):
            shutil.rmtree(self.folder, ignore_errors=True)


class DemoProvider:
    """tests/demo/provider.py as a process, with its truth log."""

    def __init__(self, folder, arguments=()):
        self.truth_file = os.path.join(folder, 'truth.jsonl')
        self.process = subprocess.Popen(
            ['python3', os.path.join(ROOT, 'tests', 'demo', 'provider.py'), '--truth',
             self.truth_file, '--credential', 'sk-upstream', *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(':', 1)[1])

    def truth(self):
        try:
            with open(self.truth_file, encoding='utf-8') as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
