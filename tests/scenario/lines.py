"""Tokens beside and within a call's main usage: lines of the same record, each billed at its
own model, and counted once by the ledger, the metrics, the reports and the quotas."""

import json

from scripted import Scripted, answering, sse

PRICES = {'gpt-5': (1, 10), 'gpt-image-1': {'input': 2, 'output': 20, 'output_image': 40},
          'draw-1': (3, 30), 'claude-a': (1, 5), 'claude-b': (10, 50),
          'llama-a': (0.5, 1), 'llama-b': (2, 4)}


def tokens(line):
    return {name: count for name, count in line['tokens'].items() if count}


def told(record):
    """The lines as (kind, model, within, tokens, cost)."""
    return [(line['kind'], line['model'], line['within'], tokens(line), line['cost_nanousd'])
            for line in record['lines']]


def response_with_tools(count):
    usage = {'input_tokens': 100, 'output_tokens': 10, 'total_tokens': 110}
    return {'id': 'resp_%d' % count, 'object': 'response', 'status': 'completed',
            'model': 'gpt-5', 'tools': [{'type': 'web_search'}, {
                'type': 'image_generation', 'model': 'gpt-image-1'}],
            'output': [
                {'type': 'image_generation_call', 'svg_usage': {
                    'model': 'draw-1', 'input_tokens': 5, 'output_tokens': 9,
                    'reasoning_tokens': 4, 'total_tokens': 14}},
                {'type': 'image_generation_call', 'svg_usage': {
                    'model': 'draw-1', 'input_tokens': 1, 'output_tokens': 1,
                    'reasoning_tokens': 0, 'total_tokens': 2}}],
            'tool_usage': {'image_gen': {
                'input_tokens': 20, 'output_tokens': 1000, 'total_tokens': 1020,
                'input_tokens_details': {'text_tokens': 20, 'image_tokens': 0}},
                'web_search': {'num_requests': 2}}, 'usage': usage}


def openai_tools(results):
    whole = response_with_tools(1)
    stream = sse({'type': 'response.created', 'response': {**whole, 'usage': None}},
                 {'type': 'response.output_item.done', 'item': whole['output'][0]},
                 {'type': 'response.completed', 'response': whole})
    decoy = {**whole, 'output': [], 'tool_usage': {'image_gen': {
        'input_tokens': 0, 'output_tokens': 0, 'total_tokens': 0}}}
    wanted = [('svg', 'draw-1', False, {'input': 6, 'output': 6, 'reasoning': 4}, 318000),
              ('image_tool', 'gpt-image-1', False, {'input': 20, 'output': 1000}, 40040000)]
    for name, answer, lines in (('whole', whole, wanted), ('streamed', stream, wanted),
                                ('without use', decoy, [])):
        with Scripted(answering({'/responses': answer}), prices=PRICES, settings={
                'quotas': [{'name': 'all', 'limit': '1M tokens', 'per': 'day'}]}) as house:
            record = house.record(house.post('/openai/v1/responses', {
                'model': 'gpt-5', 'input': 'draw', 'stream': name == 'streamed'}))
            used = 110 + (1020 + 16 if lines else 0)
            cost = 200000 + sum(line[4] for line in lines)
            metrics = {key: value for key, value in house.metrics().items()
                       if key.startswith('assay_tokens_total') and value}
            report = json.loads(house.assay.run('report', '--by', 'model', '--format', 'json'))
            sums = {row['model']: row['cost_nanousd'] for row in report['rows']}
            results.ok(
                sorted(told(record)) == sorted(lines) and record['cost_nanousd'] == cost and
                tokens(record) == {'input': 100, 'output': 10} and
                sum(metrics.values()) == used and house.quota('all') == used and
                sums == {'gpt-5': 200000, **{line[1]: line[4] for line in lines}},
                'tools of a response, %s: lines at their own models' % name,
                told(record), record['cost_nanousd'], metrics, house.quota('all'), sums)


def claude(usage):
    return {'type': 'message', 'id': 'msg_1', 'model': 'claude-a', 'content': [],
            'stop_reason': 'end_turn', 'usage': usage}


def iteration(kind, tokens_in, tokens_out, **more):
    return {'type': kind, 'input_tokens': tokens_in, 'output_tokens': tokens_out,
            'cache_read_input_tokens': 0, 'cache_creation_input_tokens': 0, **more}


def anthropic_iterations(results):
    helped = {'input_tokens': 30, 'output_tokens': 8, 'iterations': [
        iteration('message', 10, 5), iteration('advisor_message', 7, 2, model='claude-b'),
        iteration('compaction', 100, 20, cache_read_input_tokens=50),
        iteration('message', 20, 3), iteration('advisor_message', 1, 1, model='claude-b')]}
    fell = {'input_tokens': 10, 'output_tokens': 6, 'iterations': [
        iteration('message', 10, 0, model='claude-c'),
        iteration('message', 10, 4, model='claude-b'),
        iteration('fallback_message', 10, 6, model='claude-a')]}
    started = {'input_tokens': 10, 'output_tokens': 1, 'iterations': [
        iteration('compaction', 100, 20, cache_read_input_tokens=50)]}
    stream = sse({'type': 'message_start', 'message': claude(started)},
                 {'type': 'message_delta', 'delta': {'stop_reason': 'end_turn'},
                  'usage': helped}, {'type': 'message_stop'})
    advised = [('advisor', 'claude-b', False, {'input': 8, 'output': 3}, 230000),
               ('compaction', 'claude-a', False,
                {'input': 100, 'cache_read': 50, 'output': 20}, 250000)]
    cases = (('helpers', claude(helped), advised, (30, 8)), ('helpers, streamed', stream,
             advised, (30, 8)), ('a fallback', claude(fell),
             [('fallback', 'claude-b', False, {'input': 10, 'output': 4}, 300000)], (10, 6)))
    for name, answer, lines, main in cases:
        with Scripted(answering({'/messages': answer}), ('anthropic',),
                      prices=PRICES) as house:
            record = house.record(house.post('/anthropic/v1/messages', {
                'model': 'claude-a', 'max_tokens': 9, 'messages': [],
                'stream': isinstance(answer, bytes)}))
            results.ok(told(record) == lines and
                       tokens(record) == {'input': main[0], 'output': main[1]} and
                       record['cost_nanousd'] == main[0] * 1000 + main[1] * 5000 + sum(
                           line[4] for line in lines),
                       'iterations of a message, %s' % name, told(record), tokens(record),
                       record['cost_nanousd'])


def part(model, tokens_in, tokens_out):
    return {'model': model, 'usage': {'prompt_tokens': tokens_in, 'queue_time': 0.1,
                                      'completion_tokens': tokens_out,
                                      'total_tokens': tokens_in + tokens_out}}


def compound(results):
    parts = {'models': [part('llama-a', 30, 4), part('llama-b', 10, 2)]}
    usage = {'prompt_tokens': 40, 'completion_tokens': 6, 'total_tokens': 46}
    whole = {'id': 'x', 'model': 'groq/compound', 'choices': [
        {'message': {'content': 'hi'}, 'finish_reason': 'stop'}], 'usage': usage,
        'usage_breakdown': parts}
    stream = sse({'model': 'groq/compound', 'choices': [{'delta': {'content': 'hi'}}]},
                 {'model': 'groq/compound', 'choices': [{'delta': {}, 'finish_reason': 'stop'}],
                  'x_groq': {'usage': usage, 'usage_breakdown': parts},
                  'usage_breakdown': parts},
                 {'choices': [], 'usage': usage, 'usage_breakdown': parts}, '[DONE]')
    wanted = [('sub_model', 'llama-a', True, {'input': 30, 'output': 4}, 19000),
              ('sub_model', 'llama-b', True, {'input': 10, 'output': 2}, 28000)]
    for name, answer in (('whole', whole), ('streamed', stream)):
        with Scripted(answering({'/completions': answer}), prices=PRICES, settings={
                'quotas': [{'name': 'all', 'limit': '1M tokens', 'per': 'day'}]}) as house:
            record = house.record(house.post('/openai/v1/chat/completions', {
                'model': 'groq/compound', 'messages': [], 'stream': isinstance(answer, bytes),
                'stream_options': {'include_usage': True}}))
            report = json.loads(house.assay.run('report', '--by', 'model', '--format', 'json'))
            sums = {row['model']: row['tokens']['total'] for row in report['rows']
                    if row['tokens']['total']}
            results.ok(told(record) == wanted and record['cost_nanousd'] == 47000 and
                       record['priced'] and house.quota('all') == 46 and
                       sums == {'llama-a': 34, 'llama-b': 12},
                       'models of a compound system, %s: parts, counted once' % name,
                       told(record), record['cost_nanousd'], house.quota('all'), sums)


def run(results):
    openai_tools(results)
    anthropic_iterations(results)
    compound(results)
