"""Random traffic with one fault in twenty: cuts, aborts, errors, refusals, and every 10,000
calls a reload, a restart or kill -9. At the end provider, ledger and counters agree to the
token and the nano-dollar. 50,000 calls; a million with --long."""

import asyncio
import json
import multiprocessing
import os
import random
import signal
import subprocess
import tempfile
import time

import http1
from proxy import COMMAND, PATIENCE, Assay

CALLS = 1_000_000 if os.environ.get('ASSAY_LONG') == '1' else 50_000
AT_ONCE = 48
FAULTS = ('cut', 'abort', 'error', 'refused', 'malformed')
FAULT_SHARE = 0.05
DISTURBANCES = (signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP)
BETWEEN = 10_000  # calls from one disturbance to the next
BACK_SECONDS = 120  # every call here has a label of its own, which is dear to read
PRICES = 'models:\n  - {model: "m", per_million: {input: 1.25, output: 9.99}}\n'
PICO_INPUT, PICO_OUTPUT = 1_250_000, 9_990_000


def usage_of(number):
    return 10 + number % 7, 1 + number % 50


def cost_of(got, made):
    """Nano-dollars, rounded half up once."""
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
        self.disturbed = {}
        self.longest = 0.0  # seconds that a start took: it reads the month's ledger
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
        await asyncio.wait_for(client.receive('POST'), PATIENCE)

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
        for step, number in enumerate(range(BETWEEN, CALLS, BETWEEN)):
            while self.done < number:
                await asyncio.sleep(0.05)
            what = DISTURBANCES[step % len(DISTURBANCES)]
            self.disturbed[what.name] = self.disturbed.get(what.name, 0) + 1
            if what == signal.SIGHUP:
                self.assay.send_signal(what)
            else:
                await asyncio.to_thread(self.assay.stop, what)
                begun = time.monotonic()
                await asyncio.to_thread(self.assay.start, seconds=BACK_SECONDS)
                self.longest = max(self.longest, time.monotonic() - begun)

    async def run(self):
        await asyncio.gather(self.disturb(), *(self.worker() for _ in range(AT_ONCE)))


# ---- reconciling ----------------------------------------------------------------------


async def counters(assay):
    """{policy: used} once nothing is reserved."""
    deadline = time.monotonic() + PATIENCE
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


def exported(assay):
    """The ledger's records, one by one."""
    with subprocess.Popen([*COMMAND, 'export', '--format', 'jsonl', '--config', assay.file],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          env=assay.environment()) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode != 0:
        raise RuntimeError('assay export: exit status %d' % process.returncode)


def charge(record):
    """What a record counts in quotas: (calls, tokens, nano-dollars), as README says."""
    tokens = [count for count in record['tokens'].values() if count is not None]
    got, made = record['reserved_input'] or 0, record['reserved_output'] or 0
    if record['outcome'] == 'refused':
        return 0, 0, 0
    if tokens:
        return 1, sum(tokens), record['cost_nanousd']
    if record['outcome'] == 'complete':  # an error of the provider
        return record['status'] < 400, 0, 0
    made = made if record['outcome'] == 'unknown' else 0
    return (1, got + made, cost_of(got, made)) if got else (0, 0, 0)


class Ledger:
    """What it says of the calls, beside what the provider says."""

    def __init__(self, records, truth):
        self.sums = [0, 0, 0]
        self.whole, self.told, self.cost = 0, 0, 0
        self.outcomes, self.wrong, missing = {}, [], set(truth)
        for record in records:
            self.outcomes[record['outcome']] = self.outcomes.get(record['outcome'], 0) + 1
            self.sums = [a + b for a, b in zip(self.sums, charge(record))]
            model = record['request_model'] or ''
            if model.startswith('m;'):
                self.compare(record, int(model.split(';')[1]), truth, missing)
        self.unseen = sorted(missing)

    def compare(self, record, number, truth, missing):
        if record['usage_source'] == 'reported':
            got, made = usage_of(number)
            if number not in missing or record['cost_nanousd'] != cost_of(got, made) or \
                    (record['tokens']['input'], record['tokens']['output']) != (got, made):
                self.wrong.append(record)
            self.whole += 1
            self.told += got + made
            self.cost += cost_of(got, made)
            missing.discard(number)
        elif record['outcome'] in ('unknown', 'client_abort'):
            missing.discard(number)  # nobody was there any more to hear it
        elif number in truth:
            self.wrong.append(record)


def reconcile(results, assay, truth_file, clients):
    before, reserved = asyncio.run(counters(assay))
    assay.wait_until_idle()
    assay.stop()
    # Only now: of the last calls some were drained after their clients had gone.
    with open(truth_file, encoding='utf-8') as file:
        truth = {int(line) for line in file}
    ledger = Ledger(exported(assay), truth)
    assay.start(seconds=BACK_SECONDS)
    after, _ = asyncio.run(counters(assay))
    results.note('%d calls with faults %s and %s; recorded %s; counters %s' % (
        CALLS, clients.faults, clients.disturbed, ledger.outcomes, before))
    results.ok(reserved == 0 and before['open'] == 0, 'no reservation is left', reserved, before)
    results.ok(before == after, 'a restart gives the same counters', before, after)
    results.ok(ledger.sums == [before['calls'], before['tokens'], before['money']],
               'the counters are the sums of the ledger: %d calls, %d tokens, %d nano-dollars' %
               tuple(ledger.sums), before)
    results.ok(not ledger.wrong and not ledger.unseen and
               ledger.whole > 0.9 * CALLS * (1 - FAULT_SHARE),
               'and these the provider\'s: %d whole calls of %d tokens and %d nano-dollars, '
               'each once and exact' % (ledger.whole, ledger.told, ledger.cost),
               ledger.wrong[:5], ledger.unseen[:5])


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
            started = time.monotonic()
            asyncio.run(clients.run())
            results.note('%d calls in %d s; the longest start took %.1f s' % (
                CALLS, time.monotonic() - started, clients.longest))
            reconcile(results, assay, truth_file, clients)
        pipe.send(None)
        provider.join(PATIENCE)
