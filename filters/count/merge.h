/* Byte-pair encoding of one piece: the two neighbours that join to the token of the
 * lowest rank are joined, the leftmost of several, until none can be. */
#ifndef ASSAY_FILTERS_COUNT_MERGE_H
#define ASSAY_FILTERS_COUNT_MERGE_H

#include "filters/count/ranks.h"

/* How many tokens are left of some pieces (valid UTF-8, not empty). For a piece of n
 * bytes at most O(n log n) time and 28 n bytes of memory; n is below 2^31. */
size_t merge_count(const struct ranks *ranks, const struct span *pieces, size_t len);

#endif
