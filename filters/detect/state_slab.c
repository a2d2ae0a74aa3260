#include "filters/detect/state_slab.h"

#include "filters/detect/large_pages.h"

#include <assert.h>
#include <string.h>

struct slab_chunk {
    struct slab_chunk *before; /* of the slab, or of those unused */
    bool large;                /* it lies in a large page */
};

static_assert(sizeof(struct slab_chunk) <= CACHE_LINE,
              "cells begin at the second line");

struct state_slab state_slab_of(struct slab_pool *pool, size_t size)
{
    size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return (struct state_slab){ .pool = pool, .size = size };
}

static size_t cells_of_chunk(const struct state_slab *slab)
{
    return (LARGE_PAGE - CACHE_LINE) / slab->size;
}

static void *cell_at(const struct state_slab *slab, size_t at)
{
    return (char *)slab->last + CACHE_LINE + at * slab->size;
}

/* ---- chunks ---------------------------------------------------------------------------- */

static struct slab_chunk *new_chunk(bool large)
{
    struct slab_chunk *chunk = large_pages_new(LARGE_PAGE);

    if (chunk != NULL && large) {
        large_pages_use(chunk, LARGE_PAGE);
    }
    if (chunk != NULL) {
        chunk->large = large;
    }
    return chunk;
}

static bool add_chunk(struct state_slab *slab)
{
    struct slab_chunk *chunk = slab->pool->unused;

    if (chunk != NULL) {
        slab->pool->unused = chunk->before;
    } else if ((chunk = new_chunk(slab->last != NULL)) == NULL) {
        return false;
    }
    if (slab->last != NULL && !slab->last->large) {
        large_pages_use(slab->last, LARGE_PAGE);
        slab->last->large = true;
    }
    chunk->before = slab->last;
    slab->last = chunk;
    slab->used = 0;
    return true;
}

static void drop_chunk(struct state_slab *slab)
{
    struct slab_chunk *chunk = slab->last;

    slab->last = chunk->before;
    slab->used = cells_of_chunk(slab);
    chunk->before = slab->pool->unused;
    slab->pool->unused = chunk;
}

/* ---- cells ----------------------------------------------------------------------------- */

void *state_slab_take(struct state_slab *slab)
{
    bool full = slab->last == NULL || slab->used == cells_of_chunk(slab);

    return full && !add_chunk(slab) ? NULL : cell_at(slab, slab->used++);
}

bool state_slab_give(struct state_slab *slab, void *cell)
{
    const void *last = cell_at(slab, --slab->used);
    bool moved = last != cell;

    if (moved) {
        memcpy(cell, last, slab->size);
    }
    if (slab->used == 0) {
        drop_chunk(slab);
    }
    return moved;
}

void state_slab_clear(struct state_slab *slab)
{
    while (slab->last != NULL) {
        drop_chunk(slab);
    }
}

void slab_pool_free(struct slab_pool *pool)
{
    while (pool->unused != NULL) {
        struct slab_chunk *chunk = pool->unused;

        pool->unused = chunk->before;
        large_pages_free(chunk, LARGE_PAGE);
    }
}
