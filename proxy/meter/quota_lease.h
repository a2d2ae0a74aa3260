/* How much of a counter that replicas share this one may use up by itself, so that no
 * call waits for the network. Workers read bounds and say which counters moved; one
 * thread keeps the others informed (quota_share.h).
 *
 * A replica has registered with the others what its counter holds and a slice beyond.
 * Where nothing is registered yet, or a counter was idle and gave its slice back, it
 * may still take up one slice: so that all replicas together exceed a limit by at most
 * a slice each, but for what calls come to beyond their own reservations. */
#ifndef ASSAY_METER_QUOTA_LEASE_H
#define ASSAY_METER_QUOTA_LEASE_H

#include "proxy/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct quota_lease {
    atomic_uint_least64_t bound;      /* how much may be held */
    atomic_uint_least64_t registered; /* that the others know of */
    atomic_uint_least64_t others;     /* what they hold, as last heard */
    atomic_uint_least64_t slice;
    int64_t heard_ms;           /* the thread's own; 0: never */
    atomic_uint_least32_t next; /* in the queue */
    atomic_bool queued;
};

struct quota_leases;

/* For counters numbered from 1 to `most`. A slice is a share of the limit;
 * 1 at least. */
struct quota_leases *quota_leases_new(uint32_t most, uint32_t slice_percent,
                                      bool fail_open);
struct quota_leases *quota_leases_free(struct quota_leases *leases);

struct quota_lease *quota_lease_at(struct quota_leases *leases, uint32_t number);

/* A new counter, nobody else's yet. */
void quota_lease_begin(struct quota_leases *leases, uint32_t number, uint64_t limit);

/* ---- workers --------------------------------------------------------------------- */

/* How much may be held of a limit. While the others cannot be reached: what is leased,
 * or with fail_open all that they were not heard to hold. */
uint64_t quota_lease_bound(struct quota_leases *leases, uint32_t number,
                           uint64_t limit);

/* What the others were not heard to hold of a limit. */
uint64_t quota_lease_room(struct quota_leases *leases, uint32_t number, uint64_t limit);

/* `held` has changed: queues the counter where the others should hear of it, which is
 * one more of its uses. */
void quota_lease_moved(struct quota_leases *leases, uint32_t number, uint64_t held,
                       atomic_uint_least32_t *uses);
/* Queues it in any case. */
void quota_lease_queue(struct quota_leases *leases, uint32_t number,
                       atomic_uint_least32_t *uses);

/* ---- the thread ------------------------------------------------------------------ */

/* Readable when the queue is not empty. */
int quota_leases_fd(const struct quota_leases *leases);

/* Takes the whole queue: its first number, or 0; the next ones by quota_leases_next(),
 * which also lets the counter be queued again. */
uint32_t quota_leases_take(struct quota_leases *leases);
uint32_t quota_leases_next(struct quota_leases *leases, uint32_t number);

/* What to register for a counter that holds so much; `idle`: it did not move lately. */
uint64_t quota_lease_wanted(const struct quota_lease *lease, uint64_t held, bool idle);

/* So much is registered now, while the others hold `others`. */
void quota_lease_heard(struct quota_lease *lease, uint64_t limit, uint64_t held,
                       uint64_t registered, uint64_t others);

void quota_leases_reachable(struct quota_leases *leases, bool reachable);
bool quota_leases_are_reachable(const struct quota_leases *leases);

#endif
