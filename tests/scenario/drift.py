"""Providers' counts beside assay's own: one that overbills shows in the metric and in the
report; what it says of a model whose tokenizer is not public makes estimates good."""

import json

from proxy import wait_for
from scripted import Scripted, sse

TEXT = ('A meter that is read by the one who sends the bill is worth little. So what was said '
        'is counted once more, by somebody who gains nothing from it. ') * 3
TOKENS = 100 # of TEXT, by the reference tokenizer of gpt-4o
CALLS = 6


def chat(model, tokens):
    return {'id': 'x', 'model': model, 'choices': [
        {'message': {'content': TEXT}, 'finish_reason': 'stop'}],
        'usage': {'prompt_tokens': 9, 'completion_tokens': tokens,
                  'total_tokens': 9 + tokens}}


def stream_of(tokens):
    start = {'type': 'message_start', 'message': {
        'model': 'claude-x', 'usage': {'input_tokens': 9, 'output_tokens': 1}}}
    words = [{'type': 'content_block_delta', 'index': 0, 'delta': {
        'type': 'text_delta', 'text': word + ' '}} for word in TEXT.strip().split(' ')]
    end = [{'type': 'message_delta', 'delta': {'stop_reason': 'end_turn'},
            'usage': {'output_tokens': tokens}}, {'type': 'message_stop'}]
    return start, words, end


async def answer(request, reply):
    """Bills as the model's name says; streams end without a report if asked to."""
    body = json.loads(request.body)
    bill = int(TOKENS * float(body.get('factor', 1)))
    if not body.get('stream'):
        await reply.whole(200, [('content-type', 'application/json')],
                          json.dumps(chat(body['model'], bill)).encode())
        return
    start, words, end = stream_of(bill)
    await reply.start(200, [('content-type', 'text/event-stream')])
    await reply.piece(sse(start, *words))
    if body.get('cut'):
        reply.abort()
    else:
        await reply.piece(sse(*end))
        await reply.finish()


def warm_up(house, target, body):
    """Call until it is counted: the tables are loaded behind the first answer."""
    wait_for(lambda: house.record(house.post(target, body))['local_output'])


def rows(house):
    return {row['model']: row for row in json.loads(
        house.assay.run('report', '--audit', '--format', 'json'))['audit']}


def overbilling(results):
    with Scripted(answer, ('openai', 'anthropic')) as house:
        warm_up(house, '/openai/v1/chat/completions', {'model': 'gpt-4', 'messages': []})
        warm_up(house, '/openai/v1/chat/completions', {'model': 'gpt-5', 'messages': []})
        for factor, model in ((1, 'gpt-4o'), (1.5, 'gpt-4o-mini'), (0.5, 'gpt-4.1')):
            for _ in range(CALLS):
                response = house.post('/openai/v1/chat/completions', {
                    'model': model, 'messages': [], 'factor': factor})
            record = house.record(response)
            results.ok(record['local_output'] == TOKENS and
                       record['tokens']['output'] == int(TOKENS * factor),
                       '%s: %s reported, %s counted' % (
                           model, record['tokens']['output'], record['local_output']))
        drift, metrics = rows(house), house.metrics()
        for model, ratio in (('gpt-4o', 1), ('gpt-4o-mini', 1.5), ('gpt-4.1', 0.5)):
            name = 'assay_count_drift_ratio{provider="openai",model="%s"}' % model
            results.ok(abs(drift[model]['drift_ratio'] - ratio) < 0.002 and
                       drift[model]['calls'] == CALLS and
                       abs(metrics.get(name, 0) - ratio) < 0.002,
                       '%s: the drift shows in the report and the metric' % model,
                       drift[model], metrics.get(name))
        told = house.assay.run('report', '--audit')
        results.ok('+50.0%' in told and '-50.0%' in told, 'and to people', told)
        results.ok(not drift['gpt-4o']['calibrated'] and
                   drift['gpt-4o']['estimate_error_ratio'] < 0.002 and
                   abs(drift['gpt-4.1']['estimate_error_ratio'] - 1) < 0.01,
                   'what a public tokenizer counts is not calibrated away', drift['gpt-4.1'])


def calibration(results):
    """A model that finds 1.9 tokens where o200k_base has one."""
    true = int(TOKENS * 1.9)
    with Scripted(answer, ('anthropic',)) as house:
        def ask(**more):
            return house.record(house.post('/anthropic/v1/messages', {
                'model': 'claude-x', 'max_tokens': 999, 'messages': [], 'stream': True,
                'factor': 1.9, **more}))

        def load_tables():
            ask(model='claude-of-another-kind')
            house.assay.wait_for_tables()
        load_tables()
        before = ask(cut=True)
        for _ in range(CALLS):
            ask()
        after = ask(cut=True)
        drift = rows(house)['claude-x']
        results.ok(drift['calibrated'] and drift['drift_ratio'] > 1.2 and
                   drift['apart_ratio'] > 0.2 and drift['estimate_error_ratio'] < 0.05,
                   'the report says how far calibrated estimates are off', drift)
        house.assay.stop()
        house.assay.start()
        load_tables()
        later = ask(cut=True)
        off = [abs(record['tokens']['output'] - true) / true
               for record in (before, after, later)]
        results.ok(off[0] > 0.2 and off[1] < 0.05 and off[2] < 0.05 and
                   {record['usage_source'] for record in (before, after, later)} ==
                   {'partial'} and after['tokens']['input'] == 9,
                   'estimates learn from reports, and remember after a restart', off)


def run(results):
    overbilling(results)
    calibration(results)
