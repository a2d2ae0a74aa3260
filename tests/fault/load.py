"""Load that can be reconciled: numbered calls whose number is in the model's name, so that
the client's log, the provider's truth and the ledger can be joined."""

import asyncio
import itertools
import json
import random
import re
import time

import http1
from proxy import PATIENCE

NUMBER = re.compile(r';n=(\d+)')


class Call:
    """One call as the client saw it."""

    def __init__(self, number):
        self.number = number
        self.started = time.time()
        self.ended = None       # when a whole response had arrived
        self.failure = None


class Load:
    """Keeps `concurrency` calls under way until stopped. Numbers are never used twice."""

    numbers = itertools.count(1)

    def __init__(self, assay, seed, concurrency=24, delay_ms=4):
        self.assay = assay
        self.rng = random.Random(seed)
        self.concurrency = concurrency
        self.delay_ms = delay_ms
        self.calls = []
        self.stopping = False

    async def run(self):
        await asyncio.gather(*(self.worker() for _ in range(self.concurrency)))

    async def worker(self):
        client = http1.Client(self.assay.port)
        while not self.stopping:
            call = Call(next(self.numbers))
            self.calls.append(call)
            try:
                response = await asyncio.wait_for(self.send(client, call.number), PATIENCE)
                if response.status != 200 or response.cut:
                    call.failure = 'status %d, cut %s: %r' % (
                        response.status, response.cut, response.body[:120])
                else:
                    call.ended = time.time()
            except (OSError, http1.Truncated, asyncio.TimeoutError) as error:
                call.failure = repr(error)
                client.close()
                await asyncio.sleep(0.01)
        client.close()

    async def send(self, client, number):
        path, body = self.body(number)
        data = json.dumps(body).encode()
        fields = [('host', 'h'), ('authorization', 'Bearer ' + self.assay.key),
                  ('content-type', 'application/json'), ('content-length', str(len(data)))]
        return await client.request('POST', path, fields, data)

    def body(self, number):
        model = 'demo;n=%d;words=%d;delay_ms=%d' % (number, self.rng.randint(3, 30),
                                                     self.delay_ms)
        body = {'model': model, 'max_tokens': 100, 'stream': self.rng.random() < 0.6,
                'messages': [{'role': 'user', 'content': 'call %d' % number}]}
        if self.rng.random() < 0.5:
            return '/anthropic/v1/messages', body
        return '/openai/v1/chat/completions', body


def number_of(model):
    match = NUMBER.search(model)
    return int(match.group(1)) if match else None


def tokens(record):
    return {name: record['tokens'][name] or 0
            for name in ('input', 'cache_read', 'cache_write', 'output', 'reasoning')}


class Reconciliation:
    """Joins what clients, provider and ledger say."""

    def __init__(self, calls, truth, records):
        self.calls = {call.number: call for call in calls}
        self.truth = {number_of(line['model']): line for line in truth}
        self.records = {}
        self.complaints = []
        for record in records:
            number = number_of(record['request_model'] or '')
            if number is None:
                # Killed before the body was read: nothing has gone to the provider.
                if record['outcome'] != 'unknown':
                    self.complaints.append('%(id)s: no model, %(outcome)s' % record)
                continue
            if number in self.records:
                self.complaints.append('call %s has two records' % number)
            if number not in self.calls:
                self.complaints.append('a record of call %s, which nobody made' % number)
            self.records[number] = record

    def settled(self, before=None):
        """Calls that ended at the client (before an instant) have an exact record."""
        for number, call in self.calls.items():
            if call.ended is None or (before is not None and call.ended > before(call)):
                continue
            record = self.records.get(number)
            if record is None:
                self.complaints.append('call %d ended and has no record' % number)
            elif record['outcome'] != 'complete' or \
                    tokens(record) != self.truth[number]['tokens']:
                self.complaints.append('call %d: %s %s instead of %s' % (
                    number, record['outcome'], tokens(record),
                    self.truth[number]['tokens']))
        return self

    def nothing_unrecorded(self):
        """Calls that reached the provider have a record, whatever became of them."""
        self.complaints += ['call %d reached the provider and has no record' % number
                            for number in set(self.truth) - set(self.records)]
        return self

    def unknown(self):
        return [number for number, record in self.records.items()
                if record['outcome'] == 'unknown']
