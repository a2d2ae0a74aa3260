/* A counter of a quota. Nobody locks: cells change by compare-and-swap. They live in a
 * table that all workers share: quota_cells.h.
 *
 * A cell has two sums. `used` is what calls of its window came to; `held` is that and
 * what calls under way have reserved. `held` alone is bounded, so it alone decides.
 * Amounts are in the unit of the policy's limit. */
#ifndef ASSAY_METER_QUOTA_CELL_H
#define ASSAY_METER_QUOTA_CELL_H

#include "proxy/base/check.h"
#include "proxy/meter/quota_policy.h"

#include <stdatomic.h>

/* What a rolling period is cut into: 20 whole steps and the one under way. */
enum { QUOTA_STEPS = 21 };

/* What was used in each step. A step is claimed for a new time by its epoch. */
struct quota_steps {
    atomic_uint_least64_t amounts[QUOTA_STEPS];
    atomic_uint_least32_t epochs[QUOTA_STEPS]; /* 0: none */
    atomic_uint_least32_t next;                /* among the spare ones */
};

struct quota_cell {
    atomic_uint_least64_t held;
    atomic_uint_least64_t used;
    uint64_t key;        /* hash of policy, window and subject */
    uint32_t policy;     /* its number */
    atomic_bool refused; /* a call was, since somebody was told */
    atomic_uchar told;   /* the share of its limit that somebody was told of, percent */
    int64_t begins, ends;
    struct quota_steps *steps;  /* of a rolling period; else NULL */
    uint32_t step_s;            /* length of one */
    uint32_t over_since_s;      /* when a sweep found it over, steady; 0: not yet */
    atomic_uint_least32_t next; /* among the spare ones */
    atomic_uint_least32_t uses; /* reservations that point to it */
    char subject[QUOTA_SUBJECT_SIZE];
};

/* A reservation does not point to it any more. */
void quota_cell_back(struct quota_cell *cell);

/* Adds to `held` if that does not carry it beyond `limit`. */
bool quota_cell_hold(struct quota_cell *cell, uint64_t amount,
                     uint64_t limit) MUST_CHECK;

/* The same if it holds less than `from` now: for a bound that one call may cross. */
bool quota_cell_hold_from(struct quota_cell *cell, uint64_t amount, uint64_t from,
                          uint64_t limit) MUST_CHECK;

/* What was reserved is known now to have come to `used`, by a call that began at
 * `began_s`. Times are those of rolling periods; windows have theirs in the cell.
 * Returns what is used now. */
uint64_t quota_cell_settle(struct quota_cell *cell, uint64_t reserved, uint64_t used,
                           int64_t began_s, int64_t now_s);

/* A call that began at `began_s` was charged with an amount that turns out not to
 * be its own: gives it back, unless it has left the rolling period, or will
 * within a step. */
void quota_cell_refund(struct quota_cell *cell, uint64_t amount, int64_t began_s,
                       int64_t now_s);

/* Takes what has left a rolling period out of the sums. */
void quota_cell_expire(struct quota_cell *cell, int64_t now_s);

/* When the oldest use leaves the rolling period; 0: nothing is used. */
int64_t quota_cell_frees_at(const struct quota_cell *cell);

uint64_t quota_cell_held(const struct quota_cell *cell);
uint64_t quota_cell_used(const struct quota_cell *cell);

#endif
