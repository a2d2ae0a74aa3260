/* "Did you mean ...?": the known word that a mistyped one is closest to. */
#ifndef ASSAY_CONFIG_NEAREST_H
#define ASSAY_CONFIG_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *wanted;
    const char *word; /* the best so far, borrowed; NULL: nothing is close */
    size_t distance;
};

/* Starts a search for what `wanted` (borrowed) may have meant. */
struct nearest nearest_to(const char *wanted);

/* Offers a known word; the first of equally close ones is kept. */
void nearest_offer(struct nearest *nearest, const char *word);

/* Offers each word of a list with NULL at the end. */
void nearest_offer_all(struct nearest *nearest, const char *const *words);

#endif
