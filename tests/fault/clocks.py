"""Quotas where clocks do what they do: the wall clock is set ahead and back, days have 23 and 25
hours, periods roll over both. The steady clock and the wall's are the test's (a `clock` build)."""

import asyncio
import datetime
import json
import mmap
import os
import re
import signal
import struct
import tempfile
import zoneinfo

from scripted import Scripted

BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')
LIMIT = 3
HOUR = 3600


class Clocks:
    def __init__(self, folder, begin):
        self.path = os.path.join(folder, 'clock')
        with open(self.path, 'wb') as file:
            file.write(bytes(16))
        with open(self.path, 'r+b') as file:
            self.map = mmap.mmap(file.fileno(), 16)
        self.steady, self.wall = 1_000_000.0, begin.timestamp()
        self.write()

    def write(self):
        self.map[:] = struct.pack('=QQ', int(self.steady * 1e9), int(self.wall * 1e9))

    def run(self, seconds):
        """Time goes by."""
        self.steady += seconds
        self.wall += seconds
        self.write()

    def set(self, when):
        """The wall clock is set."""
        self.wall = when.timestamp()
        self.write()


async def answer(_, reply):
    await reply.whole(200, [('content-type', 'application/json')], json.dumps({
        'model': 'm', 'choices': [], 'usage': {'prompt_tokens': 1, 'completion_tokens': 1,
                                               'total_tokens': 2}}).encode())


class House(Scripted):
    """An assay on clocks of the test's, with one quota."""

    def __init__(self, begin, per, **more):
        self.clock_folder = tempfile.TemporaryDirectory(prefix='assay-clocks-')
        self.clocks = Clocks(self.clock_folder.name, begin)
        super().__init__(answer, settings={'workers': 2, 'quotas': [
            {'name': 'q', 'each': 'caller', 'limit': '%d requests' % LIMIT, 'per': per, **more}]},
            variables={'ASSAY_TEST_CLOCK_FILE': self.clocks.path})

    def __exit__(self, *failure):
        super().__exit__(*failure)
        self.clock_folder.cleanup()

    def call(self):
        """A call, and what time it takes."""
        reply = asyncio.run(self.ask('POST', '/openai/v1/chat/completions', {
            'model': 'm', 'messages': [], 'max_tokens': 1}))
        self.clocks.run(1)
        return reply

    def spend(self):
        """How many calls pass until one is refused, and the refusal's words."""
        passed = 0
        while True:
            reply = self.call()
            if reply.status != 200:
                return passed, json.loads(reply.body)['error']['message']
            passed += 1

    def restart(self):
        """The journal has all: on a clock that stands still the ledger waits for ever."""
        self.assay.wait_until_idle()
        self.assay.stop(signal.SIGKILL)
        self.assay.start()


def berlin(*when, fold=0):
    return datetime.datetime(*when, tzinfo=BERLIN, fold=fold)


def reset_of(words):
    return re.search(r' at (\S+?)(;|$)', words).group(1)


def wall_is_set(results, _):
    """Each day has its limit once, however often the clock comes by."""
    day, next_day = berlin(2026, 5, 4, 12), berlin(2026, 5, 5, 12)
    with House(day, 'day', timezone='Europe/Berlin') as house:
        first = house.spend()[0]
        ahead = []
        for when in (next_day, day, next_day, berlin(2026, 5, 4, 23, 59, 30), next_day, day):
            house.clocks.set(when)
            ahead.append(house.spend()[0])
        house.restart()
        after = [house.spend()[0]]
        house.clocks.set(next_day)
        after.append(house.spend()[0])
    results.ok(first == LIMIT and ahead == [LIMIT, 0, 0, 0, 0, 0] and after == [0, 0],
               'a wall clock set ahead and back six times gives each day its limit once, '
               'also after kill -9', first, ahead, after)


def rolling_is_steady(results, _):
    """A rolling period goes by the time that passes, not by what the wall says."""
    with House(berlin(2026, 5, 4, 12), 'rolling 5h') as house:
        first = house.spend()[0]
        got = []
        for hours in (+24, -48, +400, -376):
            house.clocks.set(datetime.datetime.fromtimestamp(
                house.clocks.wall + hours * HOUR, BERLIN))
            got.append(house.spend()[0])
        house.clocks.run(4.9 * HOUR)
        before = house.spend()[0]
        house.clocks.run(0.5 * HOUR)
        after = house.spend()[0]
    results.ok(first == LIMIT and got == [0] * 4 and before == 0 and after == LIMIT,
               'a rolling period neither frees nor keeps anything because the wall was set',
               first, got, before, after)


def days_of_other_lengths(results, _):
    """Where clocks are put forward a day has 23 hours, where back 25."""
    for begin, end, hours in ((berlin(2026, 3, 29, 0, 0, 5), '2026-03-30T00:00:00+02:00', 23),
                              (berlin(2026, 10, 25, 0, 0, 5), '2026-10-26T00:00:00+01:00', 25)):
        with House(begin, 'day', timezone='Europe/Berlin') as house:
            passed, words = house.spend()
            house.clocks.run(hours * HOUR - 5 - 2 * (LIMIT + 2))
            late = house.spend()[0]
            house.restart()
            late += house.spend()[0]
            house.clocks.run(2 * (LIMIT + 2))
            new = house.spend()[0]
        results.ok(passed == LIMIT and reset_of(words) == end and late == 0 and new == LIMIT,
                   'a day of %d hours in Berlin begins anew after %d hours' % (hours, hours),
                   passed, words, late, new)


def hours_that_come_twice(results, _):
    """The hour that the clocks are put back by is two hours, with a limit each."""
    with House(berlin(2026, 10, 25, 2, 30), 'hour', timezone='Europe/Berlin') as house:
        first, words = house.spend()
        house.clocks.run(HOUR)
        second, other = house.spend()
        house.clocks.run(HOUR)
        third = house.spend()[0]
    results.ok(first == second == third == LIMIT and
               (reset_of(words), reset_of(other)) == ('2026-10-25T02:00:00+01:00',
                                                      '2026-10-25T03:00:00+01:00'),
               'an hour that comes twice is two hours', first, second, third, words, other)


def rolling_over_a_change(results, _):
    """A rolling period is as long on such a day as on any."""
    with House(berlin(2026, 3, 29, 0, 30), 'rolling 5h') as house:
        first = house.spend()[0]
        house.clocks.run(4.9 * HOUR)
        before = house.spend()[0]
        house.clocks.run(0.5 * HOUR)
        after = house.spend()[0]
    results.ok((first, before, after) == (LIMIT, 0, LIMIT),
               'five hours are five hours where the clocks are put forward', first, before, after)


CASES = (wall_is_set, rolling_is_steady, days_of_other_lengths, hours_that_come_twice,
         rolling_over_a_change)
