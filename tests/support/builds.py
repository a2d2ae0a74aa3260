"""The builds of assay that a test runs against: the release, and those with sanitizers."""

import os
import subprocess

import proxy


def each_build(results, kinds):
    """Yield each kind, with its program in force and its name before each result. With ASSAY
    set in the environment that program alone is tested."""
    if 'ASSAY' in os.environ:
        yield kinds[0]
        return
    for kind in kinds:
        done = subprocess.run([os.path.join(proxy.ROOT, 'tests', 'build'), kind, 'assay'],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            results.ok(False, 'the %s build' % kind, done.stderr)
            continue
        program = os.path.join(done.stdout.strip(), 'assay')
        # TSan's memory map does not bear much randomness of addresses.
        proxy.use('setarch -R ' + program if kind == 'tsan' else program)
        results.prefix = '' if kind == 'release' else kind + ' '
        yield kind
    results.prefix = ''
