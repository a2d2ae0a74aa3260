"""Quotas through the running proxy: refusals in the words of each dialect, warnings, many
clients at once, kill -9, reload; the ledger always adds up to the counters."""

import asyncio
import json
import os
import re
import signal
import subprocess
import tempfile

import http1
from proxy import COMMAND, PATIENCE, ROOT, Assay, DemoProvider, wait_for

CLIENTS = 200


def policy(name, limit, per='day', **more):
    return {'name': name, 'limit': limit, **({'per': per} if per else {}), **more}


class House:
    """An assay with quotas in front of a demo provider."""

    def __init__(self, quotas, **settings):
        self.folder = tempfile.TemporaryDirectory(prefix='assay-quota-')
        self.provider = DemoProvider(self.folder.name)
        self.quotas = quotas
        self.settings = settings
        self.ids = []  # of all exchanges

    def __enter__(self):
        self.provider.__enter__()
        common = {'url': self.provider.url, 'credential': 'env:UPSTREAM_KEY', 'default': True}
        self.assay = Assay({'openai': {**common, 'dialects': ['openai']},
                            'anthropic': {**common, 'dialects': ['anthropic']}},
                           {'quotas': self.quotas, **self.settings})
        self.prepare()
        self.assay.start()
        return self

    def prepare(self):
        """What a case does between configuring and starting."""

    def __exit__(self, *failure):
        self.assay.__exit__(*failure)
        self.provider.__exit__(*failure)
        self.folder.cleanup()

    async def ask(self, path='/v1/chat/completions', key=None, **body):
        client = http1.Client(self.assay.port)
        text = json.dumps({'model': 'demo;words=20', 'messages': [
            {'role': 'user', 'content': 'count for me'}], **body}).encode()
        try:
            await client.send('POST', path, [
                ('host', 'h'), ('authorization', 'Bearer ' + (key or self.assay.key)),
                ('content-type', 'application/json'),
                ('content-length', str(len(text)))], text)
            response = await asyncio.wait_for(client.receive('POST'), PATIENCE)
            self.ids.append(response.field('assay-exchange-id'))
            return response
        finally:
            client.close()

    def call(self, *path, **body):
        return asyncio.run(self.ask(*path, **body))

    def counters(self):
        """{policy: (used, reserved)} by the admin port."""
        return {one['name']: (one['used'], one['reserved']) for one in json.loads(
            self.assay.admin('/v1/quotas'))['quotas']}

    def settled_counters(self):
        """The same once no call is under way."""
        self.assay.wait_until_idle()
        return {name: used for name, (used, _) in self.counters().items()}

    def records(self):
        """The ledger, once it has everything."""
        return self.assay.export_all(self.ids)

    def ledger_tokens(self):
        return sum(count or 0 for record in self.records()
                   for name, count in record['tokens'].items()
                   if not name.startswith('cache_write_'))


def refusals(results):
    """Each dialect's shape, the words, the headers; nothing reaches the provider."""
    quotas = [policy('tiny', '10 tokens', timezone='Europe/Berlin', contact='ops@example.com',
                     each='caller')]
    with House(quotas) as house:
        openai = house.call(max_tokens=50)
        anthropic = house.call('/v1/messages', max_tokens=50)
        free = house.call('/v1/messages/count_tokens')
        records = house.records()
        reached = house.provider.truth()
    error = json.loads(openai.body)['error']
    results.ok(openai.status == 429 and error['type'] == error['code'] == 'insufficient_quota' and
               openai.field('x-should-retry') == 'false' and
               0 < int(openai.field('retry-after')) <= 90000,
               'OpenAI: 429 insufficient_quota, and no retry', openai.fields, openai.body)
    error = json.loads(anthropic.body)['error']
    results.ok(anthropic.status == 429 and error['type'] == 'rate_limit_error' and
               anthropic.field('x-should-retry') == 'false',
               'Anthropic: 429 rate_limit_error, and no retry', anthropic.body)
    results.ok(re.search(r"quota 'tiny' has too little left for this call: 0 tokens used, of 10 "
                         r"tokens per day for 'tester', and this call may come to \d+ tokens, "
                         r"more than it ever has: ask for less output, or with less input; "
                         r"it begins anew at \S+T00:00:00\+0[12]:00; "
                         r'ask ops@example.com', error['message']),
               'the words name policy, used, limit, reset and whom to ask', error['message'])
    results.ok(not reached and [r['outcome'] for r in records[:2]] == ['refused'] * 2 and
               records[0]['fault'] == 'quota_exceeded',
               'nothing reached the provider, and both are recorded as refused', records[:2])
    results.ok(free.status == 200, 'what costs nothing is let through', free.status)


def warnings(results):
    quotas = [policy('soft', '1 requests', over='warn', warn=['50%']),
              policy('hard', '100k tokens', warn=['1%', '50%'])]
    with House(quotas) as house:
        first = house.call()
        house.settled_counters()  # the next one is told of it then
        second = house.call()
    results.ok(first.field('assay-quota-warning') is None, 'no warning at first', first.fields)
    results.ok(second.status == 200 and second.field('assay-quota-warning') == 'soft 100%' and
               second.field('assay-quota-used') == '1 requests' and
               second.field('assay-quota-limit') == '1 requests' and
               second.field('assay-quota-reset').endswith('T00:00:00Z'),
               'a policy that warns lets pass and says so', second.fields)


def many_clients(results):
    """200 clients at once on a budget for a few: never beyond it, and exact at the end."""
    budget = 20000
    quotas = [policy('budget', '%d tokens' % budget, 'month'),
              policy('calls', '1M requests', 'rolling 5h'),
              policy('busy', '64 concurrent', None)]
    with House(quotas) as house:
        async def rush():
            return await asyncio.gather(*(house.ask(max_tokens=300) for _ in range(CLIENTS)))
        replies = asyncio.run(rush()) + asyncio.run(rush())
        counters, ledger = house.settled_counters(), house.ledger_tokens()
        truth = sum(sum(line['tokens'].values()) if isinstance(line['tokens'], dict)
                    else line['tokens'] for line in house.provider.truth())
    passed = sum(reply.status == 200 for reply in replies)
    refused = sum(reply.status == 429 for reply in replies)
    results.ok(passed + refused == 2 * CLIENTS and passed > 0 and refused > 0 and
               counters['budget'] <= budget,
               '%d clients stay within the budget' % CLIENTS,
               '%d passed, %d refused, %s' % (passed, refused, counters))
    results.ok(counters['budget'] == ledger == truth and counters['calls'] == passed and
               counters['busy'] == 0,
               'counters = ledger = what the provider says, to the token',
               '%s, ledger %d, truth %d, passed %d' % (counters, ledger, truth, passed))


def weighted(provider_says):
    """What a call comes to, in weighted tokens; the demo provider writes for 5 minutes."""
    hundredths = {'input': 100, 'cache_read': 10, 'cache_write': 125, 'output': 500,
                  'reasoning': 500}
    return -(-sum(hundredths[name] * count for name, count in provider_says.items()) // 100)


def weighted_tokens(results):
    """One number for cached input and output: exact, never beyond the limit, refused with it."""
    limit = 4000
    kept = [{'type': 'text', 'text': 'so many words to keep ' * 20,
             'cache_control': {'type': 'ephemeral'}}]
    turns = [{'role': 'user', 'content': 'well'}, {'role': 'assistant', 'content': 'so'},
             {'role': 'user', 'content': 'on'}]
    with House([policy('weighted', '%d weighted tokens' % limit)]) as house:
        house.call('/v1/messages', system=kept, messages=turns[:1], max_tokens=50)
        house.call('/v1/messages', system=kept, messages=turns, max_tokens=50)
        house.call(model='demo;words=10;reasoning=7;cached=2', max_tokens=50)
        first, said = house.settled_counters()['weighted'], house.provider.truth()
        over = house.call(max_tokens=limit // 5)

        async def rush():
            return await asyncio.gather(*(house.ask(max_tokens=60) for _ in range(CLIENTS)))
        replies = asyncio.run(rush())
        used = house.settled_counters()['weighted']
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        again, truth = house.settled_counters()['weighted'], house.provider.truth()
        checked = house.assay.run('check')
    classes = {name for line in said for name, count in line['tokens'].items() if count}
    results.ok(classes == {'input', 'cache_read', 'cache_write', 'output', 'reasoning'} and
               first == sum(weighted(line['tokens']) for line in said),
               'weighted tokens: each class of what the provider says by its weight', first, said)
    results.ok(over.status == 429 and
               "quota 'weighted' has too little left for this call: %d weighted tokens used, of "
               '%d weighted tokens per day' % (first, limit) in json.loads(over.body)['error']['message'],
               'a call is refused whose output may weigh too much', over.status, over.body)
    results.ok({reply.status for reply in replies} == {200, 429} and used <= limit and
               used == again == sum(weighted(line['tokens']) for line in truth),
               '%d clients stay within weighted tokens, exact after kill -9, too' % CLIENTS,
               used, again, {reply.status for reply in replies},
               sum(weighted(line['tokens']) for line in truth))
    results.ok('weighted: %d weighted tokens per day of every call' % limit in checked,
               'check tells weighted tokens', checked)


def weights_of_models(results):
    """Configured weights count by model; other weights after a reload count the same calls anew."""
    def weights(house, *rows):
        house.assay.config['quota'] = {'weights': list(rows)}
        house.assay.reload()

    dear = {'model': 'demo-dear*', 'input': 5, 'output': 25.5}
    quotas = [policy('weighted', '1M weighted tokens'), policy('plain', '1M tokens')]
    with House(quotas, quota={'weights': [dear, {'output': 2}]}) as house:
        house.call(model='demo-dear;words=7', max_tokens=50)
        house.call(model='demo;words=9', max_tokens=50)
        first, truth = house.settled_counters(), [line['tokens'] for line in
                                                  house.provider.truth()]
        house.records()
        weights(house, {'input': 0, 'output': 1})
        made = sum(tokens['output'] for tokens in truth)
        wait_for(lambda: house.settled_counters()['weighted'] == made)
        second = house.settled_counters()
    want = -(-(truth[0]['input'] * 500 + truth[0]['output'] * 2550) // 100) + \
        truth[1]['input'] + truth[1]['output'] * 2
    results.ok(first['weighted'] == want, 'weights as configured, by model', first, want, truth)
    results.ok(second == {'weighted': made, 'plain': first['plain']},
               'other weights count what was used anew', second, made)


def kill_and_restart(results):
    quotas = [policy('day', '10M tokens'), policy('roll', '1M requests', 'rolling 5h'),
              policy('busy', '8 concurrent', None)]
    with House(quotas) as house:
        for _ in range(5):
            house.call()
        before = house.settled_counters()

        async def under_way():
            calls = [asyncio.create_task(house.ask(
                model='demo;words=400;delay_ms=50', stream=True, max_tokens=500))
                for _ in range(3)]
            await asyncio.to_thread(house.assay.wait_for_calls, 3, 'relay')
            house.assay.stop(signal.SIGKILL)
            await asyncio.gather(*calls, return_exceptions=True)
        asyncio.run(under_way())
        house.assay.start()
        after = house.settled_counters()
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        again = house.settled_counters()
    results.ok(after['day'] >= before['day'] + 3 * 500 and after['roll'] == 8 and
               after['busy'] == 0,
               'kill -9: settled calls count, those under way at what they had reserved',
               before, after)
    results.ok(again == after, 'a second restart changes nothing', after, again)


def reload(results):
    quotas = [policy('day', '10M tokens'), policy('gone', '5 requests')]
    with House(quotas) as house:
        house.call()
        before = house.settled_counters()
        house.records()
        house.assay.config['quotas'] = [policy('day', '10 tokens'), policy('new', '9M tokens')]
        house.assay.reload()
        wait_for(lambda: house.counters().get('new', (0, 0))[0])
        after = house.counters()
        refused = house.call()
    results.ok(after['day'] == (before['day'], 0) and after['new'] == (before['day'], 0),
               'a reload keeps counters, and new policies count from the ledger', before, after)
    results.ok(refused.status == 429, 'and its limits hold at once', refused.status)


def reload_under_way(results):
    """A policy that a reload adds takes in the calls under way: each counts once."""
    calls = 60
    with House([policy('old', '10M tokens')]) as house:
        async def traffic():
            slow = asyncio.gather(*(house.ask(
                model='demo;words=%d;delay_ms=120' % (20 + n), stream=True, max_tokens=200)
                for n in range(8)))
            await asyncio.to_thread(house.assay.wait_for_calls, 8, 'relay')
            quick = []
            for n in range(calls):
                quick.append(asyncio.ensure_future(house.ask(model='demo;words=%d' % n,
                                                             max_tokens=100)))
                if n == calls // 2:
                    house.assay.config['quotas'].append(
                        policy('new', '9M tokens', 'rolling 5h', each='caller'))
                    house.assay.write_config()
                    house.assay.send_signal(signal.SIGHUP)
                await asyncio.sleep(0.005)
            reserved = await asyncio.to_thread(
                wait_for, lambda: house.counters().get('new', (0, 0))[1])
            replies = [*await slow, *await asyncio.gather(*quick)]
            return reserved, replies
        reserved, replies = asyncio.run(traffic())
        wait_for(lambda: len(set(house.settled_counters().values())) == 1)
        counters, ledger = house.settled_counters(), house.ledger_tokens()
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        again = house.settled_counters()
    results.ok(all(reply.status == 200 and not reply.cut for reply in replies) and reserved > 0,
               'calls under way are held in a policy that a reload adds', reserved)
    results.ok(counters == again == {'old': ledger, 'new': ledger},
               'and each counts once, as the ledger has it', counters, again, ledger)


def refused(house, *options):
    """What 'quota explain' says of options that it does not take."""
    try:
        return house.assay.run('quota', 'explain', '--caller', 'tester', *options)
    except RuntimeError as error:
        return str(error)


def commands(results):
    """What the commands tell is what the counters say."""
    quotas = [policy('day', '1M tokens', each='caller', timezone='Europe/Berlin'),
              policy('opus', '$5', 'month', **{'for': {'model': 'claude-opus-*'}}),
              policy('look', '5 requests', over='shadow')]
    with House(quotas) as house:
        house.call()
        used = house.settled_counters()['day']
        house.records()
        explained = house.assay.run('quota', 'explain', '--caller', 'tester', '--model', 'demo')
        both = house.assay.run('quota', 'explain', '--caller', 'tester', '--model',
                               'claude-opus-4')
        wrong = [refused(house, '--provider', 'nobody'), refused(house, '--mode', 'odd')]
        report = house.assay.run('report', '--quota')
        checked = house.assay.run('check')
    results.ok(re.search(r'day +tester +%d tokens +1M tokens / day +%d tokens +\S+T00:00:00\+0'
                         % (used, 1000000 - used), explained) and 'opus' not in explained,
               'quota explain tells what is left', explained)
    results.ok('opus' in both and "The tightest is 'day'" in both,
               'and which quotas count a call', both)
    results.ok("no provider is called 'nobody'" in wrong[0] and "'odd' is neither" in wrong[1],
               'and asks back where a call is none', *wrong)
    results.ok(re.search(r'day +tester +%d tokens' % used, report), 'report --quota', report)
    results.ok('day: 1M tokens per day for each caller of every call; counted together with opus, '
               'look' in checked and
               'look: 5 requests per day of every call; only counts; counted' in checked, 'check explains quotas and what they share', checked)


def examples(results):
    """What README.md shows of quotas is a configuration that assay takes."""
    with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as file:
        section = file.read().split('## Setting quotas')[1].split('\n## ')[0]
    blocks = re.findall(r'```yaml\n(.*?)```', section, re.S)
    base = ('listen: [{address: "127.0.0.1:1"}]\nproviders: {anthropic: {url: '
            '"https://a.example", dialects: [anthropic]}}\nteams: {platform: {callers: [ana]}, '
            'guests: {callers: [bo]}}\n')
    for block in blocks:
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
            file.write(base + block)
            file.flush()
            done = subprocess.run([*COMMAND, 'check', '--no-secrets', file.name], text=True,
                                  capture_output=True, timeout=PATIENCE, check=False)
        results.ok(done.returncode == 0, 'README.md: ' + block.split('\n')[0], done.stderr)
    results.ok(len(blocks) >= 4, 'README.md has examples', len(blocks))


def metrics(results):
    with House([policy('day', '10 tokens')]) as house:
        house.call(max_tokens=50)
        text = house.assay.admin('/metrics')
    for line in ('assay_quota_limit{policy="day",unit="tokens"} 10',
                 'assay_quota_used{policy="day",unit="tokens"} 0',
                 'assay_quota_reserved{policy="day",unit="tokens"} 0',
                 'assay_quota_refused_total{policy="day",unit="tokens"} 1'):
        results.ok(line in text, line, [row for row in text.splitlines() if 'quota' in row])


def run(results):
    for case in (refusals, warnings, many_clients, weighted_tokens, weights_of_models,
                 kill_and_restart, reload, reload_under_way, commands, examples, metrics):
        case(results)
