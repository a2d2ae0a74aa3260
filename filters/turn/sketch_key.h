/* The secret of an installation's sketches. Without it nobody can test whether a sketch is
 * that of a text he knows; sketches of two installations cannot be compared. */
#ifndef ASSAY_FILTERS_TURN_SKETCH_KEY_H
#define ASSAY_FILTERS_TURN_SKETCH_KEY_H

#include "proxy/base/span.h"

enum { SKETCH_KEY_SIZE = 192 };

struct sketch_key {
    unsigned char bytes[SKETCH_KEY_SIZE];
};

/* Spreads a secret of any length; 32 random bytes are right. */
void sketch_key_init(struct sketch_key *key, struct span secret);

uint64_t sketch_hash(const struct sketch_key *key, const void *bytes, size_t len);

/* Scatters the bits of a hash: cheap, and one to one. */
static inline uint64_t sketch_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

#endif
