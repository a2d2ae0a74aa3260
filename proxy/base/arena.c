#include "proxy/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

/* One page of pieces is enough for most exchanges; larger pieces get their own block. */
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
    block = malloc(sizeof *block + size);
    if (block != NULL) {
        block->size = size;
    }
    return block;
}

static void block_free(struct arena_pool *pool, struct arena_block *block)
{
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
    while (arena->newest != NULL) {
        struct arena_block *block = arena->newest;

        arena->newest = block->next;
        block_free(arena->pool, block);
    }
    arena->used = 0;
    arena->total = 0;
}

static bool arena_grow(struct arena *arena, size_t size)
{
    size_t block_size = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    struct arena_block *block;

    if (block_size > arena->budget - arena->total) {
        return false;
    }
    block = block_new(arena->pool, block_size);
    if (block == NULL) {
        return false;
    }
    block->next = arena->newest;
    arena->newest = block;
    arena->used = 0;
    arena->total += block_size;
    return true;
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    char *piece;

    if (size > arena->budget) {
        return NULL;
    }
    size = (size + align - 1) / align * align;
    if ((arena->newest == NULL || size > arena->newest->size - arena->used) &&
        !arena_grow(arena, size)) {
        return NULL;
    }
    piece = arena->newest->bytes + arena->used;
    arena->used += size;
    return memset(piece, 0, size);
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
