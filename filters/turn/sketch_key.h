/* The secret of an installation's sketches. Without it nobody can test whether a sketch is
 * that of a text he knows; sketches of two installations cannot be compared. */
#ifndef ASSAY_FILTERS_TURN_SKETCH_KEY_H
#define ASSAY_FILTERS_TURN_SKETCH_KEY_H

#define XXH_STATIC_LINKING_ONLY /* states by value */
#include "proxy/base/span.h"

#include <xxhash.h>

enum { SKETCH_KEY_SIZE = 192, SKETCH_SHORT = 16 };

struct sketch_key {
    unsigned char bytes[SKETCH_KEY_SIZE];
};

/* Spreads a secret of any length; 32 random bytes are right. */
void sketch_key_init(struct sketch_key *key, struct span secret);

uint64_t sketch_hash(const struct sketch_key *key, const void *bytes, size_t len);

/* As XXH3_64bits_digest(), which leaves the end of a text on the stack. */
uint64_t sketch_digest(const XXH3_state_t *state);

/* Scatters the bits of a hash: cheap, and one to one. */
static inline uint64_t sketch_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

/* The two halves of a product of 64 bits each, folded. */
static inline uint64_t sketch_fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 product;
    product whole = (product)a * b;

    return (uint64_t)whole ^ (uint64_t)(whole >> 64);
}

/* As sketch_hash(), with other values, for 1 to 16 bytes: most words. */
static inline uint64_t sketch_hash_short(const struct sketch_key *key,
                                         const char *bytes, size_t len)
{
    uint64_t secret[4], front = 0, back = 0;

    memcpy(secret, key->bytes, sizeof(secret));
    if (len >= 8) {
        memcpy(&front, bytes, 8);
        memcpy(&back, bytes + len - 8, 8);
    } else if (len >= 4) {
        uint32_t four;

        memcpy(&four, bytes, 4);
        front = four;
        memcpy(&four, bytes + len - 4, 4);
        back = four;
    } else {
        front = (uint64_t)(unsigned char)bytes[0] << 16 |
                (uint64_t)(unsigned char)bytes[len / 2] << 8 |
                (unsigned char)bytes[len - 1];
    }
    front = sketch_fold(front ^ secret[0], back ^ secret[1] ^ len);
    return sketch_fold(front ^ secret[2], secret[3]);
}

#endif
