/* Deadlines of many objects with few durations: a queue per duration, in which setting
 * and clearing take constant time and no system call. */
#ifndef ASSAY_NET_DEADLINE_H
#define ASSAY_NET_DEADLINE_H

#include "proxy/base/check.h"
#include "proxy/base/span.h"

struct deadline_queue;

/* Embedded in the object that has a deadline; zeroed at first. */
struct deadline {
    struct deadline *next, *previous;
    struct deadline_queue *queue; /* NULL: not set */
    uint64_t at_ns;               /* monotonic */
    void (*expired)(void *owner);
    void *owner;
};

/* All zero is ready for use. */
struct deadlines {
    struct deadline_queue *queues;
};

/* Every deadline must have been cleared. */
void deadlines_done(struct deadlines *deadlines);

/* When the earliest is due; UINT64_MAX: none is set. */
uint64_t deadlines_due(const struct deadlines *deadlines);

/* Calls expired(owner), once, of each deadline that is due. */
void deadlines_expire(struct deadlines *deadlines, uint64_t now_ns);

/* (Re)sets the deadline to now + after. false without memory, possible only with a
 * duration that was never used before. */
bool deadline_set(struct deadlines *deadlines, struct deadline *deadline,
                  uint64_t now_ns, uint64_t after_ns);

/* The same for a deadline that is moved with every event of a stream: it is due up to a
 * 64th of `after` later, so that most calls find nothing to do. */
bool deadline_postpone(struct deadlines *deadlines, struct deadline *deadline,
                       uint64_t now_ns, uint64_t after_ns);

/* Does nothing if it is not set. */
void deadline_clear(struct deadline *deadline);

#endif
