"""Detection through the running proxy: a bot is flagged end to end and a person is not, the
evidence is printed, a restart and kill -9 keep it, an export replays to the same alarms."""

import asyncio
import json
import os
import random
import resource
import signal
import subprocess
import tempfile
import time

from proxy import COMMAND, wait_for
from quotas import House
from receiver import Receiver
from webhooks import HookedHouse, hook

TURNS = 18
PAUSES = (0, .5, 1, 3, 9)  # seconds until what was found holds for calls, on a slow machine
BOT = 'Summarise ticket number %d in one sentence and rate its urgency from 1 to 5'
FLOOD = 700
BURST, A_SECOND = 256, 17  # calls of one caller that detection reads: 16, and one in 256
LETTERS = 'abcdefghijklmnopqrstuvwxyz'


def fresh(rng):
    """A prompt that nobody sent before."""
    return ' '.join(''.join(rng.choices(LETTERS, k=rng.randrange(2, 9)))
                    for _ in range(rng.choice((5, 12, 30, 70))))


def grade(house, caller):
    """The grade in the latest exchange of a caller."""
    grades = [(record['id'], record['grade']) for record in house.records()
              if record['caller'] == caller]
    return max(grades)[1] if grades else None


def findings(house, path='/v1/findings'):
    return json.loads(house.assay.admin(path))['findings']


def await_findings(house, count=1):
    wait_for(lambda: len(findings(house)) >= count)
    return findings(house)


def grade_of_next(house, bot, rng, wanted):
    """The grade of the bot's next call. It is looked at behind the calls: a later one has it."""
    for pause in PAUSES:
        time.sleep(pause)
        call_of(house, bot, 0, rng)
        if grade(house, 'second') == wanted:
            break
    return grade(house, 'second')


def path_of(number):
    return ('/v1/chat/completions', '/v1/messages')[number % 2]


def call_of(house, bot, number, rng):
    house.call(path_of(number), key=bot, max_tokens=50, messages=[
        {'role': 'user', 'content': BOT % rng.randrange(1000)}])


def work(house, bot, person, turns, rng):
    """The bot works, the person now and then, in both dialects."""
    for i in range(turns):
        call_of(house, bot, i, rng)
        if i % 2 == 0:  # its haste looks automated, too, in the long run
            house.call(path_of(i), key=person, max_tokens=50, messages=[
                {'role': 'user', 'content': fresh(rng)}])


def me(house, key):
    done = subprocess.run(['curl', '-s', '-H', 'Authorization: Bearer ' + key,
                           'http://127.0.0.1:%d/v1/me' % house.assay.admin_port],
                          capture_output=True, text=True, check=True)
    return done.stdout


def await_calls(house):
    """Until all calls were looked at."""
    wait_for(lambda: house.assay.run('export', '--turns').count('\n') == len(house.ids))


def replayed(house, folder):
    """The alarms of an export of what was seen live, once that is all calls."""
    path = os.path.join(folder, 'turns.jsonl')
    await_calls(house)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(house.assay.run('export', '--turns'))
    done = subprocess.run([*COMMAND, 'replay', path], capture_output=True, text=True,
                          check=True)
    with open(path, encoding='utf-8') as file:
        return ([json.loads(line) for line in file],
                [json.loads(line) for line in done.stdout.splitlines()])


def end_to_end(results):
    rng = random.Random(4)
    with Receiver() as receiver, HookedHouse(
            [], webhooks={'ops': hook(receiver, events=['finding.new'])},
            detection={'mode': 'on'}) as house:
        bot, person = house.assay.add_key('second'), house.assay.key
        house.assay.wait_for_key(bot)
        work(house, bot, person, TURNS, rng)
        found = await_findings(house)
        results.ok(len(found) == 1 and found[0]['caller'] == 'second' and
                   found[0]['says'] == 'automated-looking' and not found[0]['shadow'],
                   'the bot is found, the person is not', found)
        await_calls(house)
        work(house, bot, person, 1, rng)
        graded = grade_of_next(house, bot, rng, 'flagged')
        results.ok(graded == 'flagged' and grade(house, 'tester') in ('clear', 'watch'),
                   'later exchanges have the grades', graded, grade(house, 'tester'))
        metrics = house.assay.admin('/metrics')
        results.ok('grade="flagged"' in metrics, 'and so have the token counters')
        news = receiver.messages(1)
        results.ok([(one['type'], one['data']['caller']) for one in news] ==
                   [('finding.new', 'second')], 'a webhook tells of it, once', news)
        report = json.loads(house.assay.run('report', '--adjusted', '--by', 'caller',
                                            '--format', 'json'))
        rows = {row['caller']: row for row in report['rows']}
        results.ok(rows['tester']['flagged_tokens'] == 0 and
                   0 < rows['second']['flagged_tokens'] < rows['second']['tokens'] and
                   rows['second']['net_tokens'] + rows['second']['flagged_tokens'] ==
                   rows['second']['tokens'] and
                   report['total']['flagged_cost_nanousd'] ==
                   rows['second']['flagged_cost_nanousd'],
                   'the adjusted report leaves flagged calls out', report)
        shown = house.assay.run('evidence', '--caller', 'second')
        results.ok('repeat_open' in shown and 'what would clear it' in shown and
                   'template' in shown and 'cheat' not in shown,
                   'the evidence is printed', shown)
        results.ok('Summarise' not in shown and 'urgency' not in shown,
                   'without a word of the prompt')
        mine, others = me(house, bot), me(house, person)
        results.ok('"caller":"second"' in mine and '"evidence"' in mine and
                   '"caller":"second"' not in others and '"caller":"tester"' in others,
                   'everybody sees what is said of him, and of nobody else', mine, others)
        stranger = me(house, 'assay_wrong')
        results.ok('is unknown' in stranger and 'caller' not in stranger,
                   'a key that holds is needed', stranger)
        teams = house.assay.admin('/v1/findings/teams')
        results.ok(json.loads(teams)['teams'][0]['flagged'] is None,
                   'a small team has no sums', teams)
        records, lines = replayed(house, house.folder.name)
        flagged = [line for line in lines if line['alarm']]
        results.ok(len(records) == len(house.ids) and flagged and
                   len({line['identity'] for line in flagged}) == 1,
                   'the exported turns give the same alarms', len(records), flagged[:1])
        score = max(line['score'] for line in lines)
        results.ok(wait_for(lambda: abs(score - found_score(house)) < .1),
                   'and the same score', score, found_score(house))
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        graded = grade_of_next(house, bot, rng, 'flagged')
        results.ok(graded == 'flagged' and len(findings(house)) == 1,
                   'kill -9 loses neither the grade nor the finding', graded, findings(house))
        house.assay.run('evidence', 'appeal', str(found[0]['id']), '--by', 'second',
                        '--words', 'a nightly import that was asked for')
        house.assay.run('evidence', 'dismiss', str(found[0]['id']), '--by', 'auditor',
                        '--words', 'agreed')
        graded = grade_of_next(house, bot, rng, 'clear')
        shown = house.assay.run('evidence', '--caller', 'second')
        results.ok(graded == 'clear' and 'appeal by second' in shown and
                   'dismissal by auditor' in shown, 'a dismissal clears', shown)
        left = b''.join(read_all(house.assay.config['state']))
        results.ok(b'urgency' not in left and b'Summarise' not in left,
                   'no word of a prompt is in the state folder')


def found_score(house):
    return max(finding['score'] for finding in findings(house))


def read_all(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(base, name), 'rb') as file:
                yield file.read()


def modes(results):
    rng = random.Random(5)
    with House([]) as house:
        bot, person = house.assay.add_key('second'), house.assay.key
        house.assay.wait_for_key(bot)
        work(house, bot, person, TURNS, rng)
        found = await_findings(house)
        graded = grade_of_next(house, bot, rng, 'watch')
        results.ok(len(found) == 1 and found[0]['shadow'] and graded == 'watch',
                   'by default it is found in the shadow, and no call is flagged',
                   found, graded)
        for mode, wanted in (('on', 'flagged'), ('off', 'unrated')):
            house.assay.config['detection'] = {'mode': mode}
            house.assay.reload()
            graded = grade_of_next(house, bot, rng, wanted)
            results.ok(graded == wanted, 'a reload turns it ' + mode, graded)


def flood(results):
    """A caller who is faster than detection reads is relayed, counted, and found."""
    rng = random.Random(6)
    with House([], detection={'mode': 'on'}, retention={'exchanges': '90d'},
               workers=1) as house:
        bot = house.assay.add_key('second')
        house.assay.wait_for_key(bot)

        async def storm(count):
            at_once = asyncio.Semaphore(24)

            async def one():
                async with at_once:
                    return (await house.ask(key=bot, max_tokens=50, messages=[
                        {'role': 'user', 'content': BOT % rng.randrange(1000)}])).status
            return await asyncio.gather(*(one() for _ in range(count)))
        began = time.monotonic()
        statuses = asyncio.run(storm(FLOOD))
        house.assay.wait_until_idle()
        most = BURST + A_SECOND * (time.monotonic() - began + 1)
        found = await_findings(house)
        text = house.assay.admin('/metrics')
        unread = sum(int(line.split()[-1]) for line in text.splitlines()
                     if line.startswith('assay_turns_unread_total'))
        results.ok(statuses == [200] * FLOOD and BURST // 2 < FLOOD - unread <= most,
                   'of a flood only some calls are read, and the rest are counted', unread,
                   most)
        results.ok([row['caller'] for row in found] == ['second'],
                   'the flood is found by those that are read', found)
        done = subprocess.run([*COMMAND, 'report', '--config', house.assay.file],
                              capture_output=True, text=True, check=False,
                              env=house.assay.environment())
        results.ok('are deleted (retention.exchanges)' in done.stderr,
                   'a report says what the ledger no longer has', done.stderr)


def abort(process):
    """Did it leave a core?"""
    os.kill(process.pid, signal.SIGABRT)
    status = os.waitpid(process.pid, 0)[1]
    process.returncode = -signal.SIGABRT
    return os.WCOREDUMP(status)


def no_core(results):
    """What a crash leaves has no prompt in it, for it leaves nothing."""
    def allow():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        os.chdir(folder)
    with tempfile.TemporaryDirectory(prefix='assay-core-') as folder, House([]) as house:
        try:
            dumps = abort(subprocess.Popen(['sleep', '60'], preexec_fn=allow))
        except (OSError, ValueError, subprocess.SubprocessError):
            dumps = False
        if not dumps:
            results.skip('a crash leaves no core', 'nothing leaves a core here')
            return
        house.assay.stop()
        house.assay.start(allow)
        house.call(messages=[{'role': 'user', 'content': BOT % 1}])
        results.ok(not abort(house.assay.process), 'a crash leaves no core')


def run(results):
    end_to_end(results)
    no_core(results)
    modes(results)
    flood(results)
