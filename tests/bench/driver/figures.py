"""What the runs of one workload come to: best and median over the rounds."""

import statistics


def of(runs, workload, target):
    return [run for run in runs if run['workload'] == workload and run['target'] == target]


def values(runs, workload, target, read):
    found = (read(run) for run in of(runs, workload, target))
    return [value for value in found if value is not None]


def best(runs, workload, target, read):
    return min(values(runs, workload, target, read), default=None)


def median(runs, workload, target, read):
    found = values(runs, workload, target, read)
    return statistics.median(found) if found else None


def ratio(one, other):
    return one / other if one is not None and other else None


def paired(runs, workload, target, other, read):
    """The median of the rounds' ratios: what a machine whose load drifts says best."""
    base = {run['round']: read(run) for run in of(runs, workload, other)}
    found = [ratio(read(run), base.get(run['round'])) for run in of(runs, workload, target)]
    return statistics.median(x for x in found if x) if any(found) else None


def cpu(run):
    """Microseconds of the proxy's CPU time per request or event."""
    return run.get('cpu_us_chunk' if run['unit'] == 'event' else 'cpu_us_req')


def delay(run):
    """Microseconds: of an event on its way through a stream, else of a whole reply."""
    kind = run['chunk_delay' if run['unit'] == 'event' else 'lat']
    return kind['p50'] if kind['n'] else None


def stream_kib(run):
    """Growth of resident memory per open stream."""
    return (run['rss_kib'] - run['rss0_kib']) / run['open'] if run['open'] else None


def idle_mib(run):
    return run['rss0_kib'] / 1024


def ready_ms(run):
    return run['ready_ms']
