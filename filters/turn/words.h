/* A text as hashes of its tokens: (a) a run of ASCII letters, "_" and U+0080 to U+FFFF,
 * (b) a run of ASCII digits, (c) any other single code point that is not white space. Where
 * a script puts no spaces between words, each character is a token, hashed with the two
 * before it: three such tokens in a row are five characters. */
#ifndef ASSAY_FILTERS_TURN_WORDS_H
#define ASSAY_FILTERS_TURN_WORDS_H

#include "filters/turn/sketch_key.h"

enum { WORD_CHUNK = 128 };

struct word {
    uint64_t hash;
    bool content; /* begins with a letter, at least two characters, no stop word */
};

typedef void word_seen(void *self, const struct word *word);

/* The token being read. Its hash is that of its first chunk, carried into that of the
 * next, so that any length takes constant memory. */
struct words {
    const struct sketch_key *key;
    word_seen *seen;
    void *self;
    uint64_t carried;
    uint32_t unspaced[2]; /* the characters before, of a script without spaces */
    uint32_t characters;  /* of this token */
    uint8_t kind;
    uint8_t len;
    char chunk[WORD_CHUNK];
};

void words_init(struct words *words, const struct sketch_key *key, word_seen *seen,
                void *self);

/* The next code point, in lower case. */
void words_put(struct words *words, uint32_t code);
void words_end(struct words *words);

#endif
