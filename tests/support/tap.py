"""Test Anything Protocol on standard output."""

import sys


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

    def done(self):
        """Print the plan; return the exit status."""
        print('1..%d' % self.count)
        sys.stdout.flush()
        return 1 if self.failed else 0


def skip_all(reason):
    """The whole file is skipped, visibly."""
    print('1..0 # SKIP ' + reason)
    return 0
