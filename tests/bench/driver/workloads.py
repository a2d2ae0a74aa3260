"""What is measured: how loadgen is called, how long, against whom."""

from typing import NamedTuple

PLAIN = ('direct', 'relay', 'nginx', 'haproxy', 'assay')
TLS = ('nginx', 'haproxy', 'assay')


class Workload(NamedTuple):
    """CPU time is divided by `unit`, a request or an event; {hold} is filled in."""
    what: str
    unit: str
    arguments: str
    warm: float
    seconds: float
    targets: tuple = PLAIN
    tls: bool = False
    rounds: int = 1000  # at most: memory does not vary with the machine's noise


STREAMS = '-q -s -m chunks={hold};delay_us=1000000'

WORKLOADS = {
    'w1': Workload('JSON of 1 KB, 64 keep-alive connections, closed loop',
                   'request', '-c 64 -b 1024', 0.7, 3, PLAIN + ('assay-logged',)),
    'w2p': Workload('200 streams of 50 events/s, each event its own wake-up',
                    'event', '-c 200 -s -m chunks=100;delay_us=20000 -x 100 -r 100', 3, 4,
                    PLAIN + ('assay-no-detection',)),
    'w3': Workload('1,000 open streams of 1 event/s',
                   'event', '-c 1000 -r 1000 ' + STREAMS, 3, 3, ('nginx', 'haproxy', 'assay'),
                   rounds=2),
    'w4': Workload('request of 500 KB, reply of 50 events, 16 connections',
                   'request', '-c 16 -b 512000 -s -m chunks=50 -x 50', 0.7, 3),
    'w5': Workload('as w1, TLS 1.3 on both sides',
                   'request', '-c 64 -b 1024 -t', 0.7, 3, TLS, tls=True),
    'w5idle': Workload('as w3, TLS 1.3 on both sides',
                       'event', '-c 1000 -t -r 500 ' + STREAMS, 4, 3, TLS, tls=True, rounds=2),
    'w6': Workload('2,000 requests/s, open loop',
                   'request', '-c 64 -R 2000', 1, 4),
}


def loadgen_arguments(workload, seconds):
    hold = int(workload.warm + seconds) + 8
    return workload.arguments.format(hold=hold).split()
