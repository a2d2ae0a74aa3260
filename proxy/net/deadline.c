#include "proxy/net/deadline.h"

#include <stdlib.h>

/* A postponed deadline is late by up to this part of its duration. */
enum { LATENESS = 64 };

struct deadline_queue {
    struct deadline_queue *next;
    uint64_t after_ns;
    uint64_t due_ns;      /* of ends.next: every turn of a loop asks, and it is cold */
    struct deadline ends; /* ring: ends.next is due first */
};

static void note_due(struct deadline_queue *queue)
{
    queue->due_ns =
        queue->ends.next == &queue->ends ? UINT64_MAX : queue->ends.next->at_ns;
}

static void unlink_deadline(struct deadline *deadline)
{
    struct deadline_queue *queue = deadline->queue;

    deadline->previous->next = deadline->next;
    deadline->next->previous = deadline->previous;
    deadline->queue = NULL;
    if (deadline->previous == &queue->ends) {
        note_due(queue);
    }
}

void deadlines_done(struct deadlines *deadlines)
{
    while (deadlines->queues != NULL) {
        struct deadline_queue *queue = deadlines->queues;

        CHECK(queue->ends.next == &queue->ends);
        deadlines->queues = queue->next;
        free(queue);
    }
}

uint64_t deadlines_due(const struct deadlines *deadlines)
{
    const struct deadline_queue *queue = deadlines->queues;
    uint64_t due_ns = UINT64_MAX;

    for (; queue != NULL; queue = queue->next) {
        if (queue->due_ns < due_ns) {
            due_ns = queue->due_ns;
        }
    }
    return due_ns;
}

void deadlines_expire(struct deadlines *deadlines, uint64_t now_ns)
{
    struct deadline_queue *queue = deadlines->queues;

    for (; queue != NULL; queue = queue->next) {
        while (queue->due_ns <= now_ns) {
            struct deadline *due = queue->ends.next;

            unlink_deadline(due);
            due->expired(due->owner);
        }
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
    *queue = (struct deadline_queue){ .next = deadlines->queues,
                                      .after_ns = after_ns,
                                      .due_ns = UINT64_MAX };
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
    if (deadline->previous == &queue->ends) {
        note_due(queue);
    }
    return true;
}

bool deadline_postpone(struct deadlines *deadlines, struct deadline *deadline,
                       uint64_t now_ns, uint64_t after_ns)
{
    uint64_t late_ns = after_ns + after_ns / LATENESS;

    return (deadline->queue != NULL && deadline->queue->after_ns == late_ns &&
            deadline->at_ns >= now_ns + after_ns) ||
           deadline_set(deadlines, deadline, now_ns, late_ns);
}

void deadline_clear(struct deadline *deadline)
{
    if (deadline->queue != NULL) {
        unlink_deadline(deadline);
    }
}
