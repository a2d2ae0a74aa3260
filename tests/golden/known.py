"""KNOWN.md: the cases that differ, each with its reason."""

import os
import re

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'KNOWN.md')
ROW = re.compile(r'^\| `([^`]+)` \| (.+) \|$')


def load():
    with open(FILE, encoding='utf-8') as file:
        matches = [ROW.match(line.rstrip('\n')) for line in file]
    return {match.group(1): match.group(2) for match in matches if match}
