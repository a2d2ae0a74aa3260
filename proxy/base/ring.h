/* A queue of fixed-size items between two threads: one puts, the other takes. Neither
 * ever waits; what does not fit is refused. Items are plain data and are copied. */
#ifndef ASSAY_BASE_RING_H
#define ASSAY_BASE_RING_H

#include "proxy/base/check.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { RING_CACHE_LINE = 64 };

struct ring {
    char *items;
    size_t item_size;
    size_t mask; /* capacity - 1 */

    /* The producer's line: how much was ever put, and the last `taken` it saw. */
    alignas(RING_CACHE_LINE) atomic_size_t put;
    size_t taken_seen;

    /* The consumer's line, likewise. */
    alignas(RING_CACHE_LINE) atomic_size_t taken;
    size_t put_seen;
};

/* `capacity` is a power of two. false without memory. */
bool ring_init(struct ring *ring, size_t item_size, size_t capacity) MUST_CHECK;

/* After both threads have stopped using it. */
void ring_done(struct ring *ring);

/* Producer: false if the ring is full; the item was not put. */
bool ring_put(struct ring *ring, const void *item) MUST_CHECK;

/* Consumer: false if the ring is empty; *item is untouched. */
bool ring_take(struct ring *ring, void *item) MUST_CHECK;

/* Any thread: how many items wait, as seen at some moment during the call. */
size_t ring_waiting(const struct ring *ring);

#endif
