"""People at work: when they speak and how their conversations go is taken from the traces of
real people in ../shared/traces; what they say is made up."""

import json
import os
from collections import defaultdict

import clients
import texts

DIALECTS = ('anthropic', 'responses', 'chat', 'gemini')


def load(traces):
    streams = defaultdict(list)
    with open(os.path.join(traces, 'dev', 'human_agents.jsonl'), encoding='utf-8') as file:
        for line in file:
            record = json.loads(line)
            streams[record['identity']].append(record)
    for records in streams.values():
        records.sort(key=lambda record: record['ts'])
    return streams


def jobs(records):
    """Turns, each with the calls that followed it in its conversation."""
    current, out = {}, []
    for record in records:
        if record['kind'] == 'turn':
            current[record['session']] = (record, [])
            out.append(current[record['session']])
        elif record['session'] in current:
            current[record['session']][1].append(record)
    return out


def shorten(calls, most):
    """The first calls and the last one: the rhythm of turns stays."""
    return calls if len(calls) <= most else calls[:most - 1] + calls[-1:]


def play(plan, identity, key, dialect, records, size):
    """`size`: how many turns, and how many calls behind a turn."""
    client = clients.AGENTS[dialect](plan, identity, key, dialect, {'label': 0, 'fam': 'human'},
                                     'people')
    prompts = texts.Prompts(identity)
    for turn, calls in jobs(records)[:size.turns]:
        calls = shorten(calls, size.calls)
        client.turn(turn['session'], turn['ts'], turn['end'], prompts.text(turn['text']),
                    goes_on=bool(calls), retry=bool(turn.get('retry')))
        for number, call in enumerate(calls):
            client.go_on(turn['session'], call['ts'], call['end'], number + 1 < len(calls))
