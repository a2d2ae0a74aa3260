#include "proxy/base/ring.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool ring_init(struct ring *ring, size_t item_size, size_t capacity)
{
    CHECK(item_size > 0 && capacity > 0 && (capacity & (capacity - 1)) == 0);
    *ring = (struct ring){ .item_size = item_size, .mask = capacity - 1 };
    atomic_init(&ring->put, 0);
    atomic_init(&ring->taken, 0);
    ring->items = calloc(capacity, item_size);
    return ring->items != NULL;
}

void ring_done(struct ring *ring)
{
    free(ring->items);
    ring->items = NULL;
}

static char *place_of(const struct ring *ring, size_t number)
{
    return ring->items + (number & ring->mask) * ring->item_size;
}

bool ring_put(struct ring *ring, const void *item)
{
    size_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);

    if (put - ring->taken_seen > ring->mask) {
        /* Acquire: the consumer has copied the item out before its place is reused. */
        ring->taken_seen = atomic_load_explicit(&ring->taken, memory_order_acquire);
        if (put - ring->taken_seen > ring->mask) {
            return false;
        }
    }
    memcpy(place_of(ring, put), item, ring->item_size);
    atomic_store_explicit(&ring->put, put + 1, memory_order_release);
    return true;
}

bool ring_take(struct ring *ring, void *item)
{
    size_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);

    if (taken == ring->put_seen) {
        ring->put_seen = atomic_load_explicit(&ring->put, memory_order_acquire);
        if (taken == ring->put_seen) {
            return false;
        }
    }
    memcpy(item, place_of(ring, taken), ring->item_size);
    atomic_store_explicit(&ring->taken, taken + 1, memory_order_release);
    return true;
}

size_t ring_waiting(const struct ring *ring)
{
    /* `taken` first: it never passes the `put` that is read after it. */
    size_t taken = atomic_load_explicit(&ring->taken, memory_order_acquire);
    size_t put = atomic_load_explicit(&ring->put, memory_order_acquire);
    size_t waiting = put - taken;

    return waiting > ring->mask + 1 ? ring->mask + 1 : waiting;
}
