"""The goals, and whether they are reached. A failure counts beyond 15 %, the noise of five
interleaved rounds on a shared machine."""

from typing import Callable, NamedTuple, Optional

import figures

NOISE = 1.15


class Goal(NamedTuple):
    """assay's figure is to be at most a number, or another target's times a factor."""
    name: str
    what: str
    workload: str  # '': over all runs
    read: Callable
    pick: Callable  # of the rounds: figures.best or figures.median
    factor: Optional[float] = None
    of: str = 'nginx'
    absolute: Optional[float] = None
    extra: Optional[tuple] = None  # (target, what may come on top of its figure)


GOALS = (
    Goal('P1', 'small JSON: CPU us per request', 'w1', figures.cpu, figures.best, 1.0),
    Goal('P2', 'paced SSE: CPU us per event', 'w2p', figures.cpu, figures.best, 1.0),
    Goal('P2', 'the same, over the raw relay', 'w2p', figures.cpu, figures.best,
         extra=('relay', 1.5)),
    Goal('P2', 'the same, over assay without detection', 'w2p', figures.cpu, figures.best,
         1.05, of='assay-no-detection'),
    Goal('P4', 'paced SSE: p50 us from provider to client', 'w2p', figures.delay,
         figures.best, 1.0),
    Goal('P5', 'idle stream, plain: KiB', 'w3', figures.stream_kib, figures.median,
         absolute=4),
    Goal('P6', 'idle stream, TLS both sides: KiB', 'w5idle', figures.stream_kib,
         figures.median, absolute=36),
    Goal('P7', '500 KB request: CPU us', 'w4', figures.cpu, figures.best, 1.0),
    Goal('P8', 'TLS both sides: CPU us per request', 'w5', figures.cpu, figures.best, 1.0),
    Goal('P9', '2,000 requests/s: p50 us', 'w6', figures.delay, figures.best, 1.0),
    Goal('P10', 'resident memory when idle: MiB', '', figures.idle_mib, figures.best,
         absolute=10),
    Goal('P11', 'start to ready: ms', '', figures.ready_ms, figures.best, absolute=50),
)
P3_NAME, P3_LIMIT_NS = 'P3', 300


class Verdict(NamedTuple):
    goal: str
    what: str
    mine: float
    nginx: Optional[float]
    limit: float

    @property
    def ratio(self):
        """To nginx, or to the limit where nginx is no measure."""
        return self.mine / (self.nginx or self.limit)

    @property
    def word(self):
        if self.mine <= self.limit:
            return 'met'
        return 'within 15 %' if self.mine <= self.limit * NOISE else 'MISSED'


def figure_of(goal, runs, target):
    if goal.workload:
        return goal.pick(runs, goal.workload, target, goal.read)
    names = {run['workload'] for run in runs if run['target'] == target}
    found = [goal.pick(runs, name, target, goal.read) for name in names]
    return min((value for value in found if value is not None), default=None)


def judge(goal, runs):
    """The verdict; None if what it needs was not measured."""
    mine = figure_of(goal, runs, 'assay')
    nginx = figure_of(goal, runs, 'nginx')
    limit = goal.absolute
    if goal.factor is not None:
        base = figure_of(goal, runs, goal.of)
        limit = goal.factor * base if base is not None else None
    if goal.extra is not None:
        base = figure_of(goal, runs, goal.extra[0])
        limit = base + goal.extra[1] if base is not None else None
    if mine is None or limit is None:
        return None
    return Verdict(goal.name, goal.what, mine, nginx, limit)


def verdicts(runs, event_ns=None):
    found = [verdict for verdict in (judge(goal, runs) for goal in GOALS) if verdict]
    if event_ns is not None:
        found.insert(sum(verdict.goal < P3_NAME and len(verdict.goal) == 2
                         for verdict in found),
                     Verdict(P3_NAME, 'metering in user space: ns per event', event_ns, None,
                             P3_LIMIT_NS))
    return found
