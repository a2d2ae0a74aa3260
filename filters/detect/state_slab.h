/* Room for states: cells of one size, in large pages and without gaps. What is given back is
 * filled with the last cell, so that a slab takes up no more than its cells, and chunks of
 * two mebibytes that become empty serve all slabs of their pool. An idle installation pays
 * for the cells it has: a slab's first chunk is in small pages until it is full. */
#ifndef ASSAY_FILTERS_DETECT_STATE_SLAB_H
#define ASSAY_FILTERS_DETECT_STATE_SLAB_H

#include <stdbool.h>
#include <stddef.h>

enum { CACHE_LINE = 64 };

struct slab_chunk;

/* Chunks that no slab needs now; held until the end. All zero at first. */
struct slab_pool {
    struct slab_chunk *unused;
};

struct state_slab {
    struct slab_pool *pool;
    size_t size;             /* of a cell: whole cache lines */
    struct slab_chunk *last; /* the only one that may not be full; NULL: no cells */
    size_t used;             /* cells in it */
};

/* For cells of at least `size` bytes. */
struct state_slab state_slab_of(struct slab_pool *pool, size_t size);

/* At a cache line's beginning, uninitialized; NULL without memory. */
void *state_slab_take(struct state_slab *slab);

/* Moves the last cell to where this one was, and returns whether there was another. */
bool state_slab_give(struct state_slab *slab, void *cell);

/* Gives all cells back. */
void state_slab_clear(struct state_slab *slab);
/* No slab of it has a cell. */
void slab_pool_free(struct slab_pool *pool);

#endif
