"""Test Anything Protocol on standard output."""

import re
import sys

RESULT = re.compile(r'(not )?ok \d+ - (.*?)( # SKIP .*)?$')


class Tap:
    """Numbers results, prints diagnostics, remembers failure."""

    def __init__(self):
        self.count = 0
        self.prefix = ''
        self.failed = 0

    def result(self, passed, name, directive='', notes=()):
        self.count += 1
        self.failed += not passed
        print('%sok %d - %s%s%s' % (
            '' if passed else 'not ', self.count, self.prefix, name, directive))
        for note in notes:
            for line in str(note).splitlines() or ['']:
                print('#   ' + line)
        sys.stdout.flush()
        return passed

    def ok(self, passed, name, *notes):
        """One result; notes are printed only for a failure."""
        return self.result(bool(passed), name, '', () if passed else notes)

    def skip(self, name, reason):
        self.result(True, name, ' # SKIP ' + reason)

    def note(self, text):
        for line in str(text).splitlines():
            print('# ' + line)
        sys.stdout.flush()

    def adopt(self, name, output, status):
        """The results of another program, which must have run them all."""
        count = self.count
        for line in output.splitlines():
            match = RESULT.match(line)
            if match:
                self.result(not match.group(1), match.group(2), match.group(3) or '')
            elif not line.startswith('1..'):
                print(line)
        whole = '1..%d' % (self.count - count) in output.splitlines()
        if not whole or status not in (0, 1):
            self.ok(False, name + ' runs all its tests', 'exit status %d' % status)

    def done(self):
        """Print the plan; return the exit status."""
        print('1..%d' % self.count)
        sys.stdout.flush()
        return 1 if self.failed else 0


def skip_all(reason):
    """The whole file is skipped, visibly."""
    print('1..0 # SKIP ' + reason)
    return 0
