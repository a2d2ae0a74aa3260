/* A text as hashes of its tokens: (a) a run of ASCII letters, "_" and U+0080 to U+FFFF,
 * (b) a run of ASCII digits, (c) any other single code point that is not white space.
 * Where a script puts no spaces between words, each character is a token, hashed with
 * the two before it: three such tokens in a row are five characters. */
#ifndef ASSAY_FILTERS_TURN_WORDS_H
#define ASSAY_FILTERS_TURN_WORDS_H

#include "filters/turn/characters.h"
#include "filters/turn/sketch_key.h"

enum { WORD_CHUNK = 128 };

enum word_kind { WORD_NONE, WORD_LETTERS, WORD_DIGITS, WORD_UNSPACED, WORD_OTHER };

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
    bool tell_content;    /* is word.content asked for? */
    uint8_t kind;         /* enum word_kind */
    uint8_t len;
    char chunk[WORD_CHUNK];
};

void words_init(struct words *words, const struct sketch_key *key, word_seen *seen,
                void *self);

/* The next code point, in lower case. */
void words_put(struct words *words, uint32_t code);

/* A space, or a run of ASCII letters in either case or of digits, which is most of
 * every text: how many bytes at the front of `text`, which is not empty; 0 if it begins
 * with something else. The same as words_put() of each. */
size_t words_put_plain(struct words *words, struct span text);

void words_end(struct words *words);

#endif
