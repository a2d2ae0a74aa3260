/* Memory that is given back all at once, and wiped then: keys and prompts are in it. Every
 * arena has a budget from birth; past it, arena_take() returns NULL and the exchange fails,
 * not the process.
 *
 * An arena deliberately has no free of single pieces, no locking and no growth of what
 * was handed out. Blocks come from a pool that its owner keeps, so that a busy worker
 * allocates nothing after warm-up. */
#ifndef ASSAY_BASE_ARENA_H
#define ASSAY_BASE_ARENA_H

#include "proxy/base/check.h"
#include "proxy/base/span.h"

struct arena_block;

/* Blocks kept for reuse by the arenas of one thread; all their bytes are zero. */
struct arena_pool {
    struct arena_block *idle;
    size_t idle_count;
    size_t idle_limit; /* further blocks are given back to the system */
};

struct arena {
    struct arena_pool *pool;
    struct arena_block *newest;
    size_t used;   /* bytes handed out of the newest block */
    size_t total;  /* bytes of all blocks held */
    size_t budget; /* total never exceeds this */
};

void arena_pool_init(struct arena_pool *pool, size_t idle_limit);
void arena_pool_done(struct arena_pool *pool);

/* Takes no memory yet. `pool` outlives the arena. */
void arena_init(struct arena *arena, struct arena_pool *pool, size_t budget);

/* Wipes everything and gives it back; the arena can be used again. */
void arena_done(struct arena *arena);

/* Zeroed bytes, aligned for any type; NULL when the budget or memory is used up. */
void *arena_take(struct arena *arena, size_t size) MUST_CHECK;

/* A copy of `bytes`, followed by a NUL that is not counted; at is NULL on failure. */
struct span arena_copy(struct arena *arena, struct span bytes) MUST_CHECK;

#endif
