/* A memory of 16-bit fingerprints that noise cannot empty: what came once lies in a ring
 * that the next newcomers overwrite; what came again moves to a ring of its own, which only
 * others that came again overwrite. With n entries a value that never came is taken for
 * known once in 65,536 / n times. */
#ifndef ASSAY_FILTERS_DETECT_RECALL_H
#define ASSAY_FILTERS_DETECT_RECALL_H

#include <stdbool.h>
#include <stdint.h>

/* The caller's memory: `fresh_size` fingerprints, then `known_size` more; 0 is free. */
struct recall {
    uint16_t *fresh;
    uint16_t *known;
    uint16_t fresh_size;
    uint16_t known_size;
    uint16_t *fresh_head;
    uint16_t *known_head;
};

/* A fingerprint of 64 bits of hash; never 0. */
uint16_t recall_fingerprint(uint64_t hash);

enum recalled {
    RECALLED_NEVER,
    RECALLED_ONCE, /* it lies with the newcomers */
    RECALLED_OFTEN /* it came again before */
};

enum recalled recall_of(const struct recall *recall, uint16_t fingerprint);

/* Takes a value in: a newcomer, or one that came again. */
void recall_put(const struct recall *recall, uint16_t fingerprint);

#endif
