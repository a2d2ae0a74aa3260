"""Made-up prose: words of syllables between common ones. The same seed gives the same text."""

import random

SYLLABLES = [a + b for a in ('b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'st',
                             'tr', 'pl', 'gr') for b in ('a', 'e', 'i', 'o', 'u', 'ar', 'en', 'il')]
COMMON = ('the a to of in and is for on it this that with we can do as at from by not if so all '
          'any use then there what how which make let should would could').split()
WORDS = 6000


def vocabulary():
    rng = random.Random('vocabulary')
    words = set()
    while len(words) < WORDS:
        words.add(''.join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 4))))
    return sorted(words)


VOCABULARY = vocabulary()


def prose(rng, characters):
    """A text of about so many characters."""
    words, length = [], -1
    while length < characters:
        word = rng.choice(COMMON) if rng.random() < .4 else rng.choice(VOCABULARY)
        if rng.random() < .12:
            word += rng.choice(('.', ',', ':', '?'))
        words.append(word)
        length += len(word) + 1
    text = ' '.join(words)[:characters].strip()
    return text[:1].upper() + text[1:] or 'y'


def answer(rng):
    return prose(rng, rng.randint(250, 900))


class Prompts:
    """Texts for the sketches of one person's prompts: equal sketches get equal texts, near
    ones texts that have as much in common."""

    NEAR = .25

    def __init__(self, seed):
        self.seed = seed
        self.by_hash = {}
        self.kept = []

    def text(self, sketch):
        whole = sketch['h']
        if whole not in self.by_hash:
            rng = random.Random('%s %s' % (self.seed, whole))
            self.by_hash[whole] = self.near(rng, sketch) or prose(rng, sketch['len'])
            self.kept.append((set(sketch['bk']), self.by_hash[whole]))
        return self.by_hash[whole]

    def near(self, rng, sketch):
        shingles = set(sketch['bk'])
        best, text = 0, None
        for other, candidate in self.kept[-400:]:
            alike = len(shingles & other) / max(1, len(shingles | other))
            if alike > best:
                best, text = alike, candidate
        if best < self.NEAR or sketch['len'] < 24:
            return None
        front = text[:max(8, int(sketch['len'] * 2 * best / (1 + best)))]
        return (front + ' ' + prose(rng, max(1, sketch['len'] - len(front)))).strip()
