/* How often a value fell into which bucket. One thread counts, any thread reads; the
 * writer pays two plain additions, no locked instruction. */
#ifndef ASSAY_BASE_HISTOGRAM_H
#define ASSAY_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS_MAX = 24 };

struct histogram {
    const uint64_t *bounds; /* ascending; a bound belongs to the bucket below it */
    size_t bound_count;
    atomic_uint_least64_t sum;
    atomic_uint_least64_t buckets[HISTOGRAM_BOUNDS_MAX + 1]; /* the last has no bound */
};

/* What was read of one histogram, or the sum of several with the same bounds. */
struct histogram_copy {
    uint64_t sum;
    uint64_t count; /* of all buckets */
    uint64_t buckets[HISTOGRAM_BOUNDS_MAX + 1];
};

/* Borrows `bounds` for its lifetime: at most
 * HISTOGRAM_BOUNDS_MAX, strictly ascending. */
void histogram_init(struct histogram *histogram, const uint64_t *bounds, size_t count);

/* Owner: counts one value, in the unit of the bounds. */
void histogram_count(struct histogram *histogram, uint64_t value);

/* Any thread: adds what was counted so far to *copy, which the caller zeroed. A value
 * counted meanwhile may show in its bucket and not yet in the sum. */
void histogram_read(const struct histogram *histogram, struct histogram_copy *copy);

#endif
