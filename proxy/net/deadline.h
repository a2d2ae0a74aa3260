/* Deadlines of many objects with few durations: a queue per duration, in which setting
 * and clearing take constant time and no system call. One libevent timer serves all. */
#ifndef ASSAY_NET_DEADLINE_H
#define ASSAY_NET_DEADLINE_H

#include "proxy/base/check.h"
#include "proxy/base/span.h"

#include <event2/event.h>

struct deadline_queue;

/* Embedded in the object that has a deadline; zeroed at first. */
struct deadline {
    struct deadline *next, *previous;
    struct deadline_queue *queue; /* NULL: not set */
    uint64_t at_ns;               /* monotonic */
    void (*expired)(void *owner);
    void *owner;
};

struct deadlines {
    struct event_base *base;
    struct event *timer;
    uint64_t timer_at_ns; /* 0: not armed */
    struct deadline_queue *queues;
};

bool deadlines_init(struct deadlines *deadlines, struct event_base *base) MUST_CHECK;

/* Every deadline must have been cleared. */
void deadlines_done(struct deadlines *deadlines);

/* (Re)sets the deadline to now + after: calls expired(owner) then, once. false without
 * memory, possible only with a duration that was never used before. */
bool deadline_set(struct deadlines *deadlines, struct deadline *deadline,
                  uint64_t now_ns, uint64_t after_ns);

/* Does nothing if it is not set. */
void deadline_clear(struct deadline *deadline);

#endif
