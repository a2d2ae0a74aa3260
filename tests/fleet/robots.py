"""Bots of every family in ../shared/traces/prototype/bots.py, with texts instead of sketches."""

import importlib
import os
import random
import sys

import clients
import texts

AGENTIC = ('agentic', 'llm_para_realgaps', 'promptbank')


class Text(dict):
    """What the prototype takes for a sketch."""

    def __init__(self, text):
        super().__init__(h=text, len=len(text), hs=[], bk=[], tmpl='', sim='', bow=None)
        self['said'] = text


def load(traces):
    """The prototype's families, made to speak."""
    sys.path.insert(0, os.path.join(traces, 'prototype'))
    sys.modules.pop('bots', None)
    try:
        prototype = importlib.import_module('bots')
    finally:
        sys.path.pop(0)
    prototype.sk = Text

    class Bot(prototype.Bot):
        def rewritten(self):
            return Text(texts.prose(self.rng, self.rng.randint(60, 260)))

        def echoed(self, response, keep):
            return Text(response[:int(len(response) * keep)])

    prototype.Bot = Bot
    donors = prototype.load_donors()
    rng = random.Random('responses')
    donors.responses = [texts.answer(rng) for _ in range(4000)]
    donors.turns = [Text(texts.prose(rng, rng.randint(20, 400))) for _ in range(4000)]
    return prototype, donors


def records_of(prototype, donors, family, number, turns):
    bot = prototype.Bot(family, number, donors, 'fleet')
    bot.n = min(bot.n, turns)
    records = prototype.FAMILIES[family](bot)
    return bot.identity, sorted(records, key=lambda record: record['ts'])


def play(plan, identity, key, dialect, records, family, calls):
    """`calls`: behind a turn of an agent's."""
    facts = {'label': 1, 'fam': family}
    shape = clients.Agent if family.startswith(AGENTIC) else clients.Script
    bot = shape(plan, identity, key, dialect, facts, 'bots')
    person = clients.AGENTS[dialect](plan, identity, key, dialect, {'label': 0, 'fam': family},
                                     'bots')
    prompts = texts.Prompts(identity)
    left = {}
    for place, record in enumerate(records):
        client = bot if record['label'] else person
        session, ts, end = record['session'], record['ts'], record['end']
        if record['kind'] == 'turn':
            left[session] = calls
            said = record['text'].get('said') or prompts.text(record['text'])
            reply = record['out_sk'] if isinstance(record['out_sk'], str) else None
            client.turn(session, ts, end, said, goes_on=goes_on(records, place, left[session]),
                        reply=reply)
        elif left.get(session, 0) > 0:
            left[session] -= 1
            client.go_on(session, ts, end, goes_on(records, place, left[session]))


def goes_on(records, place, left):
    """Does a continuation follow in this conversation, before the next turn?"""
    session = records[place]['session']
    for record in records[place + 1:place + 60]:
        if record['session'] == session:
            return record['kind'] == 'cont' and left > 0
    return False
