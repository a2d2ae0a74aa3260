"""SIGHUP and SIGTERM under load."""

import asyncio
import os
import signal
import tempfile
import statistics
import time

import http1
from load import Load, Reconciliation
from proxy import wait_for

RELOADS = 25
ROTATIONS = 6
KEYS = 5


def reload_in_load(results, demo):
    """Reloads fail no request; a bad file leaves the old configuration in force."""
    with demo() as (assay, provider):
        calls = asyncio.run(load_and_reload(assay))
        failed = [call.failure for call in calls if call.failure]
        assay.stop()
        books = Reconciliation(calls, provider.truth(), assay.export())
        books.settled().nothing_unrecorded()
        results.note('%d calls over %d reloads' % (len(calls), RELOADS))
        results.ok(len(calls) > 100 and not failed, 'reloads under load fail no request',
                   *failed[:10])
        results.ok(not books.complaints, 'and lose no record', *books.complaints[:10])
        with open(assay.log, encoding='utf-8') as file:
            log = file.read()
        results.ok('providerz' in log, 'the reason why a bad file was refused is logged',
                   log[-1000:])


async def load_and_reload(assay):
    load = Load(assay, 1, concurrency=16)
    task = asyncio.create_task(load.run())
    for index in range(RELOADS):
        await asyncio.sleep(0.1)
        assay.config['limits'] = {'keep_alive': '%ds' % (30 + index)}
        bad = index % 5 == 4
        if bad:
            assay.config['providerz'] = {}
        assay.write_config()
        before = len(assay.logged('reload'))
        assay.send_signal(signal.SIGHUP)
        await asyncio.to_thread(wait_for, lambda: len(assay.logged('reload')) > before)
        assay.config.pop('providerz', None)
    assay.write_config()
    await asyncio.sleep(0.3)
    load.stopping = True
    await task
    return load.calls


def reload_takes_effect(results, demo):
    """A provider that a reload adds serves at once."""
    with demo() as (assay, provider):
        async def models(path):
            client = http1.Client(assay.port)
            response = await client.request('GET', path, [
                ('host', 'h'), ('authorization', 'Bearer ' + assay.key)])
            client.close()
            return response.status

        before = asyncio.run(models('/second/v1/models'))
        assay.config['providers']['second'] = {
            'url': provider.url, 'dialects': ['openai'], 'credential': 'env:UPSTREAM_KEY'}
        assay.write_config()
        assay.send_signal(signal.SIGHUP)
        after = wait_for(lambda: asyncio.run(models('/second/v1/models')) == 200)
        results.ok(before == 404 and after, 'a reload adds a provider',
                   'status %s, then 200: %s' % (before, after), assay.log_tail())


def log_rotates(results, demo):
    """After a rename SIGUSR1 makes a new log; every call has its line in one of them."""
    with tempfile.TemporaryDirectory(prefix='assay-log-') as folder:
        path = os.path.join(folder, 'assay.log')
        with demo({'log': {'file': path, 'exchanges': True}}) as (assay, _):
            calls = asyncio.run(load_and_rotate(assay, path))
            failed = [call.failure for call in calls if call.failure]
            assay.stop()
            lines = 0
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), encoding='utf-8') as file:
                    lines += sum(line.startswith('{"id":') for line in file)
            results.ok(not failed and lines == len(calls) and
                       len(os.listdir(folder)) == ROTATIONS + 1,
                       'SIGUSR1 under load loses no line of the log',
                       '%d calls, %d lines in %s' % (len(calls), lines, os.listdir(folder)),
                       *failed[:5])


async def load_and_rotate(assay, path):
    load = Load(assay, 3, concurrency=8)
    task = asyncio.create_task(load.run())
    for index in range(ROTATIONS):
        await asyncio.sleep(0.15)
        os.rename(path, '%s.%d' % (path, index))
        assay.send_signal(signal.SIGUSR1)
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    load.stopping = True
    await task
    return load.calls


def key_takes_effect(results, demo):
    """A key is good within a second of its making, and bad within one of its revocation. Of
    some keys half have to be: a busy machine may hold one up."""
    with demo() as (assay, _):
        async def status(key):
            client = http1.Client(assay.port)
            response = await client.request('GET', '/openai/v1/models', [
                ('host', 'h'), ('authorization', 'Bearer ' + key)])
            client.close()
            return response.status

        def becomes(key, wanted):
            started = time.monotonic()
            wait_for(lambda: asyncio.run(status(key)) == wanted)
            return time.monotonic() - started

        made, revoked = [], []
        for _ in range(KEYS):
            key = assay.add_key('second')
            made.append(becomes(key, 200))
            row = [line for line in assay.run('keys', 'list').splitlines()
                   if 'second' in line and 'revoked' not in line][-1]
            assay.run('keys', 'revoke', row.split()[0])
            revoked.append(becomes(key, 401))
        results.ok(statistics.median(made) < 1, 'a new key is good within a second', made)
        results.ok(statistics.median(revoked) < 1, 'a revoked key is bad within a second',
                   revoked)


async def open_streams(assay, count, words, delay_ms):
    load = Load(assay, 2)
    clients = []
    for _ in range(count):
        client = http1.Client(assay.port)
        body = b'{"model":"demo;n=%d;words=%d;delay_ms=%d","stream":true,"max_tokens":9999,' \
            b'"messages":[]}' % (next(load.numbers), words, delay_ms)
        await client.send('POST', '/anthropic/v1/messages', [
            ('host', 'h'), ('authorization', 'Bearer ' + assay.key),
            ('content-length', str(len(body)))], body)
        clients.append(client)
    await asyncio.to_thread(assay.wait_for_calls, count, 'relay')
    return clients


async def responses_of(clients):
    return await asyncio.gather(*(client.receive('POST') for client in clients),
                                return_exceptions=True)


def graceful_stop(results, demo):
    """SIGTERM: no new connections, open streams run to their end, exit status 0."""
    async def scene(assay):
        clients = await open_streams(assay, 40, 40, 80)
        assay.send_signal(signal.SIGTERM)
        rest = asyncio.create_task(responses_of(clients))
        closed = await asyncio.to_thread(wait_for, lambda: not assay.accepts())
        return closed and not rest.done(), await rest

    with demo() as (assay, _):
        closed, responses = asyncio.run(scene(assay))
        status = assay.stop(signal.SIGCONT)
        whole = [response for response in responses
                 if not isinstance(response, Exception) and not response.cut]
        outcomes = [record['outcome'] for record in assay.export()]
        results.ok(closed, 'SIGTERM closes the listener while streams are open')
        results.ok(len(whole) == 40 and status == 0 and outcomes == ['complete'] * 40,
                   'open streams run to their end', '%d whole, exit status %s, %s' % (
                       len(whole), status, outcomes))


def stop_deadline(results, demo):
    """Streams that outlast stop_timeout are cut, and settled all the same."""
    async def scene(assay):
        clients = await open_streams(assay, 10, 200, 50)
        started = time.monotonic()
        assay.send_signal(signal.SIGTERM)
        responses = await responses_of(clients)
        return time.monotonic() - started, responses

    with demo({'limits': {'stop_timeout': '700ms'}}) as (assay, _):
        took, responses = asyncio.run(scene(assay))
        status = assay.stop(signal.SIGCONT)
        cut = [response for response in responses
               if isinstance(response, Exception) or response.cut]
        records = assay.export()
        results.ok(len(cut) == 10 and status == 0 and took > 0.5,
                   'stop_timeout cuts what is still open',
                   '%d cut after %.1f s, exit status %s' % (len(cut), took, status))
        results.ok(len(records) == 10 and all(
            record['outcome'] not in ('complete', 'unknown') for record in records),
            'and every one is settled', [record['outcome'] for record in records])
