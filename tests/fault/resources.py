"""Limits of the machine: file descriptors, and bodies that expand without end."""

import asyncio
import os
import resource
import socket
import time

import http1
from http1 import Server
from proxy import PATIENCE, shared, wait_for

DESCRIPTORS = 96
CONNECTIONS = 200
MIB = 1024 * 1024
BOMB_GROWTH = 64 * MIB
STALL = 0.25            # seconds of CPU that assay may take for a bomb while a call waits
BOMB_RETRIES = 4        # of a bomb for which it took longer


def cpu_seconds(pid):
    with open('/proc/%d/stat' % pid, encoding='ascii') as file:
        numbers = file.read().rpartition(')')[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf('SC_CLK_TCK')


def cpu_ns(pid):
    """Of all threads, to the nanosecond, but for those that have ended."""
    total = 0
    for thread in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/schedstat' % (pid, thread), encoding='ascii') as file:
            total += int(file.read().split()[0])
    return total


def peak_rss(pid):
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        line = next(line for line in file if line.startswith('VmHWM'))
    return int(line.split()[1]) * 1024


def descriptors_run_out(results, demo):
    """No spin, the admin port answers, and service returns when connections close."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))

    with demo({'workers': 1, 'limits': {'exchanges': 64, 'connections': 4096},
               'journal': {'slots': 64}}, preexec=limit) as (assay, _):
        held = []
        for _ in range(CONNECTIONS):
            sock = socket.socket()
            sock.settimeout(1)
            try:
                sock.connect(('127.0.0.1', assay.port))
            except OSError:
                pass
            held.append(sock)
        time.sleep(0.3)
        before = cpu_seconds(assay.process.pid)
        time.sleep(1.5)
        spent = cpu_seconds(assay.process.pid) - before
        healthy = admin_answers(assay)
        for sock in held:
            sock.close()
        served = serves_again(assay)
        results.ok(spent < 0.2, 'out of descriptors, assay does not spin',
                   '%.2f s of CPU in 1.5 s' % spent)
        results.ok(healthy, 'the admin port answers meanwhile')
        results.ok(served and assay.running(), 'service returns when connections close',
                   assay.log_tail())


def admin_answers(assay):
    try:
        return 'ok' in assay.admin('/healthz')
    except OSError:
        return False


def serves_again(assay):
    async def models():
        client = http1.Client(assay.port)
        response = await client.request('GET', '/openai/v1/models', [
            ('host', 'h'), ('authorization', 'Bearer ' + assay.key)])
        client.close()
        return response.status

    def serves():
        try:
            return asyncio.run(asyncio.wait_for(models(), PATIENCE)) == 200
        except (OSError, http1.Truncated, asyncio.TimeoutError):
            return False
    return wait_for(serves)


BOMBS = {'zeros-1GiB.gz': 'gzip', 'nested2-1GiB.gz.gz': 'gzip, gzip',
         'multi-member-1000x1MiB.gz': 'gzip', 'zeros-10MiB.zlib': 'deflate',
         'zeros-10MiB.rawdeflate': 'deflate', 'badcrc.gz': 'gzip', 'trunc.gz': 'gzip',
         'trailing-garbage.gz': 'gzip', 'json-1M-keys.json': None,
         'json-dup-keys-100k.json': None, 'json-depth-100k.json': None,
         'json-depth-1M-obj.json': None, 'json-longnum.json': None}


class Bombs:
    """A provider whose responses are the bombs: /v1/chat/completions with the file's name in
    the header x-bomb."""

    async def handle(self, request, reply):
        name = request.field('x-bomb')
        if name is None:
            await reply.whole(200, [('content-type', 'application/json')], b'{"data":[]}')
            return
        fields = [('content-type', 'application/json')]
        if BOMBS[name]:
            fields.append(('content-encoding', BOMBS[name]))
        with open(shared('vectors', 'bombs', name), 'rb') as file:
            await reply.whole(200, fields, file.read())


def bombs(results, demo):
    """Bodies that expand, nest or never end cost bounded memory and time; bytes pass."""
    if not os.path.isdir(shared('vectors', 'bombs')):
        results.skip('decompression bombs', '../shared/vectors is absent')
        return

    async def scene():
        server = await Server(Bombs().handle).start()
        try:
            return await asyncio.to_thread(throw_bombs, results, demo, server.port)
        finally:
            await server.close()

    asyncio.run(scene())


def throw_bombs(results, demo, port):
    with demo({'workers': 1}, provider={'url': 'http://127.0.0.1:%d' % port}) as (assay, _):
        idle = peak_rss(assay.process.pid)
        complaints = []
        slowest = 0
        for name in BOMBS:
            with open(shared('vectors', 'bombs', name), 'rb') as file:
                wanted = file.read()
            got, delay = asyncio.run(bomb_and_probe(assay, name))
            # A bomb that stalls does so each time; a thread that is late does not.
            for _ in range(BOMB_RETRIES):
                if delay < STALL:
                    break
                delay = min(delay, asyncio.run(bomb_and_probe(assay, name))[1])
            slowest = max(slowest, delay)
            if got != wanted:
                complaints.append('%s: %d of %d bytes' % (name, len(got), len(wanted)))
        grown = peak_rss(assay.process.pid) - idle
        assay.stop()
        records = assay.export()
        believed = [record['id'] for record in records
                    if record['dialect'] == 'openai.chat' and
                    record['usage_source'] == 'reported']
        results.ok(not complaints, 'bombs pass unchanged', *complaints)
        results.ok(grown < BOMB_GROWTH, 'and cost bounded memory',
                   'grew by %d MiB' % (grown // MIB))
        results.ok(slowest < STALL, 'and stall nobody', '%.2f s of CPU while a call waited' % slowest)
        results.ok(len(records) >= len(BOMBS) and not believed,
                   'and are recorded, not believed', believed)
        results.note('grew by %d MiB, at most %.0f ms of CPU while a call waited' % (
            grown // MIB, slowest * 1000))


async def bomb_and_probe(assay, name):
    """(body of the bomb's response, the most seconds of CPU that assay took while a small call
    waited beside it)."""
    authorization = ('authorization', 'Bearer ' + assay.key)

    async def bomb():
        client = http1.Client(assay.port)
        body = b'{"model":"m","messages":[]}'
        response = await client.request('POST', '/openai/v1/chat/completions', [
            ('host', 'h'), authorization, ('x-bomb', name),
            ('content-length', str(len(body)))], body)
        client.close()
        return response.body

    task = asyncio.create_task(bomb())
    slowest = 0
    client = http1.Client(assay.port)
    while not task.done():
        before = cpu_ns(assay.process.pid)
        await client.request('GET', '/openai/v1/models', [('host', 'h'), authorization])
        slowest = max(slowest, (cpu_ns(assay.process.pid) - before) / 1e9)
        await asyncio.sleep(0.005)
    client.close()
    return await task, slowest
