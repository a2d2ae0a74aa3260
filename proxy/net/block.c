#include "proxy/net/block.h"

#include <stdlib.h>

struct block {
    struct block *next;
    size_t begin, end; /* bytes[begin..end) wait */
    char bytes[BLOCK_BYTES];
};

void block_pool_init(struct block_pool *pool, size_t idle_limit)
{
    *pool = (struct block_pool){ .idle_limit = idle_limit };
}

void block_pool_done(struct block_pool *pool)
{
    while (pool->idle != NULL) {
        struct block *block = pool->idle;

        pool->idle = block->next;
        free(block);
    }
    pool->idle_count = 0;
}

static struct block *block_new(struct block_pool *pool)
{
    struct block *block = pool->idle;

    if (block != NULL) {
        pool->idle = block->next;
        pool->idle_count--;
    } else {
        block = malloc(sizeof *block);
        if (block == NULL) {
            return NULL;
        }
    }
    block->next = NULL;
    block->begin = 0;
    block->end = 0;
    return block;
}

static void block_free(struct block_pool *pool, struct block *block)
{
    explicit_bzero(block->bytes, block->end);
    if (pool->idle_count >= pool->idle_limit) {
        free(block);
        return;
    }
    block->next = pool->idle;
    pool->idle = block;
    pool->idle_count++;
}

static bool queue_grow(struct block_queue *queue, struct block_pool *pool)
{
    struct block *block = block_new(pool);

    if (block == NULL) {
        return false;
    }
    if (queue->last == NULL) {
        queue->first = block;
    } else {
        queue->last->next = block;
    }
    queue->last = block;
    return true;
}

bool block_put(struct block_queue *queue, struct block_pool *pool, struct span bytes)
{
    while (bytes.len > 0) {
        struct block *last = queue->last;
        size_t room;

        if (last == NULL || last->end == BLOCK_BYTES) {
            if (!queue_grow(queue, pool)) {
                return false;
            }
            last = queue->last;
        }
        room = BLOCK_BYTES - last->end;
        if (room > bytes.len) {
            room = bytes.len;
        }
        memcpy(last->bytes + last->end, bytes.at, room);
        last->end += room;
        queue->bytes += room;
        bytes = span_after(bytes, room);
    }
    return true;
}

struct span block_front(const struct block_queue *queue)
{
    const struct block *first = queue->first;

    if (first == NULL) {
        return span_of(NULL, 0);
    }
    return span_of(first->bytes + first->begin, first->end - first->begin);
}

struct span block_next(const struct block_queue *queue, const struct block **cursor)
{
    const struct block *block = *cursor == NULL ? queue->first : (*cursor)->next;

    if (block == NULL) {
        return span_of(NULL, 0);
    }
    *cursor = block;
    return span_of(block->bytes + block->begin, block->end - block->begin);
}

size_t block_spans(const struct block_queue *queue, struct span *spans, size_t limit)
{
    const struct block *block = queue->first;
    size_t count = 0;

    for (; block != NULL && count < limit; block = block->next) {
        spans[count++] =
            span_of(block->bytes + block->begin, block->end - block->begin);
    }
    return count;
}

void block_drop(struct block_queue *queue, struct block_pool *pool, size_t n)
{
    CHECK(n <= queue->bytes);
    queue->bytes -= n;
    while (n > 0) {
        struct block *first = queue->first;
        size_t here;

        CHECK(first != NULL);
        here = first->end - first->begin;
        if (n < here) {
            first->begin += n;
            return;
        }
        n -= here;
        queue->first = first->next;
        if (queue->first == NULL) {
            queue->last = NULL;
        }
        block_free(pool, first);
    }
}

void block_clear(struct block_queue *queue, struct block_pool *pool)
{
    block_drop(queue, pool, queue->bytes);
}
