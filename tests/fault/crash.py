"""kill -9 in mid-load: no settled record is lost, none is doubled, and calls that were under
way are recovered as unknown."""

import asyncio
import random
import signal
import time

from load import Load, Reconciliation

ROUNDS = 10
SETTLE = 0.5    # seconds between the last byte at the client and the settled record, at most


async def round_of(assay, seed):
    """One round of load that ends with kill -9; (calls, instant of the kill)."""
    load = Load(assay, seed)
    task = asyncio.create_task(load.run())
    await asyncio.sleep(random.Random(seed).uniform(0.8, 1.4))
    killed = time.time()
    assay.stop(signal.SIGKILL)
    load.stopping = True
    await task
    return load.calls, killed


def kill_in_load(results, demo):
    calls, kill_of = [], {}
    with demo() as (assay, provider):
        for seed in range(ROUNDS):
            made, killed = asyncio.run(round_of(assay, seed))
            calls += made
            kill_of.update({call.number: killed for call in made})
            assay.start()
        status = assay.stop()
        records = assay.export()
        books = Reconciliation(calls, provider.truth(), records)
        books.settled(before=lambda call: kill_of[call.number] - SETTLE)
        books.nothing_unrecorded()
        unknown = books.unknown()
        for number in unknown:
            call = books.calls[number]
            if call.ended is not None and call.ended < kill_of[number] - SETTLE:
                books.complaints.append('call %d had ended, recorded as unknown' % number)
        ended = sum(call.ended is not None for call in calls)
        results.note('%d calls, %d ended, %d records, %d recovered as unknown' % (
            len(calls), ended, len(records), len(unknown)))
        results.ok(ended > 100 and not books.complaints,
                   'kill -9 ten times: nothing settled is lost or doubled',
                   *books.complaints[:20])
        results.ok(unknown, 'calls that were under way are recovered as unknown')
        results.ok(status == 0, 'and assay goes on', 'exit status %s' % status)
