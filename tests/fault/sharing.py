"""Three replicas that share a quota by a real redis-server, which is killed, stopped and
flushed under load. All together may exceed the limit by one slice and one call each; no
decision waits for the server."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import time

import http1
from dev_certs import DevCerts
from proxy import PATIENCE, Assay, wait_for
from redis_process import Redis

REPLICAS = 3
LIMIT = 2000
SLICE_PERCENT = 5
BOUND = LIMIT + REPLICAS * (LIMIT * SLICE_PERCENT // 100 + 1)
CONNECTIONS = 8  # per replica
TIMEOUT_MS = 200
DECISION_US = 150_000  # less than what waiting for the server would take, timed in tests/bench
TELLING_SECONDS = 1    # until a replica that knows the server has told it all
QUIET_SECONDS = 1.5    # in which a call that must not pass would have passed


class Provider:
    """Answers at once, in this process."""

    async def __call__(self, _, reply):
        await reply.whole(200, [('content-type', 'application/json')], json.dumps({
            'model': 'm', 'choices': [{'message': {'content': 'x'}, 'finish_reason': 'stop'}],
            'usage': {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2}}).encode())


class Replicas:
    def __init__(self, folder, fail, provider_port, count=REPLICAS, certs=None, **redis):
        self.redis = Redis(folder, certs)
        self.assays = []
        for number in range(count):
            assay = Assay(
                {'openai': {'url': 'http://127.0.0.1:%d' % provider_port, 'dialects': ['openai'],
                            'credential': 'env:UPSTREAM_KEY', 'default': True}},
                {'workers': 1, 'log': {'exchanges': 'off'},
                 'quotas': [{'name': 'shared', 'limit': '%d requests' % LIMIT, 'per': 'day'}],
                 'quota': {'redis': {'url': 'redis%s://127.0.0.1:%d' % (
                                         's' if certs else '', self.redis.port),
                                     'password': 'file:secret', 'timeout': '%dms' % TIMEOUT_MS,
                                     'slice': SLICE_PERCENT, 'fail': fail, **redis}}},
                folder=os.path.join(folder, 'replica-%d' % number))
            with open(os.path.join(assay.folder, 'secret'), 'w', encoding='utf-8', opener=lambda
                      name, flags: os.open(name, flags, 0o600)) as file:
                file.write('sesame')
            self.assays.append(assay.start())
        self.passed = 0
        self.faults = {}

    async def worker(self, assay, until):
        client = http1.Client(assay.port)
        body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'
        fields = [('host', 'h'), ('authorization', 'Bearer ' + assay.key),
                  ('content-type', 'application/json'), ('content-length', str(len(body)))]
        while not until(self):
            reply = await asyncio.wait_for(
                client.request('POST', '/v1/chat/completions', fields, body), PATIENCE)
            if reply.status == 200:
                self.passed += 1
            else:
                code = json.loads(reply.body)['error']['code']
                self.faults[code] = self.faults.get(code, 0) + 1
                await asyncio.sleep(0.005)
        client.close()

    async def load(self, until, fault=None):
        """Keeps all replicas busy; `fault` is done to the server after a while."""
        async def disturb():
            await asyncio.sleep(0.15)
            fault()
        work = [self.worker(assay, until) for assay in self.assays
                for _ in range(CONNECTIONS)]
        await asyncio.gather(*work, *([disturb()] if fault else []))

    def used(self):
        for assay in self.assays:
            assay.wait_until_idle()
        return [json.loads(assay.admin('/v1/quotas'))['quotas'][0]['used']
                for assay in self.assays]

    def wait_until_shared(self):
        """Until each replica knows the server again, and has told it what it used."""
        wait_for(lambda: all('\nassay_quota_shared_up 1' in assay.admin('/metrics')
                             for assay in self.assays))
        time.sleep(TELLING_SECONDS)

    def decisions_us(self):
        """Of each call, sorted: time before the provider, or until the refusal."""
        times = []
        for assay in self.assays:
            ledger = sqlite3.connect(os.path.join(assay.folder, 'state', 'ledger.db'))
            times += [row[0] for row in ledger.execute(
                "SELECT CASE WHEN outcome = 'refused' THEN duration_us ELSE overhead_us END"
                ' FROM exchanges')]
            ledger.close()
        return sorted(times)

    def stop(self):
        for assay in self.assays:
            assay.stop()
        self.redis.stop()


@contextlib.contextmanager
def replicas(fail, **more):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(http1.Server(Provider()).start(), loop).result()
    folder = tempfile.mkdtemp(prefix='assay-sharing-')
    shared = Replicas(folder, fail, server.port, **more)
    try:
        yield shared
    finally:
        shared.stop()
        asyncio.run_coroutine_threadsafe(server.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)


def for_seconds(seconds):
    deadline = time.monotonic() + seconds
    return lambda _: time.monotonic() > deadline


def until_unleased(seconds):
    """So long, and until calls are refused because nothing more is leased."""
    over, deadline = for_seconds(seconds), time.monotonic() + PATIENCE
    return lambda shared: time.monotonic() > deadline or \
        (over(shared) and shared.faults.get('quota_lease'))


def until_used_up(seconds=PATIENCE):
    """The whole limit was spent and nothing more passes for a while, or it takes too long."""
    deadline = time.monotonic() + seconds
    seen = [0, time.monotonic()]

    def over(shared):
        now = time.monotonic()
        if shared.passed != seen[0]:
            seen[:] = shared.passed, now
        return now > deadline or \
            (shared.passed >= LIMIT and now - seen[1] > QUIET_SECONDS)
    return over


def judge(results, shared, name, least, most):
    used, times = shared.used(), shared.decisions_us()
    slow = times[len(times) * 99 // 100]
    results.note('%s: %d passed of %d (at most %d), by replica %s, refused %s; of %d '
                 'decisions the median took %d us, the 99th percentile %d us, the slowest %d us'
                 % (name, shared.passed, LIMIT, most, used, shared.faults, len(times),
                    times[len(times) // 2], slow, times[-1]))
    results.ok(sum(used) == shared.passed and least <= shared.passed <= most,
               '%s: %d to %d of %d calls pass, and the counters say so' % (
                   name, least, most, LIMIT), shared.passed, used)
    if not results.prefix:  # the slowest ones waited for a processor, not for the server
        results.ok(slow < DECISION_US, '%s: decisions take less than %d ms' % (
            name, DECISION_US // 1000), slow)


def replicas_share(results, _):
    if not shutil.which('redis-server'):
        results.skip('replicas share a quota', 'there is no redis-server')
        return
    with replicas('closed') as shared:
        asyncio.run(shared.load(until_used_up()))
        judge(results, shared, 'healthy', LIMIT, BOUND)
        victim = shared.assays[0]
        victim.stop(signal.SIGKILL)
        victim.start()
        before = shared.passed
        asyncio.run(shared.load(for_seconds(0.5)))
        results.ok(shared.passed == before, 'a replica that was killed comes back with its share',
                   shared.passed - before)


def redis_flushed(results, _):
    if not shutil.which('redis-server'):
        results.skip('Redis is flushed', 'there is no redis-server')
        return
    with replicas('closed') as shared:
        asyncio.run(shared.load(until_used_up(), lambda: shared.redis.command('FLUSHALL')))
        judge(results, shared, 'flushed under load', LIMIT, BOUND)


def redis_stopped(results, _):
    if not shutil.which('redis-server'):
        results.skip('Redis is stopped', 'there is no redis-server')
        return
    with replicas('closed') as shared:
        asyncio.run(shared.load(until_unleased(1.5),
                                lambda: shared.redis.send_signal(signal.SIGSTOP)))
        stopped = shared.passed
        leased = shared.faults.get('quota_lease', 0)
        results.note('stopped: %d calls passed by then, then %d were refused for want of a lease'
                     % (stopped, leased))
        results.ok(stopped < LIMIT and leased > 0,
                   'closed: only what is leased is spent while Redis stands still', stopped,
                   shared.faults)
        shared.redis.send_signal(signal.SIGCONT)
        asyncio.run(shared.load(until_used_up()))
        judge(results, shared, 'stopped, then continued', LIMIT, BOUND)


def redis_killed(results, _):
    if not shutil.which('redis-server'):
        results.skip('Redis is killed', 'there is no redis-server')
        return
    with replicas('open') as shared:
        asyncio.run(shared.load(for_seconds(0.6),
                                lambda: shared.redis.send_signal(signal.SIGKILL)))
        down, known = shared.passed, shared.used()
        asyncio.run(shared.load(for_seconds(0.6)))
        results.ok(shared.passed > down or shared.passed >= LIMIT,
                   'open: calls go on while Redis is down', down, shared.passed)
        shared.redis.start()
        shared.wait_until_shared()
        reconciled = shared.passed
        asyncio.run(shared.load(until_used_up()))
        results.note('killed: %d had passed when it died, %s by replica; %d when it came back '
                     'empty' % (down, known, reconciled))
        judge(results, shared, 'killed, then back and empty', LIMIT,
              max(BOUND, reconciled + REPLICAS * (LIMIT * SLICE_PERCENT // 100 + 1)))


def redis_by_tls(results, _):
    """rediss:// and an access control list: shared as ever, and only with a server and a client
    that prove who they are."""
    if not shutil.which('redis-server'):
        results.skip('Redis is spoken to over TLS', 'there is no redis-server')
        return
    with tempfile.TemporaryDirectory(prefix='assay-redis-certs-') as folder:
        certs = DevCerts(folder)
        certs.server = certs.leaf('server')
        certs.replica = certs.leaf('replica', usage='clientAuth')
        ours = {'ca': certs.ca, 'certificate': certs.replica[0], 'key': certs.replica[1],
                'username': 'meter'}
        with replicas('closed', certs=certs, **ours) as shared:
            asyncio.run(shared.load(until_used_up(), lambda: shared.redis.command('FLUSHALL')))
            judge(results, shared, 'over TLS, flushed', LIMIT, BOUND)
        for lacks, words in (('ca', 'self-signed certificate'),
                             ('certificate', 'certificate required')):
            some = {name: value for name, value in ours.items()
                    if name != lacks and (name != 'key' or lacks == 'ca')}
            with replicas('closed', count=1, certs=certs, **some) as shared:
                asyncio.run(shared.load(for_seconds(0.7)))
                wait_for(lambda: words in shared.assays[0].log_tail())
                log = shared.assays[0].log_tail()
            results.ok('quota_sharing_lost' in log and words in log and
                       shared.passed <= LIMIT * SLICE_PERCENT // 100 + 1,
                       "without '%s' nothing is shared, and the log says why" % lacks,
                       shared.passed, log)


CASES = (redis_by_tls, replicas_share, redis_flushed, redis_stopped, redis_killed)
