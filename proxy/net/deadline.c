#include "proxy/net/deadline.h"

#include "proxy/base/clock.h"

#include <stdlib.h>

struct deadline_queue {
    struct deadline_queue *next;
    uint64_t after_ns;
    struct deadline ends; /* ring: ends.next is due first */
};

static void unlink_deadline(struct deadline *deadline)
{
    deadline->previous->next = deadline->next;
    deadline->next->previous = deadline->previous;
    deadline->queue = NULL;
}

static void timer_arm(struct deadlines *deadlines, uint64_t now_ns, uint64_t at_ns)
{
    uint64_t wait_ns = at_ns > now_ns ? at_ns - now_ns : 0;
    /* Rounded up: a timer that fires early would only have to be set again. */
    uint64_t wait_us = wait_ns / NS_PER_US + 1;
    struct timeval wait = {
        .tv_sec = (time_t)(wait_us / 1000000),
        .tv_usec = (suseconds_t)(wait_us % 1000000),
    };

    deadlines->timer_at_ns = at_ns;
    CHECK(event_add(deadlines->timer, &wait) == 0);
}

static void queue_expire(struct deadline_queue *queue, uint64_t now_ns)
{
    while (queue->ends.next != &queue->ends && queue->ends.next->at_ns <= now_ns) {
        struct deadline *due = queue->ends.next;

        unlink_deadline(due);
        due->expired(due->owner);
    }
}

static void timer_fired(evutil_socket_t fd, short events, void *self)
{
    struct deadlines *deadlines = self;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t next_ns = UINT64_MAX;

    (void)fd;
    (void)events;
    deadlines->timer_at_ns = 0;
    for (struct deadline_queue *q = deadlines->queues; q != NULL; q = q->next) {
        queue_expire(q, now_ns);
    }
    for (struct deadline_queue *q = deadlines->queues; q != NULL; q = q->next) {
        if (q->ends.next != &q->ends && q->ends.next->at_ns < next_ns) {
            next_ns = q->ends.next->at_ns;
        }
    }
    if (next_ns != UINT64_MAX) {
        timer_arm(deadlines, now_ns, next_ns);
    }
}

bool deadlines_init(struct deadlines *deadlines, struct event_base *base)
{
    *deadlines = (struct deadlines){ .base = base };
    deadlines->timer = event_new(base, -1, 0, timer_fired, deadlines);
    return deadlines->timer != NULL;
}

void deadlines_done(struct deadlines *deadlines)
{
    while (deadlines->queues != NULL) {
        struct deadline_queue *queue = deadlines->queues;

        CHECK(queue->ends.next == &queue->ends);
        deadlines->queues = queue->next;
        free(queue);
    }
    if (deadlines->timer != NULL) {
        event_free(deadlines->timer);
    }
}

static struct deadline_queue *queue_for(struct deadlines *deadlines, uint64_t after_ns)
{
    struct deadline_queue *queue = deadlines->queues;

    for (; queue != NULL; queue = queue->next) {
        if (queue->after_ns == after_ns) {
            return queue;
        }
    }
    queue = malloc(sizeof *queue);
    if (queue == NULL) {
        return NULL;
    }
    *queue = (struct deadline_queue){ .next = deadlines->queues, .after_ns = after_ns };
    queue->ends.next = &queue->ends;
    queue->ends.previous = &queue->ends;
    deadlines->queues = queue;
    return queue;
}

bool deadline_set(struct deadlines *deadlines, struct deadline *deadline,
                  uint64_t now_ns, uint64_t after_ns)
{
    struct deadline_queue *queue = deadline->queue;

    if (queue == NULL || queue->after_ns != after_ns) {
        queue = queue_for(deadlines, after_ns);
        if (queue == NULL) {
            return false;
        }
    }
    deadline_clear(deadline);
    deadline->at_ns = now_ns + after_ns;
    deadline->queue = queue;
    deadline->next = &queue->ends;
    deadline->previous = queue->ends.previous;
    deadline->previous->next = deadline;
    queue->ends.previous = deadline;
    if (deadlines->timer_at_ns == 0 || deadline->at_ns < deadlines->timer_at_ns) {
        timer_arm(deadlines, now_ns, deadline->at_ns);
    }
    return true;
}

void deadline_clear(struct deadline *deadline)
{
    if (deadline->queue != NULL) {
        unlink_deadline(deadline);
    }
}
