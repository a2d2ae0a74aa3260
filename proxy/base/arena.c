#include "proxy/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

/* One page of pieces is enough for most exchanges; larger pieces get
 * their own block. */
enum { BLOCK_SIZE = 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of bytes[] */
    alignas(max_align_t) char bytes[];
};

static struct arena_block *block_new(struct arena_pool *pool, size_t size)
{
    struct arena_block *block;

    if (size == BLOCK_SIZE && pool->idle != NULL) {
        block = pool->idle;
        pool->idle = block->next;
        pool->idle_count--;
        return block;
    }
    block = calloc(1, sizeof *block + size);
    if (block != NULL) {
        block->size = size;
    }
    return block;
}

/* Of its bytes those up to `used` may not be zero. */
static void block_free(struct arena_pool *pool, struct arena_block *block, size_t used)
{
    explicit_bzero(block->bytes, used);
    if (block->size == BLOCK_SIZE && pool->idle_count < pool->idle_limit) {
        block->next = pool->idle;
        pool->idle = block;
        pool->idle_count++;
        return;
    }
    free(block);
}

void arena_pool_init(struct arena_pool *pool, size_t idle_limit)
{
    *pool = (struct arena_pool){ .idle_limit = idle_limit };
}

void arena_pool_done(struct arena_pool *pool)
{
    while (pool->idle != NULL) {
        struct arena_block *block = pool->idle;

        pool->idle = block->next;
        free(block);
    }
    pool->idle_count = 0;
}

void arena_init(struct arena *arena, struct arena_pool *pool, size_t budget)
{
    *arena = (struct arena){ .pool = pool, .budget = budget };
}

void arena_done(struct arena *arena)
{
    size_t used = arena->used;

    while (arena->newest != NULL) {
        struct arena_block *block = arena->newest;

        arena->newest = block->next;
        block_free(arena->pool, block, used);
        used = arena->newest != NULL ? arena->newest->size : 0;
    }
    arena->used = 0;
    arena->total = 0;
}

/* A block within the budget; the caller links it. */
static struct arena_block *arena_grow(struct arena *arena, size_t size)
{
    struct arena_block *block;

    if (size > arena->budget - arena->total) {
        return NULL;
    }
    block = block_new(arena->pool, size);
    if (block != NULL) {
        arena->total += size;
    }
    return block;
}

/* A large piece fills a block of its own, behind the newest: what is left of that one
 * stays in use. */
static char *take_large(struct arena *arena, size_t size)
{
    struct arena_block *block = arena_grow(arena, size);

    if (block == NULL) {
        return NULL;
    }
    if (arena->newest == NULL) {
        block->next = NULL;
        arena->newest = block;
        arena->used = size;
    } else {
        block->next = arena->newest->next;
        arena->newest->next = block;
    }
    return block->bytes;
}

static char *take_small(struct arena *arena, size_t size)
{
    char *piece;

    if (arena->newest == NULL || size > arena->newest->size - arena->used) {
        struct arena_block *block = arena_grow(arena, BLOCK_SIZE);

        if (block == NULL) {
            return NULL;
        }
        block->next = arena->newest;
        arena->newest = block;
        arena->used = 0;
    }
    piece = arena->newest->bytes + arena->used;
    arena->used += size;
    return piece;
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);

    if (size > arena->budget) {
        return NULL;
    }
    size = (size + align - 1) / align * align;
    return size > BLOCK_SIZE ? take_large(arena, size) : take_small(arena, size);
}

struct span arena_copy(struct arena *arena, struct span bytes)
{
    char *copy = arena_take(arena, bytes.len + 1);

    if (copy == NULL) {
        return span_of(NULL, 0);
    }
    if (bytes.len > 0) {
        memcpy(copy, bytes.at, bytes.len);
    }
    return span_of(copy, bytes.len);
}
