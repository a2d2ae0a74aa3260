#include "proxy/analyst/call_order.h"

#include <stdlib.h>

/* A waiting call's place in the heap. */
struct waiting {
    int64_t begin_ms;
    uint64_t number;
    unsigned slot;
};

/* Places of the heap behind the `count` waiting calls name free slots, up to `used`;
 * the memory behind was never touched. */
struct call_order {
    unsigned most;
    unsigned count;
    unsigned used;
    uint64_t number;
    struct waiting *heap;
    struct analyst_call *slots;
};

struct call_order *call_order_new(unsigned most)
{
    struct call_order *order = calloc(1, sizeof *order);

    if (order == NULL) {
        return NULL;
    }
    order->most = most;
    order->heap = calloc(most, sizeof *order->heap);
    order->slots = calloc(most, sizeof *order->slots);
    if (order->heap == NULL || order->slots == NULL) {
        return call_order_free(order);
    }
    return order;
}

struct call_order *call_order_free(struct call_order *order)
{
    if (order != NULL) {
        free(order->heap);
        free(order->slots);
        free(order);
    }
    return NULL;
}

bool call_order_full(const struct call_order *order)
{
    return order->count == order->most;
}

size_t call_order_waiting(const struct call_order *order)
{
    return order->count;
}

static bool comes_first(const struct waiting *a, const struct waiting *b)
{
    return a->begin_ms != b->begin_ms ? a->begin_ms < b->begin_ms
                                      : a->number < b->number;
}

static void swap(struct waiting *a, struct waiting *b)
{
    struct waiting other = *a;

    *a = *b;
    *b = other;
}

struct analyst_call *call_order_slot(struct call_order *order)
{
    CHECK(order->count < order->most);
    if (order->count == order->used) {
        order->heap[order->used].slot = order->used;
        order->used++;
    }
    return &order->slots[order->heap[order->count].slot];
}

void call_order_put(struct call_order *order)
{
    struct waiting *heap = order->heap;
    unsigned at = order->count++;

    heap[at].begin_ms = order->slots[heap[at].slot].call.turn.begin_ms;
    heap[at].number = order->number++;
    while (at > 0 && comes_first(&heap[at], &heap[(at - 1) / 2])) {
        swap(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sink(struct call_order *order)
{
    struct waiting *heap = order->heap;
    unsigned at = 0;

    for (unsigned child = 1; child < order->count; child = 2 * at + 1) {
        if (child + 1 < order->count && comes_first(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (comes_first(&heap[at], &heap[child])) {
            return;
        }
        swap(&heap[at], &heap[child]);
        at = child;
    }
}

struct analyst_call *call_order_take(struct call_order *order, int64_t before_ms)
{
    if (order->count == 0 || order->heap[0].begin_ms >= before_ms) {
        return NULL;
    }
    order->count--;
    swap(&order->heap[0], &order->heap[order->count]);
    sink(order);
    return &order->slots[order->heap[order->count].slot];
}
