"""Webhooks of the running proxy: signed, tried again, once per share and window."""

import os
import signal
import ssl
import subprocess
import tempfile
import time

from dev_certs import DevCerts
from proxy import COMMAND, PATIENCE, wait_for
from quotas import House, policy
from receiver import SECRET, Receiver

QUIET_SECONDS = 0.8  # in which a message that must not come would have come
LATE_SECONDS = 10


def hook(receiver, **more):
    return {'url': 'http://127.0.0.1:%d/hooks/assay' % receiver.port,
            'secret': 'file:secret', 'retry': '50ms', 'timeout': '2s', **more}


class HookedHouse(House):
    """A house whose configuration's folder holds the secret."""

    def prepare(self):
        path = os.path.join(self.assay.folder, 'secret')
        with open(path, 'w', encoding='utf-8', opener=lambda name, flags: os.open(
                name, flags, 0o600)) as file:
            file.write(SECRET)


def shares(messages):
    return [(m['type'], m['data']['quota'], m['data']['subject'], m['data']['share'])
            for m in messages]


def thresholds(results):
    quotas = [policy('calls', '4 requests', each='caller', warn=['50%', '75%'],
                     contact='ops@example.com'),
              policy('silent', '1 requests', over='shadow', warn=['50%']),
              policy('rolling', '4 requests', 'rolling 5h', warn=['25%'])]
    wanted = [('quota.warning', 'calls', 'tester', 50), ('quota.warning', 'calls', 'tester', 75),
              ('quota.warning', 'rolling', '', 25)]
    with Receiver() as receiver, \
            HookedHouse(quotas, webhooks={'ops': hook(receiver)}) as house:
        for _ in range(3):
            house.call()
        first = receiver.messages(3)
        results.ok(sorted(shares(first)) == sorted(wanted),
                   'a message for each share of each counter, none for a shadow',
                   shares(first))
        results.ok(all(good for _, _, good, _, _ in receiver.requests),
                   'signatures are good', receiver.requests)
        data = min((m['data'] for m in first), key=lambda data: data['quota'])
        results.ok(data['limit'] == '4 requests' and data['per'] == 'day' and data['of'] == 4 and
                   data['contact'] == 'ops@example.com' and data['unit'] == 'requests' and
                   data['resets'].endswith('T00:00:00Z'), 'the data tell the quota', data)
        house.call()
        refused = house.call()
        house.call()
        reached = receiver.messages(5)[3:]
        results.ok(refused.status == 429 and sorted(shares(reached)) == [
            ('quota.reached', 'calls', 'tester', 100), ('quota.reached', 'rolling', '', 100)],
            'a limit that is reached is told once, not with every refusal', shares(reached))
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        house.call()
        time.sleep(QUIET_SECONDS)
        results.ok(len(receiver.taken()) == 5, 'nothing is told again after kill -9',
                   shares(receiver.taken()))
        house.assay.config['quotas'][0]['warn'] = ['50%', '60%']
        house.assay.reload()
        time.sleep(QUIET_SECONDS)
        results.ok(len(receiver.taken()) == 5, 'nor after a reload',
                   shares(receiver.taken()))


def retries(results):
    quotas = [policy('calls', '100 requests', warn=['1%'])]
    with Receiver([0, 500, 302, 404]) as receiver, \
            HookedHouse(quotas, webhooks={'ops': hook(receiver)}) as house:
        house.call()
        taken = receiver.messages(1)
        times = [seconds for seconds, *_ in receiver.requests]
        waits = [later - before for before, later in zip(times, times[1:])]
        results.ok(len(taken) == 1 and len(times) == 5 and
                   len({ident for _, ident, *_ in receiver.requests}) == 1,
                   'no answer, 500, 302 and 404 are tried again, under the same id',
                   receiver.requests)
        results.ok(all(low <= wait < low + LATE_SECONDS
                       for wait, low in zip(waits, (.05, .1, .2, .4))),
                   'and the wait doubles', waits)


def across_a_restart(results):
    quotas = [policy('calls', '100 requests', warn=['1%'])]
    with Receiver([500] * 2) as receiver, \
            HookedHouse(quotas, webhooks={'ops': hook(receiver, retry='700ms')}) as house:
        house.call()
        wait_for(lambda: receiver.requests)
        house.assay.stop(signal.SIGKILL)
        house.assay.start()
        results.ok(len(receiver.messages(1)) == 1, 'a message outlives kill -9',
                   receiver.requests)


def given_up(results):
    quotas = [policy('calls', '100 requests', warn=['1%', '2%'])]
    with Receiver([410]) as receiver, \
            HookedHouse(quotas, webhooks={
                'ops': hook(receiver), 'other': hook(receiver, events=['finding.new'])}) as house:
        house.call()
        wait_for(lambda: house.assay.logged('webhook_dropped'))
        time.sleep(QUIET_SECONDS)
        results.ok(len(receiver.requests) == 1, '410 is not tried again, and who wants other '
                   'events gets none', receiver.requests)
        house.call()
        results.ok(len(receiver.messages(1)) == 1, 'the next message goes out', receiver.requests)
        taken = wait_for(lambda: 'assay_webhook_messages_total{result="taken"} 1' in
                         house.assay.admin('/metrics'))
        metrics = house.assay.admin('/metrics')
        results.ok(taken and 'assay_webhook_messages_total{result="dropped"} 1' in metrics,
                   'metrics count them', [line for line in metrics.splitlines()
                                          if 'webhook' in line])
        results.ok(house.assay.logged('webhook_dropped'), 'the log tells what was dropped',
                   house.assay.log_tail())


def over_tls(results):
    with tempfile.TemporaryDirectory(prefix='assay-hook-') as folder:
        certs = DevCerts(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certs.leaf('hook'))
        quotas = [policy('calls', '100 requests', warn=['1%'])]
        with Receiver(context=context) as good, Receiver(context=context) as untrusted:
            url = 'https://127.0.0.1:%d/hook'
            hooks = {'good': hook(good, url=url % good.port, ca=certs.ca),
                     'untrusted': hook(untrusted, url=url % untrusted.port)}
            with HookedHouse(quotas, webhooks=hooks) as house:
                house.call()
                taken = good.messages(1)
                time.sleep(QUIET_SECONDS)
                told = ''.join(house.assay.logged('webhook_failed'))
        results.ok(len(taken) == 1 and not untrusted.requests,
                   'over verified TLS only', untrusted.requests)
        results.ok('untrusted, attempt 1: its certificate was refused: ' in told,
                   'and the log says so', told)


def mistakes(results):
    """What `assay check` says of each."""
    cases = [('url: ftp://h/x', 'does not begin with https://'),
             ('url: http://hooks.example.com/x', 'plain http only to loopback'),
             ('url: https://user:pw@h/x', 'holds a user name'),
             ('url: https://h/x\n    events: [quota.warnin]', "did you mean 'quota.warning'?"),
             ('url: https://h/x\n    insecure_for_tests: on', 'for loopback only')]
    text = ('listen: [{address: "127.0.0.1:1"}]\nproviders: {p: {url: "https://p.example", '
            'dialects: [openai]}}\nwebhooks:\n  ops:\n    secret: env:X\n    %s\n')
    for line, words in cases:
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
            file.write(text % line)
            file.flush()
            done = subprocess.run([*COMMAND, 'check', '--no-secrets', file.name], text=True,
                                  capture_output=True, timeout=PATIENCE, check=False)
        results.ok(done.returncode == 2 and words in done.stderr and file.name in done.stderr,
                   'assay check: ' + words, done.stdout, done.stderr)


def run(results):
    for case in (thresholds, retries, across_a_restart, given_up, over_tls, mistakes):
        case(results)
