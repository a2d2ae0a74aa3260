"""Processes on chosen CPUs, ports, and what the machine is."""

import os
import platform
import resource
import signal
import socket
import subprocess
import time

CPUS = sorted(os.sched_getaffinity(0))
CPU_LOAD, CPU_PROXY = CPUS[0], CPUS[min(1, len(CPUS) - 1)]
NICE = -5
DESCRIPTORS = 20000  # the same for every proxy: nginx reserves memory by it
START_SECONDS = 15
STOP_SECONDS = 10


def limit_descriptors():
    """Everything started from here on may open this many files."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def on_cpu(cpu):
    """What a new process does before its program, as a preexec_fn."""
    def child():
        os.sched_setaffinity(0, {cpu})
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
        except OSError:
            pass  # needs root; all processes of a run go without then
    return child


def start(command, cpu, log, environment=None):
    with open(log, 'wb') as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=output, preexec_fn=on_cpu(cpu), start_new_session=True,
                                env={**os.environ, **(environment or {})})


def stop(process):
    """End a process of ours, and what it has started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def is_open(port):
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(('127.0.0.1', port)) == 0


def milliseconds_to_open(port, process):
    """From now until a connection is taken; None if it never is."""
    begin = time.monotonic()
    while time.monotonic() - begin < START_SECONDS and process.poll() is None:
        if is_open(port):
            return (time.monotonic() - begin) * 1e3
        time.sleep(0.001)
    return None


def first_line(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout.splitlines() or [''])[0].strip()


def processor():
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        for line in file:
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.machine()


def describe():
    """What a table of results must name."""
    return ['%s, %d CPUs, Linux %s, load average %.1f' % (
                processor(), len(CPUS), platform.release(), os.getloadavg()[0]),
            first_line('nginx', '-v').replace('nginx version: ', ''),
            first_line('haproxy', '-v').split(' - ')[0],
            first_line('openssl', 'version')]


def faults():
    """What makes figures doubtful."""
    if CPU_LOAD == CPU_PROXY:
        yield 'there is one CPU only: load and proxy share it'
    with open('/proc/sys/net/ipv4/tcp_congestion_control', encoding='utf-8') as file:
        if file.read().strip() == 'bbr':
            yield 'congestion control bbr paces even loopback'
    if os.getloadavg()[0] > 1:
        yield 'the machine is not idle: judge by ratios, and those to 15 %'
