"""Permits and models without a price: refused in the dialect's words before anything reaches
the provider, and not to be walked around by the way a request is written."""

import asyncio
import json

import http1
from proxy import PATIENCE
from quotas import House, policy

SMALL = {'name': 'small', 'for': {'team': 'tests'}, 'models': ['demo*', 'claude-haiku-*'],
         'contact': 'ops@example.com'}


class StrictHouse(House):
    """A house with permits, or other settings, and raw bodies."""

    def __init__(self, permits=(), **settings):
        super().__init__([policy('day', '1M tokens')], permits=list(permits), **settings)

    def send(self, body, path='/v1/chat/completions'):
        async def exchange():
            client = http1.Client(self.assay.port)
            try:
                await client.send('POST', path, [
                    ('host', 'h'), ('authorization', 'Bearer ' + self.assay.key),
                    ('content-type', 'application/json'),
                    ('content-length', str(len(body)))], body.encode())
                response = await asyncio.wait_for(client.receive('POST'), PATIENCE)
                self.ids.append(response.field('assay-exchange-id'))
                return response
            finally:
                client.close()
        return asyncio.run(exchange())


def words_of(response):
    return json.loads(response.body)['error']['message']


def models(results):
    with StrictHouse([SMALL, {'name': 'other', 'for': {'team': 'tests', 'caller': 'second'},
                              'models': ['none']}]) as house:
        good = house.call(model='DEMO;words=3')
        openai = house.call(model='gpt-5')
        anthropic = house.call('/v1/messages', model='claude-opus-4-1', max_tokens=9)
        nameless = house.send('{"messages":[]}')
        several = house.call(models=['gpt-5'])
        twice = house.send('{"model":"demo","model":"gpt-5","messages":[]}')
        escaped = house.send('{"model":"demo","mod\\u0065l":"gpt-5","messages":[]}')
        cut = house.call(model='demo' + 'x' * 80)
        free = house.call('/v1/messages/count_tokens', model='claude-opus-4-1')
        reached = house.provider.truth()
        record = house.records()[1]
    error = json.loads(openai.body)['error']
    results.ok(good.status == 200 and len(reached) == 1, 'what is allowed passes', good.body)
    results.ok(openai.status == 403 and openai.field('x-should-retry') == 'false' and error['message'] ==
               "permit 'small': model 'gpt-5' is not allowed; allowed: demo*, claude-haiku-*; "
               'ask ops@example.com', 'the refusal says what is allowed', openai.body)
    results.ok(anthropic.status == 403 and
               json.loads(anthropic.body)['error']['type'] == 'permission_error',
               "in the dialect's shape", anthropic.body)
    results.ok('has to name its model' in words_of(nameless) and
               'one model only' in words_of(several) and
               'is not allowed' in words_of(cut),
               'no model, several, and one too long to compare are refused',
               nameless.body, several.body, cut.body)
    results.ok([twice.status, escaped.status] == [400, 400], 'so is one named twice',
               twice.status, escaped.status)
    results.ok(free.status == 200, 'what costs nothing is permitted', free.status)
    results.ok(record['fault'] == 'not_permitted' and record['outcome'] == 'refused',
               'refusals are recorded', record)


def features(results):
    permit = {'name': 'plain', 'max_output': 100, 'service_tiers': ['default', 'flex'],
              'paid_tools': ['web_search*']}
    function = {'type': 'function', 'function': {'name': 'f', 'parameters': {}}}
    with StrictHouse([permit]) as house:
        good = [house.call(max_tokens=100),
                house.call(max_tokens=1, service_tier='flex', tools=[function]),
                house.call(max_tokens=1, service_tier=None, web_search_options={}),
                house.call('/v1/messages', max_tokens=5, tools=[
                    {'type': 'bash_20250124', 'name': 'bash'}, {'name': 'own'},
                    {'type': 'web_search_20250305', 'name': 'web_search'}])]
        bad = {
            'does not limit it': house.call(),
            '101 output tokens are more than the 100': house.call(max_tokens=5,
                                                                  max_completion_tokens=101),
            "service tier 'priority' is not allowed": house.call(max_tokens=1,
                                                                 service_tier='priority'),
            "service tier 'fast' is not allowed": house.call(
                '/v1/messages', max_tokens=5, speed='fast', service_tier='default'),
            "tool 'code_execution_20250825' costs extra": house.call(
                '/v1/messages', max_tokens=5, tools=[{'name': 'own'}, {
                    'name': 'code', 'type': 'code_execution_20250825'}]),
            "tool 'image_generation' costs extra": house.call(
                '/v1/responses', max_output_tokens=5, input='x', messages=None,
                tools=[{'type': 'web_search'}, {'type': 'image_generation'}]),
            "tool 'code_interpreter' costs extra": house.send(
                '{"model":"demo","max_tokens":1,"messages":[],"tools":[{"type":'
                '"code_interpreter","type":"function"}]}'),
            "tool 'brand_new' costs extra": house.send(
                '{"model":"demo","max_tokens":1,"messages":[],"tools":[{"type":"brand_new"}],'
                '"tools":[]}'),
            'more tools of the provider': house.call(
                max_tokens=1, tools=[{'type': 'web_search_%d' % n} for n in range(9)]),
        }
        twice = house.send('{"model":"demo","max_tokens":1,"service_tier":"flex",'
                           '"service_tier":"priority","messages":[]}')
        reached = house.provider.truth()
    results.ok([reply.status for reply in good] == [200] * 4 and len(reached) == 4,
               'what is allowed passes, and nothing else', [reply.status for reply in good],
               len(reached))
    for words, reply in bad.items():
        results.ok(reply.status == 403 and words in words_of(reply), words, reply.body)
    results.ok(twice.status == 400, 'a service tier named twice is refused', twice.status)


def prices(results):
    with StrictHouse() as house:
        house.assay.config['providers']['openai']['unpriced'] = 'deny'
        house.assay.config['providers']['anthropic']['price_as'] = 'claude-sonnet-4-5'
        house.assay.stop()
        house.assay.write_config()
        house.assay.start()
        denied = house.call(model='nobody-knows-it')
        priced = house.call(model='gpt-4o')
        tier = house.call(model='gpt-4o', service_tier='unheard-of')
        stood_in = house.call('/v1/messages', model='nobody-knows-it', max_tokens=9)
        house.assay.config['providers']['anthropic']['price_as'] = 'nobody-knows-it-either'
        house.assay.write_config()
        try:
            house.assay.run('check')
            complaint = ''
        except RuntimeError as failure:
            complaint = str(failure)
        records = house.records()
    results.ok(denied.status == 403 and "model 'nobody-knows-it' has no price" in words_of(denied)
               and tier.status == 403 and 'in tier unheard-of' in words_of(tier),
               'unpriced: deny refuses what has no price', denied.body, tier.body)
    results.ok(priced.status == 200, 'and nothing else', priced.body)
    results.ok(stood_in.status == 200 and (records[-1]['cost_nanousd'] or 0) > 0, 'price_as gives a price', records[-1])
    results.ok("no price is known of 'nobody-knows-it-either'" in complaint,
               'assay check wants a price that there is', complaint)


def run(results):
    for case in (models, features, prices):
        case(results)
