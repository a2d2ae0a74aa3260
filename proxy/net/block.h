/* Bytes waiting: a queue of fixed-size blocks that a loop keeps for reuse, wiped: prompts
 * were in them. An empty queue holds no memory. */
#ifndef ASSAY_NET_BLOCK_H
#define ASSAY_NET_BLOCK_H

#include "proxy/base/check.h"
#include "proxy/base/span.h"

enum { BLOCK_BYTES = 16 * 1024 - 64 };

struct block;

/* Blocks kept for reuse by the queues of one thread. */
struct block_pool {
    struct block *idle;
    size_t idle_count;
    size_t idle_limit;
};

struct block_queue {
    struct block *first, *last;
    size_t bytes;
};

void block_pool_init(struct block_pool *pool, size_t idle_limit);
void block_pool_done(struct block_pool *pool);

/* Copies bytes to the queue's end. false without memory: the queue then
 * holds a part. */
bool block_put(struct block_queue *queue, struct block_pool *pool,
               struct span bytes) MUST_CHECK;

/* The bytes at the queue's front, as many as lie together; empty if the queue is. */
struct span block_front(const struct block_queue *queue);

/* Walks the queue without dropping anything: *cursor is NULL at first. Empty
 * at the end. */
struct span block_next(const struct block_queue *queue, const struct block **cursor);

/* Fills `spans` with the queue's bytes from its front; returns how many it filled. */
size_t block_spans(const struct block_queue *queue, struct span *spans, size_t limit);

/* Drops the first n bytes; n may not exceed queue->bytes. */
void block_drop(struct block_queue *queue, struct block_pool *pool, size_t n);

/* Drops everything. */
void block_clear(struct block_queue *queue, struct block_pool *pool);

#endif
