"""Random traffic with one fault in twenty: cuts, aborts, errors, refusals, reloads, restarts
and kill -9. At the end provider, ledger and counters agree to the token and the nano-dollar.
50,000 calls; a million with --long."""

import asyncio
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time

import http1
from proxy import Assay

CALLS = 1_000_000 if os.environ.get('ASSAY_LONG') == '1' else 50_000
AT_ONCE = 48
FAULTS = ('cut', 'abort', 'error', 'refused', 'malformed')
FAULT_SHARE = 0.05
DISTURBANCES = (signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP)
SECONDS = 30
PRICES = 'models:\n  - {model: "m", per_million: {input: 1.25, output: 9.99}}\n'
PICO_INPUT, PICO_OUTPUT = 1_250_000, 9_990_000


def usage_of(number):
    return 10 + number % 7, 1 + number % 50


def cost_of(number):
    """Nano-dollars, rounded half up once."""
    got, made = usage_of(number)
    return (got * PICO_INPUT + made * PICO_OUTPUT + 500) // 1000


# ---- the provider ---------------------------------------------------------------------


def usage_json(number):
    got, made = usage_of(number)
    return {'prompt_tokens': got, 'completion_tokens': made, 'total_tokens': got + made}


async def answer(request, reply, truth):
    body = json.loads(request.body)
    name, number, fault = body['model'].split(';')
    number = int(number)
    if fault == 'error':
        await reply.whole(500, [('content-type', 'application/json')], b'{"error":{}}')
    elif not body.get('stream'):
        truth.write('%d\n' % number)
        await reply.whole(200, [('content-type', 'application/json')], json.dumps({
            'model': name, 'usage': usage_json(number), 'choices': [{
                'finish_reason': 'stop', 'message': {'content': 'x'}}]}).encode())
    else:
        await reply.start(200, [('content-type', 'text/event-stream')])
        await reply.piece(b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n')
        if fault == 'cut':
            reply.abort()
            return
        if fault == 'abort':
            await asyncio.sleep(0.02)
        truth.write('%d\n' % number)
        await reply.piece(b'data: {"choices":[],"usage":%s}\n\ndata: [DONE]\n\n' %
                          json.dumps(usage_json(number)).encode())
        await reply.finish()


def provide(pipe, truth_file):
    """A process: answers until the pipe is closed."""
    async def serve():
        with open(truth_file, 'w', encoding='utf-8', buffering=1) as truth:
            async def handle(request, reply):
                await answer(request, reply, truth)
            server = http1.Server(handle)
            await server.start()
            pipe.send(server.port)
            while not pipe.poll():
                await asyncio.sleep(0.05)
            await server.close()
    asyncio.run(serve())


# ---- the clients ----------------------------------------------------------------------


class Clients:
    def __init__(self, assay, keys, seed):
        self.assay = assay
        self.keys = keys
        self.random = random.Random(seed)
        self.next = 0
        self.faults = {}
        self.done = 0

    async def one(self, client, number):
        fault = self.random.choice(FAULTS) if self.random.random() < FAULT_SHARE else 'none'
        stream = fault in ('cut', 'abort') or number % 2 == 1
        body = json.dumps({'model': 'm;%d;%s' % (number, fault), 'stream': stream,
                           'stream_options': {'include_usage': True}, 'max_tokens': 64,
                           'messages': [{'role': 'user', 'content': 'x' * (number % 90)}]})
        body = '{"model":1' if fault == 'malformed' else body
        await client.send('POST', '/v1/chat/completions', [
            ('host', 'h'), ('content-type', 'application/json'),
            ('authorization', 'Bearer ' + self.keys[fault == 'refused']),
            ('content-length', str(len(body)))], body.encode())
        self.faults[fault] = self.faults.get(fault, 0) + 1
        if fault == 'abort':
            await asyncio.sleep(0.01)
            client.close()
            return
        await asyncio.wait_for(client.receive('POST'), SECONDS)

    async def attempt(self, client, number):
        """False: nobody is there to take it."""
        try:
            await self.one(client, number)
        except ConnectionRefusedError:
            client.close()
            return False
        except (OSError, http1.Truncated, asyncio.TimeoutError):
            client.close()
        return True

    async def worker(self):
        client = http1.Client(self.assay.port)
        while self.next < CALLS:
            number = self.next
            self.next += 1
            while not await self.attempt(client, number):
                await asyncio.sleep(0.02)  # it is being started again
            self.done += 1
        client.close()

    async def disturb(self):
        """Reloads, restarts and kills, evenly over the traffic."""
        for step, number in enumerate(DISTURBANCES, 1):
            while self.done < CALLS * step // (len(DISTURBANCES) + 1):
                await asyncio.sleep(0.05)
            if number == signal.SIGHUP:
                self.assay.send_signal(number)
            else:
                await asyncio.to_thread(self.assay.stop, number)
                await asyncio.to_thread(self.assay.start)

    async def run(self):
        await asyncio.gather(self.disturb(), *(self.worker() for _ in range(AT_ONCE)))


# ---- the audit ------------------------------------------------------------------------


async def counters(assay):
    """{policy: used} once nothing is reserved."""
    deadline = time.monotonic() + SECONDS
    while True:
        client = http1.Client(assay.admin_port)
        try:
            reply = await client.request('GET', '/v1/quotas', [('host', 'h')])
        except OSError:
            await asyncio.sleep(0.05)
            continue
        finally:
            client.close()
        rows = json.loads(reply.body)['quotas']
        if not any(row['reserved'] for row in rows) or time.monotonic() > deadline:
            return {row['name']: row['used'] for row in rows}, \
                sum(row['reserved'] for row in rows)
        await asyncio.sleep(0.05)


def numbers(records):
    """Records by the number of their call."""
    return {int(record['request_model'].split(';')[1]): record for record in records
            if (record['request_model'] or '').startswith('m;')}


def tokens(record):
    return (record['tokens']['input'] or 0, record['tokens']['output'] or 0)


def audit(results, assay, truth, clients):
    before, reserved = asyncio.run(counters(assay))
    time.sleep(0.5)
    records = numbers(assay.export())
    assay.stop()
    assay.start()
    after, _ = asyncio.run(counters(assay))
    whole = {number: record for number, record in records.items()
             if record['usage_source'] == 'reported'}
    wrong = [number for number, record in whole.items()
             if tokens(record) != usage_of(number) or record['cost_nanousd'] != cost_of(number)]
    unseen = [number for number in truth if number not in whole and
              records.get(number, {}).get('outcome') not in ('unknown', 'client_abort')]
    outcomes = {}
    for record in records.values():
        outcomes[record['outcome']] = outcomes.get(record['outcome'], 0) + 1
    results.note('%d calls with faults %s; recorded %s; counters %s' % (
        CALLS, clients.faults, outcomes, before))
    results.ok(reserved == 0 and before['open'] == 0, 'no reservation is left', reserved, before)
    results.ok(before == after, 'the counters are what the ledger says: a restart gives the same',
               before, after)
    results.ok(not wrong and set(whole) <= truth and not unseen,
               'each whole call has what the provider says, to the token and the nano-dollar',
               wrong[:5], sorted(set(whole) - truth)[:5], unseen[:5])
    told = sum(sum(usage_of(number)) for number in whole)
    cost = sum(cost_of(number) for number in whole)
    rest = [record for number, record in records.items() if number not in whole]
    results.ok(told <= before['tokens'] and cost <= before['money'] and
               len(whole) <= before['calls'] <= len(records) and
               len(whole) > 0.9 * CALLS * (1 - FAULT_SHARE),
               'and counters are these and what was cut: %d of %d tokens, %d of %d nano-dollars, '
               '%d calls not whole' % (told, before['tokens'], cost, before['money'], len(rest)),
               len(whole), len(records), before)


def random_traffic(results, _):
    pipe, other = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix='assay-traffic-') as folder:
        truth_file = os.path.join(folder, 'truth')
        provider = multiprocessing.Process(target=provide, args=(other, truth_file), daemon=True)
        provider.start()
        with open(os.path.join(folder, 'prices.yaml'), 'w', encoding='utf-8') as file:
            file.write(PRICES)
        assay = Assay(
            {'openai': {'url': 'http://127.0.0.1:%d' % pipe.recv(), 'dialects': ['openai'],
                        'credential': 'env:UPSTREAM_KEY', 'default': True, 'price_as': 'm'}},
            {'prices': os.path.join(folder, 'prices.yaml'), 'log': {'exchanges': 'off'},
             'quotas': [{'name': 'tokens', 'limit': '1000G tokens', 'per': 'month'},
                        {'name': 'money', 'limit': '$1000000', 'per': 'month'},
                        {'name': 'calls', 'limit': '1G requests', 'per': 'rolling 31d'},
                        {'name': 'open', 'limit': '1M concurrent'},
                        {'name': 'spent', 'limit': '1 tokens', 'per': 'month',
                         'for': {'caller': 'second'}}]})
        with assay:
            clients = Clients(assay, (assay.key, assay.add_key('second')), seed=4)
            asyncio.run(clients.run())
            with open(truth_file, encoding='utf-8') as file:
                truth = {int(line) for line in file}
            audit(results, assay, truth, clients)
        pipe.send(None)
        provider.join(SECONDS)
