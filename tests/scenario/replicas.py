"""Three replicas that look at each other's calls by a real redis-server: what one identity
does at all of them is one state at each."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import time

import http1
from detection import BOT, PAUSES, fresh
from proxy import PATIENCE, Assay, DemoProvider, wait_for
from redis_process import Redis

REPLICAS = 3
TURNS = 18
SECRET = 'a secret of thirty-two bytes ....'


class Replicas:
    def __init__(self, folder, secrets):
        self.folder = folder
        self.provider = DemoProvider(folder)
        self.provider.__enter__()
        self.redis = Redis(folder)
        self.assays = [self.replica(number, secret) for number, secret in enumerate(secrets)]
        self.last = {}  # the bot's last exchange at each
        self.bots = [assay.add_key('second') for assay in self.assays]
        for assay in self.assays:
            assay.start()

    def replica(self, number, secret):
        assay = Assay(
            {'openai': {'url': self.provider.url, 'credential': 'env:UPSTREAM_KEY',
                        'dialects': ['openai'], 'default': True}},
            {'workers': 2, 'quota': {'redis': {
                'url': 'redis://127.0.0.1:%d' % self.redis.port, 'password': 'env:REDIS_PASSWORD',
                'timeout': '1s'}},
             'detection': {'mode': 'on', 'secret': 'env:SKETCH_SECRET'}},
            folder=os.path.join(self.folder, 'replica-%d' % number))
        assay.variables = {'REDIS_PASSWORD': 'sesame', 'SKETCH_SECRET': secret}
        return assay

    def stop(self):
        for assay in self.assays:
            assay.stop()
        self.redis.stop()
        self.provider.__exit__(None, None, None)

    async def ask(self, assay, key, content):
        client = http1.Client(assay.port)
        text = json.dumps({'model': 'demo;words=20', 'max_tokens': 50, 'messages': [
            {'role': 'user', 'content': content}]}).encode()
        try:
            await client.send('POST', '/v1/chat/completions', [
                ('host', 'h'), ('authorization', 'Bearer ' + key),
                ('content-type', 'application/json'),
                ('content-length', str(len(text)))], text)
            return await asyncio.wait_for(client.receive('POST'), PATIENCE)
        finally:
            client.close()

    def bot(self, turns, rng, over=None):
        """The bot goes from replica to replica. How many of its calls were answered well."""
        good = 0
        for i in range(turns):
            number = (over or range(len(self.assays)))[i % len(over or self.assays)]
            reply = asyncio.run(self.ask(self.assays[number], self.bots[number],
                                         BOT % rng.randrange(1000)))
            good += reply.status == 200
            self.last[self.assays[number]] = reply.field('assay-exchange-id')
        return good

    def last_grade(self, assay):
        """Of the bot's last call."""
        return assay.export_all([self.last[assay]])[-1]['grade']

    def found(self, number):
        return json.loads(self.assays[number].admin('/v1/findings'))['findings']

    def await_agreement(self):
        """Once all have heard of all calls. False: they differ."""
        def agree():
            seen = [score for score in scores(self.await_found(range(REPLICAS)))
                    if score is not None]
            return len(seen) == REPLICAS and max(seen) - min(seen) < 1
        return wait_for(agree)

    def await_found(self, numbers):
        """What each has found, once all have found something or it takes too long."""
        wait_for(lambda: all(self.found(number) for number in numbers))
        return [self.found(number) for number in numbers]

    @contextlib.contextmanager
    def stream(self):
        """A connection to the server, and the stream's key."""
        with socket.create_connection(('127.0.0.1', self.redis.port), PATIENCE) as sock:
            sock.sendall(b'AUTH sesame\r\n')
            sock.recv(64)

            def key():
                sock.sendall(b'KEYS *calls-*\r\n')
                words = sock.recv(4096).split(b'\r\n')
                return words[2] if len(words) > 3 else None
            yield sock, wait_for(key)

    def raw(self):
        """All that the server holds of calls, as it would go over the wire."""
        with self.stream() as (sock, key):
            sock.sendall(b'XRANGE %s - +\r\nPING\r\n' % key)
            out = b''
            while not out.endswith(b'+PONG\r\n') and (data := sock.recv(65536)):
                out += data
        return out

    def forge(self, message):
        """Puts a message on the server that no replica sent."""
        with self.stream() as (sock, key):
            words = (b'XADD', key, b'*', b'from', b'nobody', b'message', message)
            sock.sendall(b'*%d\r\n' % len(words) + b''.join(
                b'$%d\r\n%s\r\n' % (len(word), word) for word in words))
            assert sock.recv(64).startswith(b'$')

    def message_size(self):
        with self.stream() as (_, key):
            return int(key.split(b'-')[2])


@contextlib.contextmanager
def replicas(secrets=(SECRET,) * REPLICAS):
    folder = tempfile.mkdtemp(prefix='assay-replicas-')
    shared = Replicas(folder, secrets)
    try:
        yield shared
    finally:
        shared.stop()
        shutil.rmtree(folder, ignore_errors=True)


def scores(found):
    return [round(rows[0]['score'], 1) if rows else None for rows in found]


def one_state(results):
    """A third of its turns would rate it nowhere."""
    rng = random.Random(7)
    with replicas() as shared:
        shared.bot(TURNS, rng)
        for i in range(6):  # too few turns to be rated, from whoever it is
            asyncio.run(shared.ask(shared.assays[i % 3], shared.assays[i % 3].key, fresh(rng)))
        found = shared.await_found(range(REPLICAS))
        results.ok(all(len(rows) == 1 and rows[0]['caller'] == 'second' for rows in found),
                   'a bot that goes from replica to replica is found by each', found)
        results.ok(shared.await_agreement(), 'and each finds about the same',
                   scores(shared.await_found(range(REPLICAS))))
        grades = []
        for pause in PAUSES:
            time.sleep(pause)
            shared.bot(REPLICAS, rng)
            grades = [shared.last_grade(assay) for assay in shared.assays]
            if grades == ['flagged'] * REPLICAS:
                break
        results.ok(grades == ['flagged'] * REPLICAS, 'its next call is graded by each', grades)
        raw = shared.raw()
        results.ok(len(raw) > TURNS * 500 and b'urgency' not in raw and b'Summarise' not in raw,
                   'the server never holds a word of a prompt', len(raw))
        shared.assays[0].stop()
        shared.bot(3, rng, over=(1, 2))
        before = len(shared.found(1)[0].get('evidence', []))
        shared.assays[0].start()
        found = shared.await_found([0])
        results.ok(found[0] and before, 'a restart keeps what was found', found)


def newcomer(results):
    """What was said while a replica was away is heard when it is back."""
    rng = random.Random(8)
    with replicas() as shared:
        shared.assays[2].stop()
        shared.bot(TURNS, rng, over=(0, 1))
        away = shared.await_found((0, 1))
        shared.assays[2].start()
        back = shared.await_found([2])
        results.ok(all(away) and back[0], 'a replica that was away finds the same',
                   scores(away), scores(back))


def alone(results):
    """Without the server each goes on alone, and no call waits for it."""
    rng = random.Random(9)
    with replicas() as shared:
        shared.redis.send_signal(signal.SIGSTOP)
        good = shared.bot(3 * 5, rng)
        results.ok(good == 3 * 5, 'calls are answered while the server stands still', good)
        shared.bot(9, rng, over=(0,))
        found = shared.await_found([0])
        results.ok(found[0] and not shared.found(1), 'the one that saw enough finds it alone',
                   scores(found), shared.found(1))
        lost = wait_for(lambda: all(assay.logged('detection_sharing_lost')
                                    for assay in shared.assays))
        results.ok(lost, 'the log says that they are alone', shared.assays[1].log_tail())
        shared.redis.send_signal(signal.SIGCONT)
        wait_for(lambda: all(assay.logged('detection_sharing"') for assay in shared.assays))
        shared.bot(TURNS, rng, over=(0, 2))
        found = shared.await_found([1])
        results.ok(bool(found[0]), 'when it is back they are one again', scores(found))


def forged(results):
    """What the server hands out is believed only as far as it can be a call."""
    rng = random.Random(10)
    with replicas() as shared:
        shared.bot(REPLICAS, rng)
        size = shared.message_size()
        for at in range(0, size, 8):  # every count, word and name in turn
            shared.forge(b'\0' * at + b'\xff' * 8 + b'\0' * (size - at - 8))
        for byte in (b'\0', b'\1', b'\x7f', b'\xff'):
            shared.forge(byte * size)
        time.sleep(2)
        dead = [assay.log_tail() for assay in shared.assays if not assay.running()]
        if not dead:
            shared.bot(TURNS, rng)
        found = [] if dead else shared.await_found(range(REPLICAS))
        results.ok(found and all(found), 'forged calls on the server harm nobody', found, *dead)


def strangers(results):
    """Another secret is another installation."""
    rng = random.Random(10)
    with replicas((SECRET, SECRET[::-1])) as shared:
        shared.bot(TURNS, rng, over=(0,))
        found = shared.await_found([0])
        time.sleep(1)
        results.ok(found[0] and not shared.found(1),
                   'replicas of different secrets do not hear one another',
                   scores(found), shared.found(1))


def run(results):
    if not shutil.which('redis-server'):
        results.skip('replicas are one state', 'there is no redis-server')
        return
    one_state(results)
    newcomer(results)
    alone(results)
    forged(results)
    strangers(results)
