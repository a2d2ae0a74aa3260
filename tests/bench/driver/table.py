"""Results as Markdown."""

import figures
from workloads import STREAMS, WORKLOADS

ORDER = ('direct', 'relay', 'nginx', 'haproxy', 'assay', 'assay-logged',
         'assay-no-detection')


def number(value, digits=1):
    return '-' if value is None else '{:,.{}f}'.format(value, digits)


def pair(first, second, digits=1):
    return '%s (%s)' % (number(first, digits), number(second, digits))


def render(head, rows):
    width = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ['| ' + ' | '.join(cell.ljust(width[i]) for i, cell in enumerate(row)) + ' |'
             for row in [head, *rows]]
    return '\n'.join([lines[0], '|' + '|'.join('-' * (w + 2) for w in width) + '|', *lines[1:]])


def workload_row(runs, name, target):
    def best(read, of=target):
        return figures.best(runs, name, of, read)

    def median(read):
        return figures.median(runs, name, target, read)

    mine = figures.of(runs, name, target)
    return [target, pair(best(figures.cpu), median(figures.cpu)),
            pair(figures.ratio(best(figures.cpu), best(figures.cpu, 'nginx')),
                 figures.paired(runs, name, target, 'nginx', figures.cpu), 2),
            number(max(run['rps'] for run in mine), 0),
            pair(best(figures.delay), median(figures.delay), 0),
            number(median(figures.stream_kib)) if STREAMS in WORKLOADS[name].arguments else '-',
            number(best(figures.idle_mib)), number(best(figures.ready_ms), 0),
            str(sum(run['all_errors'] for run in mine)), str(len(mine))]


def of_workload(runs, name):
    workload = WORKLOADS[name]
    rows = [workload_row(runs, name, target) for target in ORDER
            if figures.of(runs, name, target)]
    head = ['', 'CPU us/%s best (median)' % workload.unit, 'x nginx (paired)', 'requests/s',
            'p50 us', 'KiB/stream', 'idle MiB', 'ready ms', 'errors', 'runs']
    return '%s: %s\n\n%s' % (name, workload.what, render(head, rows))


def of_goals(verdicts):
    rows = [[verdict.goal, verdict.what, number(verdict.mine), number(verdict.nginx),
             number(verdict.mine / verdict.nginx, 2) if verdict.nginx else '-',
             '<= ' + number(verdict.limit), verdict.word] for verdict in verdicts]
    return render(['goal', 'what', 'assay', 'nginx', 'x nginx', 'limit', ''], rows)
