"""An assay in front of a provider in this process whose answers a test scripts."""

import asyncio
import json
import os
import tempfile
import threading

import http1
from proxy import PATIENCE, Assay, wait_for



class Scripted:
    """Use it as a context manager. `handle(request, reply)` answers for the provider."""

    def __init__(self, handle, dialects=('openai',), settings=None, provider=None,
                 prices=None, variables=None):
        self.folder = tempfile.TemporaryDirectory(prefix='assay-scripted-')
        self.handle = handle
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.ids = []  # of all exchanges
        self.dialects = dialects
        self.provider = provider or {}
        self.variables = variables or {}
        self.settings = dict(settings or {})
        if prices is not None:
            self.settings['prices'] = self.write_prices(prices)

    def write_prices(self, prices):
        """{model: (input, output) in dollars a million}, or a map of further rates. A batch
        costs half."""
        name = os.path.join(self.folder.name, 'prices.yaml')
        rows = [{'model': model, 'per_million': rates if isinstance(rates, dict) else
                 {'input': rates[0], 'output': rates[1]}} for model, rates in prices.items()]
        with open(name, 'w', encoding='utf-8') as file:
            file.write('models:\n' + ''.join(
                '  - {model: "%s", service_tiers: {batch: 50%%}, per_million: {%s}}\n' % (row['model'], ', '.join(
                    '%s: %s' % pair for pair in row['per_million'].items())) for row in rows))
        return name

    def __enter__(self):
        self.thread.start()
        self.server = self.on_loop(http1.Server(self.handle).start())
        common = {'url': 'http://127.0.0.1:%d' % self.server.port,
                  'credential': 'env:UPSTREAM_KEY', **self.provider}
        self.assay = Assay({name: {**common, 'dialects': [name]} for name in self.dialects},
                           self.settings)
        self.assay.variables.update(self.variables)
        self.assay.start()
        return self

    def __exit__(self, *failure):
        self.assay.__exit__(*failure)
        self.on_loop(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.folder.cleanup()

    def on_loop(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    async def ask(self, method, target, body=None, key=None):
        client = http1.Client(self.assay.port)
        data = b'' if body is None else json.dumps(body).encode()
        try:
            await client.send(method, target, [
                ('host', 'h'), ('authorization', 'Bearer ' + (key or self.assay.key)),
                ('content-type', 'application/json'),
                ('content-length', str(len(data)))], data)
            response = await asyncio.wait_for(client.receive(method), PATIENCE)
            self.ids.append(response.field('assay-exchange-id'))
            return response
        finally:
            client.close()

    def settled(self, *request, **more):
        """A call that is settled before the next one begins."""
        response = asyncio.run(self.ask(*request, **more))
        self.assay.wait_until_idle()
        return response

    def post(self, target, body, **more):
        return self.settled('POST', target, body, **more)

    def get(self, target, **more):
        return self.settled('GET', target, **more)

    def record(self, response):
        """The ledger's record of an exchange."""
        wanted = response.field('assay-exchange-id')
        return next((one for one in self.assay.export_all([wanted]) if one['id'] == wanted),
                    None)

    def records(self):
        """The ledger, once it has all exchanges."""
        return self.assay.export_all(self.ids)

    def metrics(self):
        """{series: value}"""
        self.assay.wait_until_idle()
        text = self.assay.admin('/metrics')
        return {name: float(value) for name, value in (
            line.rsplit(' ', 1) for line in text.splitlines() if line[0] != '#')}

    def quota(self, name):
        """What a policy has counted, once no call is under way."""
        self.assay.wait_until_idle()
        return next(row['used'] for row in json.loads(self.assay.admin('/v1/quotas'))['quotas']
                    if row['name'] == name)


def sse(*events, named=True):
    """Events as a stream: strings as they are, objects as JSON with their type as name."""
    text = ''
    for event in events:
        if isinstance(event, dict):
            text += 'event: %s\n' % event['type'] if named and 'type' in event else ''
            event = json.dumps(event)
        text += 'data: %s\n\n' % event
    return text.encode()


def answering(answers):
    """A handler: the answer of the first path that the request's ends with."""
    async def handle(request, reply):
        path = request.target.partition('?')[0]
        answer = next((value for end, value in answers.items() if path.endswith(end)), None)
        if answer is None:
            await reply.whole(404, [], b'{}')
        elif isinstance(answer, bytes):
            await reply.whole(200, [('content-type', 'text/event-stream')], answer)
        else:
            await reply.whole(200, [('content-type', 'application/json')],
                              json.dumps(answer).encode())
    return handle
