/* A memory of 16-bit fingerprints that noise cannot empty: what came once lies in a
 * ring that the next newcomers overwrite; what came again lies also in a ring of its
 * own, which only others that came again overwrite. Either ring is cut into banks, and
 * a value has its bank, so that few entries are looked at and few can be mistaken for
 * it: with n entries of either kind together, one value in 65,536 * RECALL_BANKS /
 * n. */
#ifndef ASSAY_FILTERS_DETECT_RECALL_H
#define ASSAY_FILTERS_DETECT_RECALL_H

#include <stdint.h>

enum { RECALL_BANKS = 8 };

/* Memory of the caller's: all zero at first. */
struct recall {
    uint16_t *fresh; /* RECALL_BANKS * fresh_size */
    uint16_t *known; /* RECALL_BANKS * known_size */
    uint8_t *heads;  /* 2 * RECALL_BANKS */
    uint8_t fresh_size;
    uint8_t known_size;
};

enum recalled {
    RECALLED_NEVER,
    RECALLED_ONCE, /* it lies with the newcomers */
    RECALLED_OFTEN /* it came again before */
};

enum recalled recall_of(const struct recall *recall, uint64_t hash);

/* Takes a value in: a newcomer, or one that came again. */
void recall_put(const struct recall *recall, uint64_t hash);

#endif
