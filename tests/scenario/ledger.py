#!/usr/bin/env python3
"""ledger.py CONFIG COUNT FIELD...: waits until the ledger has COUNT records and prints the
fields of each on a line. A field may reach into an object: tokens.input."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))

import json  # noqa: E402
import subprocess  # noqa: E402

from proxy import COMMAND, PATIENCE  # noqa: E402


def records(config):
    output = subprocess.run([*COMMAND, 'export', '--format', 'jsonl', '--config', config],
                            capture_output=True, check=True,
                            env={**os.environ, 'UPSTREAM_KEY': 'sk-upstream'}).stdout
    return [json.loads(line) for line in output.splitlines()]


def value(record, path):
    for name in path.split('.'):
        record = record[name]
    return json.dumps(record) if not isinstance(record, str) else record


def main():
    config, count, fields = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    deadline = time.monotonic() + PATIENCE
    found = records(config)
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.1)
        found = records(config)
    for record in found:
        print(' '.join(value(record, path) for path in fields))
    return 0 if len(found) == count else 1


if __name__ == '__main__':
    sys.exit(main())
