/* The tokens of an encoding in memory: which byte strings are tokens, and which two
 * tokens join to a third. Unpacked from NAME.ranks.zst (see README.md) when first asked
 * for, then kept; immutable, so threads share it. */
#ifndef ASSAY_FILTERS_COUNT_RANKS_H
#define ASSAY_FILTERS_COUNT_RANKS_H

#include "proxy/base/span.h"

enum ranks_name { RANKS_CL100K, RANKS_O200K };

enum {
    RANK_BITS = 18,
    RANK_NONE = (1 << RANK_BITS) - 1, /* above every rank */
    TOKEN_MAX = 128,                  /* bytes */
    PAIR_BUCKET = 4,
    KEY_TOKEN_MAX = 15, /* bytes of a token that is found by its key */
};

/* The bytes of a token, the first in the lowest byte, with zeros behind them, and its
 * length in the highest. */
struct token_key {
    uint64_t low;
    uint64_t high;
};

/* Hash tables with linear probing; a zero is an empty slot. Their sizes are powers of
 * two, a hash is the top bits of a product (64 - bits is the shift). */
struct ranks {
    const struct token_key *keys;
    const uint32_t *longs; /* 1 + where in `spelling` a token's length and bytes are */
    const char *spelling;
    const uint64_t *pairs;     /* ranks_pair() << 18 | joined, in buckets */
    const uint32_t *byte_pair; /* [first << 8 | second]: joined or RANK_NONE */
    const uint32_t *byte;      /* the rank of each byte */
    const uint32_t *starts;    /* by code point, see starts.h */
    unsigned key_shift;
    unsigned long_shift;
    unsigned pair_shift;
};

/* Never NULL. The first call of each takes 50 to 100 ms and 10 MB. */
const struct ranks *ranks_of(enum ranks_name name);

/* Are they there? If not, a thread begins to make them, once. */
bool ranks_ready(enum ranks_name name);

/* The same without beginning. */
bool ranks_loaded(enum ranks_name name);

static inline size_t ranks_hash(uint64_t word, unsigned shift)
{
    return (size_t)((word * 0x9e3779b97f4a7c15) >> shift);
}

static inline uint64_t ranks_fold(struct token_key key)
{
    return key.low ^ (key.high * 0xc2b2ae3d27d4eb4f);
}

/* Is there a token of this key? */
static inline bool ranks_has_key(const struct ranks *ranks, struct token_key key)
{
    size_t mask = SIZE_MAX >> ranks->key_shift;
    size_t slot = ranks_hash(ranks_fold(key), ranks->key_shift);

    while (((ranks->keys[slot].low ^ key.low) | (ranks->keys[slot].high ^ key.high)) !=
           0) {
        if (ranks->keys[slot].high == 0) {
            return false;
        }
        slot = (slot + 1) & mask;
    }
    return true;
}

/* For strings of more than KEY_TOKEN_MAX bytes. */
bool ranks_has_long(const struct ranks *ranks, struct span token);

/* How the pair of two tokens is known in the table. */
static inline uint64_t ranks_pair(uint32_t left, uint32_t right)
{
    return (uint64_t)1 << 2 * RANK_BITS | (uint64_t)left << RANK_BITS | right;
}

/* What two tokens join to; RANK_NONE if they do not. Looks at whole buckets, as it
 * cannot be foreseen which slot it will be, if any. */
static inline uint32_t ranks_join(const struct ranks *ranks, uint32_t left,
                                  uint32_t right)
{
    uint64_t pair = ranks_pair(left, right), last;
    size_t bucket = ranks_hash(pair, ranks->pair_shift);
    uint32_t joined = RANK_NONE;

    do {
        const uint64_t *slots = &ranks->pairs[bucket * PAIR_BUCKET];

        for (unsigned i = 0; i < PAIR_BUCKET; i++) {
            joined =
                slots[i] >> RANK_BITS == pair ? (uint32_t)slots[i] & RANK_NONE : joined;
        }
        last = slots[PAIR_BUCKET - 1];
        bucket = (bucket + 1) & (SIZE_MAX >> ranks->pair_shift);
    } while (joined == RANK_NONE && last != 0);
    return joined;
}

/* Say that a function above will be asked soon, so that its memory is fetched. */
static inline void ranks_expect_key(const struct ranks *ranks, struct token_key key)
{
    __builtin_prefetch(&ranks->keys[ranks_hash(ranks_fold(key), ranks->key_shift)]);
}

static inline void ranks_expect_join(const struct ranks *ranks, uint32_t left,
                                     uint32_t right)
{
    size_t bucket = ranks_hash(ranks_pair(left, right), ranks->pair_shift);

    __builtin_prefetch(&ranks->pairs[bucket * PAIR_BUCKET]);
}

#endif
