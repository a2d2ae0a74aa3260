"""Streams that end early, at every event: the provider dies, or the client leaves."""

import asyncio
import json
import time

import http1
from proxy import PATIENCE

WORDS = 6
STALL_SECONDS = 20  # far beyond the time after which a stalled stream is cut
# Of a stream whose client leaves: its rest comes after that was seen, or never where it is
# to be cancelled.
DELAY_MS, ENDLESS = 300, 200
APIS = {
    '/openai/v1/chat/completions': {'stream_options': {'include_usage': True}},
    '/openai/v1/responses': {'input': 'hello'},
    '/anthropic/v1/messages': {'max_tokens': 99},
}


async def open_stream(assay, path, script, words=WORDS):
    client = http1.Client(assay.port)
    body = json.dumps({'model': 'demo;words=%d;%s' % (words, script), 'stream': True,
                       'messages': [{'role': 'user', 'content': 'hello there'}],
                       **APIS[path]}).encode()
    await client.send('POST', path, [
        ('host', 'h'), ('authorization', 'Bearer ' + assay.key),
        ('content-length', str(len(body)))], body)
    return client


async def cut_by_provider(assay, path, script):
    client = await open_stream(assay, path, script)
    response = await asyncio.wait_for(client.receive('POST'), PATIENCE)
    client.close()
    return response


def provider_dies(results, demo):
    """At each event, by FIN and by RST: the client sees a cut, the record says so."""
    with demo() as (assay, provider):
        calls = {}
        for path in APIS:
            for how in ('abort_after', 'reset_after'):
                for index in range(WORDS + 3):
                    response = asyncio.run(cut_by_provider(
                        assay, path, '%s=%d' % (how, index)))
                    calls[response.field('assay-exchange-id')] = (path, how, index, response)
        assay.stop()
        records = {record['id']: record for record in assay.export()}
        complaints = []
        for exchange_id, (path, how, index, response) in calls.items():
            record = records.get(exchange_id)
            name = '%s %s=%d' % (path, how, index)
            if not response.cut:
                complaints.append('%s: the client was told that all is well: %r' % (
                    name, response.body[-80:]))
            if record is None:
                complaints.append('%s: no record' % name)
            elif record['outcome'] != 'upstream_cut' or record['usage_source'] == 'none' and \
                    index > 3:
                complaints.append('%s: recorded as %s, %s' % (
                    name, record['outcome'], record['usage_source']))
        results.ok(not complaints, 'a provider that dies at any event is a visible cut: '
                   '%d streams' % len(calls), *complaints[:20])


async def leave(assay, path, events, policy):
    """Read this many events, then reset the connection; the exchange id."""
    client = await open_stream(assay, path, 'delay_ms=%d' % DELAY_MS,
                               ENDLESS if policy == 'cancel' else WORDS)
    _, fields = await http1.read_head(client.reader)
    got = b''
    while got.count(b'\n\n') < events:
        more = await client.reader.read(4096)
        if not more:
            raise http1.Truncated(got)
        got += more
    client.writer.transport.abort()
    return http1.field(fields, 'assay-exchange-id')


async def leave_all(assay, policy):
    """{exchange id: (API, events)}, all at once."""
    plays = [(path, events) for path in APIS for events in range(1, WORDS)]
    ids = await asyncio.gather(*(leave(assay, *play, policy) for play in plays))
    return dict(zip(ids, plays))


def client_leaves(results, demo):
    """At each event, drained and cancelled: a record in either case, exact when drained."""
    for policy in ('drain', 'cancel'):
        with demo(provider={'on_client_abort': policy}) as (assay, provider):
            ids = asyncio.run(leave_all(assay, policy))
            assay.wait_until_idle()
            records = {record['id']: record for record in assay.export_all(ids)}
            complaints = []
            for exchange_id, (path, events) in ids.items():
                record = records.get(exchange_id)
                if record is None:
                    complaints.append('%s after %d events: no record' % (path, events))
                    continue
                exact = record['usage_source'] == 'reported'
                if record['outcome'] != 'client_abort' or \
                        (policy == 'drain' and not exact) or \
                        record['drained'] != (policy == 'drain'):
                    complaints.append('%s after %d events: %s, %s, drained %s' % (
                        path, events, record['outcome'], record['usage_source'],
                        record['drained']))
            if policy == 'cancel':
                ran_on = [line['id'] for line in provider.truth() if line['completed']]
                if ran_on:
                    complaints.append('%d streams ran to their end' % len(ran_on))
            results.ok(not complaints, 'a client that leaves at any event, %s: %d streams' % (
                policy, len(ids)), *complaints[:20])


def provider_stalls(results, demo):
    """The idle timer ends a stalled stream in time."""
    with demo(provider={'timeouts': {'idle': '500ms'}}) as (assay, _):
        complaints = []
        for path in APIS:
            for index in (0, 3, WORDS):
                started = time.monotonic()
                response = asyncio.run(cut_by_provider(assay, path, 'stall_after=%d' % index))
                took = time.monotonic() - started
                if not 0.4 < took < STALL_SECONDS or not response.cut:
                    complaints.append('%s stall_after=%d: status %d, cut %s after %.2f s' % (
                        path, index, response.status, response.cut, took))
        assay.stop()
        outcomes = {record['outcome'] for record in assay.export()}
        results.ok(not complaints and outcomes == {'timeout'}, 'stalled streams end in time',
                   *complaints, outcomes)
