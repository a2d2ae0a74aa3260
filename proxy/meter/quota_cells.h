/* All counters of quotas: a bounded table that all workers share, without locks. */
#ifndef ASSAY_METER_QUOTA_CELLS_H
#define ASSAY_METER_QUOTA_CELLS_H

#include "proxy/meter/quota_cell.h"

struct quota_cells;
struct quota_leases;

/* Memory is taken as it is used: 58 MiB for 100,000 callers with a day's counter and a
 * rolling one each, and at most 74 MiB. */
struct quota_cells *quota_cells_new(void);
struct quota_cells *quota_cells_free(struct quota_cells *cells);

/* The cell of a policy, window and subject, made if need be, for a reservation that
 * will hand it to quota_cell_back(). Subjects that clients choose share the cell
 * "_other" once half of all cells are taken, all new ones once all are; NULL when not
 * even that can be had. */
struct quota_cell *quota_cells_take(struct quota_cells *cells,
                                    const struct quota_policy *policy,
                                    const struct quota_window *window,
                                    struct span subject) MUST_CHECK;

/* Calls back for every cell. A cell lives at least as long as the call. */
void quota_cells_each(struct quota_cells *cells,
                      void (*each)(void *self, struct quota_cell *cell), void *self);

/* Any one thread, now and then: gives back cells that nobody points to, once their
 * window has been over, or nothing in their rolling period, for an hour of the steady
 * clock (a minute while three quarters of all are taken). So a wall clock that jumps
 * ahead and back finds the counters of its windows again. */
void quota_cells_sweep(struct quota_cells *cells, int64_t unix_s, int64_t steady_s);

/* Before any cell is taken: each has a lease under its number. */
void quota_cells_share(struct quota_cells *cells, struct quota_leases *leases);
uint32_t quota_cells_most(void);

/* Cells have numbers, from 1. */
uint32_t quota_cells_number(const struct quota_cells *cells,
                            const struct quota_cell *cell);
struct quota_cell *quota_cells_at(struct quota_cells *cells, uint32_t number);

/* Cells in use. */
uint32_t quota_cells_count(const struct quota_cells *cells);

#endif
