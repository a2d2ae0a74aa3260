#!/usr/bin/env python3
"""Measures assay beside nginx, HAProxy and a raw relay. tests/bench/run calls it."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, '..', '..', 'support')]

import goals  # noqa: E402
import machine  # noqa: E402
import table  # noqa: E402
import tap  # noqa: E402
from dev_certs import DevCerts  # noqa: E402
from rounds import Bench, Failed, plan  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

QUICK = {'rounds': 2, 'seconds': 1.5}
SMOKE = {'rounds': 1, 'seconds': 0.5, 'targets': ['nginx', 'assay'],
         'workloads': ['w1', 'w4', 'w5']}


def arguments():
    parser = argparse.ArgumentParser(prog='tests/bench/run', description=__doc__)
    parser.add_argument('workloads', nargs='*', metavar='WORKLOAD',
                        help='; '.join('%s: %s' % (name, workload.what)
                                       for name, workload in WORKLOADS.items()))
    parser.add_argument('--rounds', type=int, help='of every workload (5); at least 5 to judge')
    parser.add_argument('--quick', action='store_true', help='2 rounds of 1.5 s')
    parser.add_argument('--smoke', action='store_true', help='only that everything works')
    parser.add_argument('--peers', help='comma-separated, beside assay: all of %s'
                        % ', '.join(table.ORDER))
    parser.add_argument('--gate', action='store_true',
                        help='a goal missed by more than 15 %% is a failure')
    parser.add_argument('--out', default='build/bench/runs.jsonl', help='a line per run')
    parser.add_argument('--binary', default='build/assay')
    parser.add_argument('--tools', default='build/tests/bench', help=argparse.SUPPRESS)
    parser.add_argument('--event-ns', type=float, help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    unknown = set(options.workloads) - WORKLOADS.keys()
    if unknown:
        parser.error('there is no workload %s' % ', '.join(sorted(unknown)))
    options.seconds = None
    options.targets = options.peers.split(',') + ['assay'] if options.peers else []
    if set(options.targets) - set(table.ORDER):
        parser.error('--peers: choose among %s' % ', '.join(table.ORDER))
    for name, value in (SMOKE if options.smoke else QUICK if options.quick else {}).items():
        if not getattr(options, name):
            setattr(options, name, value)
    options.rounds = options.rounds or 5
    options.workloads = options.workloads or list(WORKLOADS)
    return options


def certificates(folder):
    """A development CA and one certificate for the provider and all proxies."""
    chain, key = DevCerts(folder).leaf('server')
    with open(os.path.join(folder, 'both.pem'), 'w', encoding='utf-8') as both:
        for name in (chain, key):
            with open(name, encoding='utf-8') as file:
                both.write(file.read())


def complaints(run):
    """Why a run's figures do not count."""
    if not run['reqs'] and not run['chunks']:
        yield 'nothing was answered'
    if run['all_errors']:
        yield '%d errors' % run['all_errors']
    if run.get('ledger', run['reqs']) < run['reqs']:
        yield 'the ledger has %d of %d exchanges' % (run['ledger'], run['reqs'])
    if run.get('ledger_priced', run['reqs']) < run['reqs']:
        yield '%d of %d exchanges were priced' % (run['ledger_priced'], run['reqs'])


def measure(bench, name, options, results):
    """All rounds of one workload; the runs that count."""
    good, notes = [], []
    for _, number, target in plan([name], options.rounds, options.targets):
        try:
            run = {'round': number, **bench.run(target, name, options.seconds)}
        except Failed as error:
            notes.append('%s, round %d: %s' % (target, number + 1, error))
            continue
        wrong = list(complaints(run))
        notes += ['%s, round %d: %s' % (target, number + 1, text) for text in wrong]
        good += [] if wrong else [run]
        with open(options.out, 'a', encoding='utf-8') as file:
            file.write(json.dumps(run) + '\n')
    results.ok(good and not notes, '%s: every reply right, every exchange in the ledger' % name,
               *notes)
    if good:
        results.note(table.of_workload(good, name) + '\n\n')
    return good


def judge(runs, options, results):
    found = goals.verdicts(runs, options.event_ns)
    if options.gate:
        for verdict in found:
            results.ok(verdict.word != 'MISSED', '%s: %s' % (verdict.goal, verdict.what),
                       '%.2f, at most %.2f' % (verdict.mine, verdict.limit))
    if found:
        results.note(table.of_goals(found))


def quotas(options, results):
    """What quotas add to a call, as CPU time. With --smoke it is told and not judged."""
    for _ in range(3):
        done = subprocess.run([os.path.join(options.tools, 'micro_quota')], text=True,
                              capture_output=True, timeout=120, check=False)
        if done.returncode == 0:
            break
    results.note(done.stdout)
    if options.smoke:
        results.ok(done.stdout and not done.stderr, 'what a quota adds to a call is measured',
                   done.stderr)
    else:
        results.ok(done.returncode == 0, 'a quota adds at most 1 us of CPU to a call',
                   done.stderr)


def main():
    options = arguments()
    results = tap.Tap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ['PATH'] += ':/usr/sbin:/sbin'
    machine.limit_descriptors()
    os.makedirs(os.path.dirname(os.path.abspath(options.out)), exist_ok=True)
    for line in [*machine.describe(), *machine.faults()]:
        results.note(line)
    runs = []
    with tempfile.TemporaryDirectory(prefix='assay-bench-') as folder:
        certificates(folder)
        try:
            with Bench(folder, os.path.abspath(options.binary), options.tools) as bench:
                for name in options.workloads:
                    runs += measure(bench, name, options, results)
        except (Failed, RuntimeError, OSError) as error:
            results.ok(False, 'the bench is set up', error)
    quotas(options, results)
    if not options.smoke:
        judge(runs, options, results)
    return results.done()


if __name__ == '__main__':
    sys.exit(main())
