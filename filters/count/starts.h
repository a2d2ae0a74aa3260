/* Where the encoding of a piece may begin: with whole characters instead of bytes.
 *
 * The bytes of a character join in the same order in every text, unless a token that
 * reaches over the character's edge takes some of them first, such as " \xe7" or
 * "\x97\xe4\xba\xac". There are few of these, so almost always the tokens of the single
 * characters are where byte-pair encoding arrives anyhow, and most of its steps are
 * saved in scripts of two or three bytes per character.
 *
 * Joining a and b needs both, so ranks rise along the way: when the joint of rank r
 * is made, every joint of lower rank that could be made is there. A character B after
 * A is therefore safe from the left, unless some token made of x and y exists with x
 * at the end of A (or A at the end of x), y an unfinished begin of B, and a rank
 * before y is finished; likewise from the right. The flags answer this per character,
 * erring to the safe side. */
#ifndef ASSAY_FILTERS_COUNT_STARTS_H
#define ASSAY_FILTERS_COUNT_STARTS_H

#include "filters/count/ranks.h"

enum {
    START_POINTS = 0x10000, /* code points beyond begin as bytes */

    START_RANK = RANK_NONE, /* the token, for a character that is one */

    START_SHAPE = 3 << RANK_BITS,      /* what a character is */
    START_ONE = 0 << RANK_BITS,        /* one token */
    START_PAIR_LAST = 1 << RANK_BITS,  /* its first two bytes, its last */
    START_FIRST_PAIR = 2 << RANK_BITS, /* its first byte, its last two */
    START_BYTES = 3 << RANK_BITS,      /* a token per byte */

    START_TAKES_NEXT = 4 << RANK_BITS,     /* may end a token that takes of the next */
    START_TAKES_PREVIOUS = 8 << RANK_BITS, /* may begin one that takes of the last */
    START_LOSES_BEGIN = 16 << RANK_BITS,   /* such a token comes before this is whole */
    START_LOSES_END = 32 << RANK_BITS,
};

/* Makes the table of starts ([START_POINTS], zeroed) when the rest of `ranks` is
 * filled: every token of two halves is noted, in any order. */
struct starts_maker *starts_maker_new(const struct ranks *ranks, uint32_t *starts);
void starts_note(struct starts_maker *maker, struct span left, struct span right,
                 uint32_t joined);
void starts_maker_finish(struct starts_maker *maker);

/* Writes the tokens that a piece (valid UTF-8) begins as, at most one per byte, and
 * returns how many. */
size_t starts_of(const struct ranks *ranks, struct span piece, uint32_t *tokens);

#endif
