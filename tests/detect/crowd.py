"""People and bots that are not in the traces: people with habits, teams and classes that
share prompts, and scripts of other kinds. Texts are made up of words of no language;
timing is drawn. Everything is sketched by the prototype's sketch.py."""

import hashlib
import json
import math
import random

DAY, HOUR = 86400.0, 3600.0
START = 1.772e9 - 1.772e9 % DAY
SHORT = ('continue', 'yes', 'ok', 'go on', 'fix it', 'run tests', 'commit', 'no', 'next',
         'please continue', 'do it', '1')
CHORES = ('Run the tests and fix any failures.', 'Commit and push the changes.',
          'Looks good, please go on with the next step.', 'It still fails, try again.',
          'Please also update the documentation.', 'Run the linter and fix all warnings.')
PLAN = 'Read docs/PLAN.md, pick the next unchecked item and implement it with tests.'
SLASHES = ('/review', '/test', '/commit', '/plan', '/fix')
LIBRARY = ('Review my staged changes and point out bugs, risks and missing tests.',
           'Write unit tests for %s, cover the edge cases and run them.',
           'Explain how %s works and where it is called from.',
           'Refactor %s to be simpler without changing its behaviour.',
           'Find the root cause of the failing test in %s and propose a fix.',
           'Summarize the open pull requests and what is left to review.',
           'Check %s for security problems and list them by severity.',
           'Add logging to %s so that failures can be diagnosed.')
SYLLABLES = [a + b for a in 'b d f g k l m n p r s t v z ch sh tr'.split()
             for b in 'a e i o u ar en or'.split()]


class Crowd:
    """Writes records of people (label 0) and bots (label 1)."""

    def __init__(self, sketch, out, seed):
        self.sketch, self.out, self.seed = sketch, out, seed
        self.known = {}

    def rng(self, *names):
        return random.Random('-'.join(map(str, (self.seed, *names))))

    def sketched(self, text):
        if text not in self.known:
            self.known[text] = self.sketch.sketch(text)
        return self.known[text]

    def put(self, who, family, ts, session, prompt, response, took=20.0):
        session = hashlib.blake2b(session.encode(), digest_size=5).hexdigest()
        self.out.write(json.dumps({
            'ts': round(ts, 3), 'end': round(ts + took, 3), 'identity': who,
            'session': session, 'kind': 'turn', 'model': 'm', 'agent': 'api',
            'input_tokens': 900, 'output_tokens': 300, 'text': self.sketched(prompt),
            'out_sk': self.sketch.response_sketch(response),
            'label': int(family != 'human'), 'fam': family}) + '\n')

    # -- people -------------------------------------------------------------------------

    def person(self, who, opener, mid, going_on=.75, days=12):
        """Conversations on working days; each goes on with that probability."""
        rng, number = self.rng(who, 'times'), 0
        for day in range(days):
            if day % 7 in (5, 6):
                continue
            ts = START + day * DAY + 9 * HOUR + rng.uniform(0, 2400)
            for _ in range(rng.randint(2, 7)):
                number += 1
                say = opener
                while True:
                    took = rng.lognormvariate(3.5, 1)
                    self.put(who, 'human', ts, '%s-%d' % (who, number), say(),
                             prose(rng, 60), took)
                    ts += took + max(3, rng.lognormvariate(5.2, 1.3))
                    if rng.random() > going_on:
                        break
                    say = mid
                ts += rng.lognormvariate(7, 1)

    def people(self, each):
        for number in range(each):
            for name, opener, mid in self.habits(number):
                self.person('p-%s-%d' % (name, number), opener, mid)

    def habits(self, number):
        """(name, what opens conversations, what is said within them)"""
        rng = self.rng('habits', number)

        def new():
            return prose(rng, rng.choice((6, 9, 14, 25, 60)))

        def any_of(*shares):
            def say():
                at = rng.random()
                for share, choices in shares:
                    if at < share:
                        choice = rng.choice(choices)
                        return choice() if callable(choice) else slot(rng, choice)
                    at -= share
                return new()
            return say
        few = any_of((.2, SHORT), (.1, CHORES))
        yield 'terse', new, any_of((.6, SHORT))
        yield 'chores', new, any_of((.2, CHORES), (.3, SHORT))
        yield 'plan', any_of((.35, (PLAN,))), few
        yield 'slashes', any_of((.25, SLASHES)), any_of((.4, SLASHES))
        yield 'snippets', any_of((.35, rng.sample(LIBRARY, 5))), any_of((.1, LIBRARY), (.2, SHORT))
        traces = tuple('%s:%%s: %s in %s: %%s' % (word(rng), word(rng), word(rng))
                       for _ in range(12))
        yield 'pastes', any_of((.4, traces)), any_of((.3, traces), (.2, SHORT))
        yield 'tracebacks', any_of((.5, (lambda: traceback(rng),))), \
            any_of((.4, (lambda: traceback(rng),)), (.2, SHORT))
        yield 'chinese', lambda: han(rng), lambda: rng.choice((han(rng), han(rng), '继续', '好的'))

    def team(self, size):
        """Everybody uses the team's prompts, and opens some conversations with its plan."""
        for number in range(size):
            rng = self.rng('team', number)

            def say(share, choices, rng=rng):
                return slot(rng, rng.choice(choices)) if rng.random() < share \
                    else prose(rng, rng.choice((8, 14, 30)))
            self.person('p-team-%d' % number, lambda say=say: say(.4, LIBRARY + (PLAN,)),
                        lambda say=say: say(.15, LIBRARY))

    def workshop(self, size):
        """Everybody pastes the exercises of one sheet within three hours; responses quote them."""
        rng = self.rng('sheet')
        sheet = ['Exercise %d: write a function that meets this: %s Add tests and explain '
                 'your solution step by step.' % (i, prose(rng, 30)) for i in range(10)]
        for number in range(size):
            who, rng = 'p-workshop-%d' % number, self.rng('workshop', number)
            ts = START + 100 * DAY + 9 * HOUR + rng.uniform(0, 900)
            for i, exercise in enumerate(sheet):
                ts += rng.uniform(120, 700)
                self.put(who, 'human', ts, '%s-%d' % (who, i), exercise,
                         exercise + ' ' + prose(rng, 60))
                for _ in range(rng.choice((0, 1, 1, 2, 4))):
                    ts += rng.lognormvariate(4.5, .8)
                    self.put(who, 'human', ts, '%s-%d' % (who, i), rng.choice(
                        (exercise, rng.choice(SHORT), prose(rng, 9), prose(rng, 15))),
                        prose(rng, 60))

    # -- bots ---------------------------------------------------------------------------

    def bots(self, each):
        for number in range(each):
            for family, say in self.scripts(number).items():
                who, rng = 'b-%s-%d' % (family, number), self.rng(family, number)
                ts, last = START + rng.uniform(0, 20) * DAY, ''
                for turn in range(90):
                    ts = self.next_time(rng, family, ts)
                    prompt = say(turn, last)
                    last = prose(rng, rng.randint(60, 150))
                    self.put(who, family, ts, '%s-%d' % (who, turn), prompt, last)

    @staticmethod
    def next_time(rng, family, ts):
        """Office hours; `cron_office` every ten minutes, give or take."""
        ts += rng.uniform(420, 780) if family == 'cron_office' else rng.lognormvariate(6, 1.2)
        if ts % DAY > 18 * HOUR:
            ts += DAY - ts % DAY + 9 * HOUR + rng.uniform(0, 1800)
        while ts // DAY % 7 in (2, 3):  # day 0 was a Thursday
            ts += DAY
        return ts

    def scripts(self, number):
        """Family: what the bot says at its n-th turn, after the response before."""
        rng = self.rng('scripts', number)
        history = [prose(rng, rng.choice((6, 9, 14, 25))) for _ in range(40)]
        chores = [slot(rng, text) for text in rng.sample(LIBRARY, 5)]
        files = ['src/%s/%s.py' % (word(rng), word(rng)) for _ in range(200)]
        return {
            'translate': lambda n, last: 'Translate this into German: ' + prose(rng, 25),
            'summarize': lambda n, last: prose(rng, 120) + ' Summarize this in one sentence.',
            'arithmetic': lambda n, last: 'What is %d times %d? Show every step.' % (
                rng.randrange(10 ** 6), rng.randrange(10 ** 6)),
            'files': lambda n, last: 'Explain the file %s line by line.' % files[n],
            'history': lambda n, last: rng.choice(history),
            'chain': lambda n, last: 'Improve this: ' + last if last else PLAN,
            'cron_office': lambda n, last: rng.choice(chores),
            'stories': lambda n, last: 'Write a %s story about a %s %s who wants to %s a %s.' % (
                word(rng), word(rng), word(rng), word(rng), word(rng)),
            'fresh': lambda n, last: prose(rng, rng.choice((6, 9, 14, 25))),
        }


def word(rng):
    return ''.join(rng.choices(SYLLABLES, k=rng.choice((1, 2, 2, 3))))


def prose(rng, words):
    return ' '.join(word(rng) for _ in range(words)) + '.'


def slot(rng, text):
    return text % tuple(word(rng) + '_' + word(rng) for _ in range(text.count('%s')))


def traceback(rng):
    return 'fix this error:\n%s\n%sError: %s' % ('\n'.join(
        '  File "/app/%s.py", line %d, in %s\n    %s' % (
            word(rng), rng.randrange(900), word(rng), prose(rng, 5))
        for _ in range(rng.randint(3, 9))), rng.choice(('Type', 'Key', 'Value')), prose(rng, 6))


def han(rng):
    return ''.join(chr(rng.randrange(0x4e00, 0x5800)) for _ in range(
        round(rng.lognormvariate(math.log(25), .6)) + 4)) + '。'
