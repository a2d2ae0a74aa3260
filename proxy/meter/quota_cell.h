/* Counters of quotas: a bounded table that all workers share. Nobody locks: cells change
 * by compare-and-swap.
 *
 * A cell has two sums. `used` is what calls of its window came to; `held` is that and
 * what calls under way have reserved. `held` alone is bounded, so it alone decides. */
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

struct quota_cells;
struct quota_leases;

/* Memory is taken as it is used: 59 MiB for 100,000 callers with a day's counter and a
 * rolling one each, and at most 76 MiB. */
struct quota_cells *quota_cells_new(void);
struct quota_cells *quota_cells_free(struct quota_cells *cells);

/* The cell of a policy, window and subject, made if need be, for a reservation that will
 * give it back. Subjects that clients choose share the cell "_other" once half of all
 * cells are taken, all new ones once all are; NULL when not even that can be had. */
struct quota_cell *quota_cell_take(struct quota_cells *cells,
                                   const struct quota_policy *policy,
                                   const struct quota_window *window,
                                   struct span subject) MUST_CHECK;
void quota_cell_back(struct quota_cell *cell);

/* Adds to `held` if that does not carry it beyond `limit`. */
bool quota_cell_hold(struct quota_cell *cell, uint64_t amount,
                     uint64_t limit) MUST_CHECK;

/* The same if it holds less than `from` now: for a bound that one call may cross. */
bool quota_cell_hold_from(struct quota_cell *cell, uint64_t amount, uint64_t from,
                          uint64_t limit) MUST_CHECK;

/* What was reserved is known now to have come to `used`, by a call that began at
 * `began_s`. Times are those of rolling periods; windows have theirs in the cell. Returns
 * what is used now. */
uint64_t quota_cell_settle(struct quota_cell *cell, uint64_t reserved, uint64_t used,
                           int64_t began_s, int64_t now_s);

/* A call that began at `began_s` was settled with so much that is not its own any more: gives
 * it back, unless it leaves the rolling period within a step, or has left. */
void quota_cell_refund(struct quota_cell *cell, uint64_t amount, int64_t began_s,
                       int64_t now_s);

/* Takes what has left a rolling period out of the sums. */
void quota_cell_expire(struct quota_cell *cell, int64_t now_s);

/* When the oldest use leaves the rolling period; 0: nothing is used. */
int64_t quota_cell_frees_at(const struct quota_cell *cell);

uint64_t quota_cell_held(const struct quota_cell *cell);
uint64_t quota_cell_used(const struct quota_cell *cell);

/* Calls back for every cell. A cell lives at least as long as the call. */
void quota_cells_each(struct quota_cells *cells,
                      void (*each)(void *self, struct quota_cell *cell), void *self);

/* Any one thread, now and then: gives back cells that nobody points to, once their window
 * has been over, or nothing in their rolling period, for an hour of the steady clock (a
 * minute while three quarters of all are taken). So a wall clock that jumps ahead and back
 * finds the counters of its windows again. */
void quota_cells_sweep(struct quota_cells *cells, int64_t unix_s, int64_t steady_s);

/* Before any cell is taken: each has a lease under its number. */
void quota_cells_share(struct quota_cells *cells, struct quota_leases *leases);
uint32_t quota_cells_most(void);

/* From 1. */
uint32_t quota_cell_number(const struct quota_cells *cells,
                           const struct quota_cell *cell);
struct quota_cell *quota_cell_numbered(struct quota_cells *cells, uint32_t number);

/* Cells in use. */
uint32_t quota_cells_count(const struct quota_cells *cells);

#endif
