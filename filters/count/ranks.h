/* The tokens of an encoding in memory: which byte strings are tokens, and which two tokens
 * join to a third. Unpacked from NAME.ranks.zst (see README.md) when first asked for, then
 * kept; immutable, so threads share it. */
#ifndef ASSAY_FILTERS_COUNT_RANKS_H
#define ASSAY_FILTERS_COUNT_RANKS_H

#include "proxy/base/span.h"

enum ranks_name { RANKS_CL100K, RANKS_O200K };

enum {
    RANK_BITS = 18,
    RANK_NONE = (1 << RANK_BITS) - 1, /* above every rank */
    TOKEN_MAX = 128,                  /* bytes */
    /* Tokens are found by comparing machine words: one up to 7 bytes, two up to 15. */
    SHORT_TOKEN_MAX = 7,
    WIDE_TOKEN_MAX = 15,
};

/* The bytes of a token with zeros behind them, and its length in the top byte. */
struct wide_key {
    uint64_t low;
    uint64_t high;
};

/* Hash tables with linear probing; a zero is an empty slot. Their sizes are powers of two,
 * a hash is the top bits of a product (64 - bits is the shift). */
struct ranks {
    const uint64_t *shorts; /* bytes of a token and its length in the top byte */
    const struct wide_key *wides;
    const uint32_t *longs; /* 1 + where in `spelling` a token's length and bytes are */
    const char *spelling;
    const uint64_t *pairs;     /* left << 36 | right << 18 | joined */
    const uint32_t *byte_pair; /* [first << 8 | second]: joined or RANK_NONE */
    const uint32_t *byte;      /* the rank of each byte */
    const uint32_t *starts;    /* by code point, see starts.h */
    unsigned short_shift;
    unsigned wide_shift;
    unsigned long_shift;
    unsigned pair_shift;
};

/* Never NULL. The first call of each takes some 10 ms and 10 MB. */
const struct ranks *ranks_of(enum ranks_name name);

static inline size_t ranks_hash(uint64_t word, unsigned shift)
{
    return (size_t)((word * 0x9e3779b97f4a7c15) >> shift);
}

static inline uint64_t ranks_fold(struct wide_key key)
{
    return key.low ^ (key.high * 0xc2b2ae3d27d4eb4f);
}

/* Is there a short token of this key? */
static inline bool ranks_has_short(const struct ranks *ranks, uint64_t key)
{
    size_t mask = SIZE_MAX >> ranks->short_shift;
    size_t slot = ranks_hash(key, ranks->short_shift);

    while (ranks->shorts[slot] != key) {
        if (ranks->shorts[slot] == 0) {
            return false;
        }
        slot = (slot + 1) & mask;
    }
    return true;
}

static inline bool ranks_has_wide(const struct ranks *ranks, struct wide_key key)
{
    size_t mask = SIZE_MAX >> ranks->wide_shift;
    size_t slot = ranks_hash(ranks_fold(key), ranks->wide_shift);

    while (ranks->wides[slot].low != key.low || ranks->wides[slot].high != key.high) {
        if (ranks->wides[slot].high == 0) {
            return false;
        }
        slot = (slot + 1) & mask;
    }
    return true;
}

/* For strings of more than WIDE_TOKEN_MAX bytes. */
bool ranks_has_long(const struct ranks *ranks, struct span token);

/* What two tokens join to; RANK_NONE if they do not. */
static inline uint32_t ranks_join(const struct ranks *ranks, uint32_t left,
                                  uint32_t right)
{
    uint64_t key = (uint64_t)left << RANK_BITS | right;
    size_t mask = SIZE_MAX >> ranks->pair_shift;
    size_t slot = ranks_hash(key, ranks->pair_shift);
    uint64_t found = ranks->pairs[slot];

    while (found >> RANK_BITS != key) {
        if (found == 0) {
            return RANK_NONE;
        }
        slot = (slot + 1) & mask;
        found = ranks->pairs[slot];
    }
    return (uint32_t)found & RANK_NONE;
}

/* Says that ranks_join() will be asked soon. */
static inline void ranks_expect(const struct ranks *ranks, uint32_t left,
                                uint32_t right)
{
    uint64_t key = (uint64_t)left << RANK_BITS | right;

    __builtin_prefetch(&ranks->pairs[ranks_hash(key, ranks->pair_shift)]);
}

#endif
