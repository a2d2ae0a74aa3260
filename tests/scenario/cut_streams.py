"""Recorded streams cut after every event: what the provider had said by then stands in the
record, what it had not is estimated and called so, and a drained stream is exact. And how far
estimates are off, over all recordings."""

import asyncio
import os
import re
import statistics
import struct
import sys

import http1
from proxy import PATIENCE, Assay

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden'))

import corpus  # noqa: E402

APIS = ('openai.chat', 'openai.responses', 'anthropic.messages', 'gemini.generate',
        'bedrock.converse')
EVENTS = range(4, 40)  # of a stream that is cut after every one
EACH = 3               # streams of each API
AT_ONCE = 24
LATE = 2               # events that are sent to a client that has left
FILLERS = 10           # bytes behind them: fewer than the head of an event has
SHOWN = 12
MEDIAN, SUM, NINE_OF_TEN = 0.05, 0.05, 0.25  # how far estimates may be off
SMALL = 20             # tokens: below, one token more or less is too much of a difference


def events_of(case):
    """The body, event by event; nothing if it is encoded."""
    body = case.response_body
    if any(name.lower() == 'content-encoding' for name, _ in case.response_fields):
        return []
    if case.api.startswith('bedrock'):
        events = []
        while len(body) >= 16:
            size = struct.unpack('>I', body[:4])[0]
            events.append(body[:size])
            body = body[size:]
        return events
    return [block for block in re.split(rb'(?<=\n\n)|(?<=\r\n\r\n)', body) if block]


def reports(case, event):
    """Does this event say how much was generated?"""
    if case.api == 'anthropic.messages':
        return b'"message_delta"' in event
    if case.api == 'gemini.generate':
        return b'"candidatesTokenCount"' in event
    if case.api == 'openai.responses':
        return b'"type":"response.completed"' in event or b'response.incomplete' in event
    return re.search(rb'"usage" ?: ?\{', event) is not None


class Cases:
    """The streams, and a provider that plays them as the request says."""

    def __init__(self):
        self.cases = {}
        self.events = {}
        for case in corpus.load():
            if case.api in APIS and case.stream and case.status == 200 and \
                    case.expected['output_total']:
                events = events_of(case)
                if len(events) > 2:
                    self.cases[case.id] = case
                    self.events[case.id] = events

    async def handle(self, request, reply):
        case_id, count, then = request.field('x-cut').split(';')
        case, events, count = self.cases[case_id], self.events[case_id], int(count)
        await reply.start(case.status, case.response_fields)
        for event in events[:count]:
            await reply.piece(event)
        if then == 'die':
            reply.abort()
        elif then == 'hang':
            # That its client has left shows when more is sent to it.
            for event in events[count:count + LATE]:
                await asyncio.sleep(0.05)
                await reply.piece(event)
            # An assay that got all of this at once has written once. Nor is this an event.
            filler = b'\0' if case.api.startswith('bedrock') else b' '
            for _ in range(FILLERS):
                await asyncio.sleep(1)
                await reply.piece(filler)
            await asyncio.sleep(2 * PATIENCE)
        else:
            await asyncio.sleep(0.02)
            for event in events[count:]:
                await reply.piece(event)
            await reply.finish()

    def told(self, case, count):
        """How many of the bytes the client has after so many events."""
        return sum(len(event) for event in self.events[case.id][:count])


async def play(assay, cases, case, count, then):
    """Cut it; the exchange's id."""
    client = http1.Client(assay.port)
    fields = [('host', 'h'), ('authorization', 'Bearer ' + assay.key),
              ('content-type', 'application/json'),
              ('x-cut', '%s;%d;%s' % (case.id, count, then)),
              ('content-length', str(len(case.request_body)))]
    await client.send('POST', '/' + case.provider + case.path, fields, case.request_body)
    if then == 'die':
        response = await client.receive('POST')
        client.close()
        return response.field('assay-exchange-id')
    _, fields = await http1.read_head(client.reader)
    wanted, got = cases.told(case, count), 0
    while got < wanted:  # framing only adds to it
        more = await client.reader.read(65536)
        if not more:
            raise http1.Truncated()
        got += len(more)
    client.writer.transport.abort()
    return http1.field(fields, 'assay-exchange-id')


async def play_all(assay, cases, plays):
    """{exchange id: play}"""
    done, queue = {}, iter(plays)

    async def worker():
        for one in queue:
            done[await asyncio.wait_for(play(assay, cases, *one), PATIENCE)] = one
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return done


def on_policy(cases, policy, plays):
    """The records of all plays, as [(play, record)]."""
    async def run():
        server = await http1.Server(cases.handle).start()
        common = {'url': 'http://127.0.0.1:%d' % server.port, 'inject_usage': 'off',
                  'credential': 'env:UPSTREAM_KEY', 'on_client_abort': policy}
        with Assay({name: {**common, 'dialects': dialects}
                    for name, dialects in corpus.PROVIDERS.items()}) as assay:
            await play(assay, cases, *plays[0])
            await asyncio.to_thread(assay.wait_for_tables)
            done = await play_all(assay, cases, plays)
            await asyncio.to_thread(assay.wait_until_idle)
            records = {record['id']: record for record in await asyncio.to_thread(
                assay.export_all, list(done))}
        await server.close()
        return [(one, records.get(exchange_id)) for exchange_id, one in done.items()]
    return asyncio.run(run())


def total(record, *names):
    known = [record['tokens'][name] for name in names if record['tokens'][name] is not None]
    return sum(known) if known else None


def output(record):
    return total(record, 'output', 'reasoning')


def some_cases(cases):
    chosen = []
    for api in APIS:
        fit = [case for case in cases.cases.values() if case.api == api and
               len(cases.events[case.id]) in EVENTS]
        chosen += fit[::max(1, len(fit) // EACH)][:EACH]
    return chosen


def everywhere(cases, then, left=0):
    """At every event but the last ones."""
    return [(case, count, then) for case in some_cases(cases)
            for count in range(1, len(cases.events[case.id]) + 1 - left)]


def complaint(one, record, outcome):
    case, count, _ = one
    name = '%s %s after %d' % (case.api, case.id, count)
    if record is None:
        return name + ': no record'
    if record['outcome'] != outcome and record['outcome'] != 'complete':
        return '%s: %s' % (name, record['outcome'])
    if record['usage_source'] == 'none':
        return name + ': nothing is known'
    return None


def known_at_the_cut(results, cases, then, policy, outcome):
    """Never exact before the end, never more than there was, and input as it was told."""
    complaints = []
    found = on_policy(cases, policy, everywhere(cases, then, LATE if then == 'hang' else 0))
    for one, record in found:
        case, count, _ = one
        wrong = complaint(one, record, outcome)
        seen = count + (LATE if then == 'hang' else 0)
        told = any(reports(case, event) for event in cases.events[case.id][:seen])
        name = '%s %s after %d of %d' % (case.api, case.id, count,
                                         len(cases.events[case.id]))
        if wrong is None and not told and record['usage_source'] == 'reported':
            wrong = name + ': is called reported'
        if wrong is None and case.api == 'anthropic.messages' and \
                total(record, 'input', 'cache_read', 'cache_write') != \
                case.expected['input_total'] and \
                'input_changes_in_delta' not in case.flags:
            wrong = '%s: input %s' % (name, record['tokens'])
        complaints += [wrong] if wrong else []
    results.ok(found and not complaints, '%d cuts after every event, %s' % (
        len(found), {'die': 'by the provider', 'hang': 'by the client'}[then]),
        *complaints[:SHOWN])


def drained(results, cases):
    complaints = []
    found = on_policy(cases, 'drain', everywhere(cases, 'go on', 1))
    for one, record in found:
        case = one[0]
        wrong = complaint(one, record, 'client_abort')
        if wrong is None and (record['usage_source'] != 'reported' or
                              output(record) != case.expected['output_total'] or total(
                                  record, 'input', 'cache_read', 'cache_write') !=
                              case.expected['input_total']):
            wrong = '%s %s after %d: %s %s' % (case.api, case.id, one[1],
                                               record['usage_source'], record['tokens'])
        complaints += [wrong] if wrong else []
    results.ok(found and not complaints, '%d drained streams are exact' % len(found),
               *complaints[:SHOWN])


# Of what a provider's own tools were asked, little is shown.
HOSTED = re.compile(rb'"(web|file|tool)_search_call"|"server_tool_use"|"mcp_call"|'
                    rb'"server_tool_use_details": ?\{"|"code_interpreter_call"')


# Models that show all they think, in chats that do.
OPEN = re.compile('deepseek|qwen|glm|kimi|gpt-oss|mimo', re.I)
THOUGHT = re.compile(rb'"reasoning(_content)?":"[^"]')


def thinks_openly(case):
    return case.api == 'openai.chat' and OPEN.search(case.expected['model'] or '') and \
        THOUGHT.search(case.response_body) and 'midstream_error' not in case.flags and \
        not HOSTED.search(case.response_body)


def visible(case):
    """Did the stream show all that was generated? What was only thought, or spoken, or the
    marks of citations, nobody saw; some models of Bedrock think without saying how much."""
    return not case.expected['reasoning'] and b'citations_delta' not in case.response_body and \
        not HOSTED.search(case.response_body) and \
        not case.flags & {'thinking', 'midstream_error'} and \
        b'audio' not in case.request_body and not (
            case.api.startswith('bedrock') and 'claude-sonnet-5' in case.path)


def estimates(results, cases):
    """Cut before the report: all text was seen, so the estimate should be near it."""
    plays = []
    for case in cases.cases.values():
        events = cases.events[case.id]
        count = next((at for at, event in enumerate(events) if reports(case, event)), 0)
        if count > 0 and case.api != 'gemini.generate' and \
                (visible(case) or thinks_openly(case)):
            plays.append((case, count, 'die'))
    off = {}
    for (case, _, _), record in on_policy(cases, 'drain', plays):
        got = output(record) if record else None
        kind = case.api + ', thinking openly' * bool(thinks_openly(case))
        off.setdefault(kind, []).append((got or 0, case.expected['output_total'], case.id))
    for api, pairs in sorted(off.items()):
        errors = sorted(abs(got - wanted) / wanted for got, wanted, _ in pairs
                        if wanted >= SMALL)
        sums = sum(got for got, _, _ in pairs) / sum(wanted for _, wanted, _ in pairs) - 1
        worst = sorted(pairs, key=lambda pair: -abs(pair[0] - pair[1]))[:3]
        median, high = statistics.median(errors), errors[int(len(errors) * 0.9)]
        results.ok(median <= MEDIAN and abs(sums) <= SUM and high <= NINE_OF_TEN,
                   '%s: estimates of %d cut streams' % (api, len(pairs)), worst)
        near = sum(error <= 0.05 for error in errors) / len(errors)
        results.note('%s: sum %+.1f %%; of %d with %d tokens or more: median %.1f %%, nine '
                     'of ten within %.1f %%, %.0f %% within 5 %%' % (
                         api, 100 * sums, len(errors), SMALL, 100 * median, 100 * high,
                         100 * near))


def run(results):
    if not corpus.available():
        results.note('../shared/corpus is absent: no streams are cut')
        return
    cases = Cases()
    known_at_the_cut(results, cases, 'die', 'drain', 'upstream_cut')
    known_at_the_cut(results, cases, 'hang', 'cancel', 'client_abort')
    drained(results, cases)
    estimates(results, cases)
