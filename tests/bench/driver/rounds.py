"""One run: a fresh proxy, a warm-up, a few measured seconds. All runs interleave."""

import http.client
import json
import os
import subprocess
import time

import machine
import targets
from workloads import WORKLOADS, loadgen_arguments

SPARE_SECONDS = 30
SETTLE_SECONDS = 10


class Failed(Exception):
    """A run that gave no figures."""


def log_end(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()[-400:].strip()


class Bench:
    """Provider, proxies and load generator over one folder. A context manager."""

    def __init__(self, folder, binary, tools):
        self.folder = folder
        self.tools = tools
        self.targets, self.key = targets.all_targets(folder, binary, tools)
        self.provider = {}

    def __enter__(self):
        program = os.path.join(self.tools, 'fakeprovider')
        certificate = os.path.join(self.folder, 'both.pem')
        for port, options in ((targets.PROVIDER_PORT, []),
                              (targets.PROVIDER_TLS_PORT, ['-t', certificate])):
            self.provider[port] = self.start([program, '-p', str(port), *options],
                                             machine.CPU_LOAD, port)[0]
        return self

    def __exit__(self, *_):
        for process in self.provider.values():
            machine.stop(process)

    def start(self, command, cpu, port):
        """The process, and the milliseconds until it took a connection."""
        if machine.is_open(port):
            raise Failed('port %d is taken' % port)
        log = os.path.join(self.folder, os.path.basename(command[0]) + '.log')
        process = machine.start(command, cpu, log, targets.ENVIRONMENT)
        ready = machine.milliseconds_to_open(port, process)
        if ready is None:
            machine.stop(process)
            raise Failed('%s did not start: %s' % (command[0], log_end(log)))
        return process, ready

    def streams_open(self):
        """Replies that the provider has not finished."""
        connection = http.client.HTTPConnection('127.0.0.1', targets.PROVIDER_PORT, timeout=5)
        try:
            connection.request('GET', '/healthz')
            return json.loads(connection.getresponse().read())['streams']
        except (OSError, ValueError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def settle(self):
        """The next proxy must not pay for the replies of this one."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.streams_open() and time.monotonic() < deadline:
            time.sleep(0.1)

    def load(self, workload, target, pid, seconds):
        port, path = target.address(workload.tls)
        command = [os.path.join(self.tools, 'loadgen'), '-p', str(port), '-u', path,
                   '-w', str(workload.warm), '-d', str(seconds), '-P', str(pid),
                   '-C', str(machine.CPU_PROXY), '-H', 'Authorization: Bearer ' + self.key,
                   *loadgen_arguments(workload, seconds)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, check=False,
                                  timeout=workload.warm + seconds + SPARE_SECONDS,
                                  preexec_fn=machine.on_cpu(machine.CPU_LOAD))
        except subprocess.TimeoutExpired as error:
            raise Failed('the load did not end') from error
        if done.returncode != 0:
            raise Failed('loadgen: ' + done.stderr.strip())
        return json.loads(done.stdout)

    def run(self, name, workload_name, seconds=None):
        """One run's figures, as loadgen gives them and a few more."""
        workload, target = WORKLOADS[workload_name], self.targets[name]
        process, ready = None, None
        pid = self.provider[target.address(workload.tls)[0]].pid if not target.command else 0
        try:
            if target.command:
                process, ready = self.start(target.command(), machine.CPU_PROXY,
                                            target.address(workload.tls)[0])
                pid = process.pid
                time.sleep(0.2)  # idle, before its memory is looked at
            figures = self.load(workload, target, pid, seconds or workload.seconds)
        finally:
            if process:
                machine.stop(process)
            self.settle()
        if target.ended:
            figures.update(target.ended())
        figures.update(workload=workload_name, target=name, ready_ms=ready,
                       unit=workload.unit, load_average=os.getloadavg()[0])
        return figures


def plan(names, rounds, wanted):
    """(workload, round, target) in the order they are run: A B C, A B C ..., so that the
    machine's noise hits all alike."""
    for name in names:
        workload = WORKLOADS[name]
        for number in range(min(rounds, workload.rounds)):
            for target in workload.targets:
                if not wanted or target in wanted:
                    yield name, number, target
