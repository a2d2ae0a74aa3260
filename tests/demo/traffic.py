#!/usr/bin/env python3
"""Sample traffic for a running assay in front of the demo provider: what two small teams do
with several tools, played faster than they would.

    traffic.py --url http://127.0.0.1:PORT --keys FILE --truth FILE [--seconds N]
               --assay PROGRAM --config FILE

FILE of --keys has a line "TEAM CALLER KEY" for each of PEOPLE. Afterwards the ledger, as
`assay export` gives it, is compared with what the provider says it used (its --truth file).
Exit status 1 if an answer was wrong, a record is missing or a count differs.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import calls  # noqa: E402

LEDGER_SECONDS = 60
CLASSES = ('input', 'cache_read', 'cache_write', 'output', 'reasoning')

CLAUDE_CODE = {'user-agent': 'claude-cli/2.1.42 (external, cli)', 'x-app': 'cli',
               'anthropic-beta': 'claude-code-20250219',
               'x-claude-code-session-id': '6f1c0c52-0d7e-4f6e-9a53-3f6b7c1f2a10'}
CODEX = {'user-agent': 'codex_cli_rs/0.98.0 (Debian 12; x86_64)',
         'originator': 'codex_cli_rs', 'session_id': '019a3c7e-5a10-7c31-b3a4-52d1f7a0c4e9'}
OPENCODE = {'user-agent': 'opencode/1.2.0 ai-sdk/provider-utils/3.0.9 runtime/bun/1.3.0',
            'x-session-affinity': 'ses_4b1f'}
OPENAI_PYTHON = {'user-agent': 'OpenAI/Python 2.8.1', 'x-stainless-lang': 'python'}
ANTHROPIC_JS = {'user-agent': 'Anthropic/JS 0.71.0', 'x-stainless-lang': 'js'}
SCRIPT = {'user-agent': 'python-requests/2.32.5'}

# Who uses which tool for which models, and how often it makes calls of which kind.
PEOPLE = {
    ('platform', 'ana'): [
        (CLAUDE_CODE, ['claude-sonnet-4-5', 'claude-haiku-4-5'],
         {calls.messages_stream: 14, calls.messages_tool: 8, calls.count_tokens: 4,
          calls.aborted_stream: 1, calls.rate_limited: 1}),
        (OPENCODE, ['gpt-5'], {calls.chat_stream: 8, calls.chat_tool: 4})],
    ('platform', 'bo'): [
        (CODEX, ['gpt-5.1'], {calls.responses_stream: 14, calls.responses_tool: 8,
                              calls.openai_models: 1})],
    ('research', 'cai'): [
        (OPENAI_PYTHON, ['gpt-4o-mini', 'gpt-4o'],
         {calls.chat: 10, calls.chat_stream: 8, calls.failed_and_retried: 1,
          calls.cut_stream: 1, calls.unpriced_model: 1}),
        (SCRIPT, ['gpt-4o-mini'], {calls.embeddings: 12, calls.unknown_path: 1})],
    ('research', 'dee'): [
        (ANTHROPIC_JS, ['claude-opus-4-5'],
         {calls.messages: 10, calls.messages_stream: 4, calls.aborted_stream: 1,
          calls.wrong_key: 1})],
}


class Progress:
    """Counts calls as they end, and shows it: in place on a terminal."""

    def __init__(self, total):
        self.total = total
        self.lock = threading.Lock()
        self.done = 0
        self.wrong = []
        self.exchanges = set()

    def note(self, exchange):
        with self.lock:
            self.exchanges.add(exchange)

    def ended(self, who, kind, failure):
        with self.lock:
            self.done += 1
            if failure is not None:
                self.wrong.append('%s, %s: %s' % (who, kind.__name__, failure))
            last = self.done == self.total
            if sys.stdout.isatty():
                print('\r  %d of %d calls' % (self.done, self.total),
                      end='\n' if last else '', flush=True)
            elif last or self.done % 25 == 0:
                print('  %d of %d calls' % (self.done, self.total), flush=True)


def plan_of(kinds, seed):
    """A tool's calls in the order it makes them."""
    plan = [kind for kind, times in kinds.items() for _ in range(times)]
    random.Random(seed).shuffle(plan)
    return plan


def play(caller, who, plan, seconds, progress):
    """Makes the calls of one tool one after the other, spread over the time."""
    began = time.monotonic()
    for number, kind in enumerate(plan):
        ahead = began + seconds * number / len(plan) - time.monotonic()
        time.sleep(max(0, ahead))
        failure = None
        try:
            kind(caller)
        except (calls.Wrong, OSError, ValueError, KeyError, IndexError,
                calls.http.client.HTTPException) as error:
            failure = error
        progress.ended(who, kind, failure)


def send(url, keys, seconds):
    """Everybody at once; the progress that was made."""
    parts = urllib.parse.urlsplit(url)
    tools = [(who, tool) for who, tools in PEOPLE.items() for tool in tools]
    progress = Progress(sum(sum(tool[2].values()) for _, tool in tools))
    threads = []
    for seed, (who, (fields, models, kinds)) in enumerate(tools):
        caller = calls.Caller((parts.hostname, parts.port), keys[who], fields, models,
                              progress.note)
        threads.append(threading.Thread(target=play, args=(
            caller, '/'.join(who), plan_of(kinds, seed), seconds, progress), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return progress


def export(args):
    done = subprocess.run([args.assay, 'export', '--config', args.config, '--format', 'jsonl'],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit('traffic: assay export failed')
    return [json.loads(line) for line in done.stdout.splitlines()]


def records_of(args, exchanges):
    """The ledger, once it has all of these exchanges and none is still drained."""
    deadline = time.monotonic() + LEDGER_SECONDS
    while True:
        records = export(args)
        if exchanges <= {record['id'] for record in records} or \
                time.monotonic() > deadline:
            return records
        time.sleep(0.2)


def counted(lines):
    """Tokens by API, model and class."""
    sums = collections.Counter()
    for api, model, tokens in lines:
        for name in CLASSES:
            sums[api, model, name] += tokens[name] or 0
    return +sums


def compare(records, truth):
    """Complaints about the ledger, and how many tokens it agrees on."""
    metered = counted((record['dialect'], record['request_model'], record['tokens'])
                      for record in records if record['usage_source'] == 'reported')
    used = counted((line['api'], line['model'], line['tokens'])
                   for line in truth if line['tokens'] and line['completed'])
    complaints = ['%s, %s: %d %s tokens used, %d metered' % (
        api, model, used[api, model, name], name, metered[api, model, name])
        for api, model, name in sorted(set(used) | set(metered))
        if used[api, model, name] != metered[api, model, name]]
    complaints += ['a virtual key reached the provider, in %s' % line['id']
                   for line in truth if line['virtual_key_seen']]
    return complaints, sum(metered.values())


def read_keys(path):
    with open(path, encoding='utf-8') as file:
        rows = [line.split() for line in file]
    return {(team, caller): key for team, caller, key in rows}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--people', action='store_true', help='list "TEAM CALLER" and end')
    parser.add_argument('--url', help='of the proxy')
    parser.add_argument('--keys', metavar='FILE', help='lines "TEAM CALLER KEY"')
    parser.add_argument('--truth', metavar='FILE', help='what the demo provider used')
    parser.add_argument('--assay', metavar='PROGRAM', help='to export the ledger with')
    parser.add_argument('--config', metavar='FILE', help='of the proxy')
    parser.add_argument('--seconds', type=float, default=12, help='how long it takes')
    args = parser.parse_args()
    if args.people:
        print('\n'.join(' '.join(who) for who in PEOPLE))
        return 0
    progress = send(args.url, read_keys(args.keys), args.seconds)
    records = records_of(args, progress.exchanges)
    missing = progress.exchanges - {record['id'] for record in records}
    with open(args.truth, encoding='utf-8') as file:
        complaints, tokens = compare(records, [json.loads(line) for line in file])
    complaints += progress.wrong + ['no record of %s' % exchange for exchange in missing]
    for complaint in complaints:
        print('  wrong: ' + complaint)
    if not complaints:
        print('  all answered as they have to be; the ledger has a record of each, and agrees\n'
              '  with the provider on every one of %s reported tokens' % format(tokens, ','))
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
