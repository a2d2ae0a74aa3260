/* The calls that the detector observed, in its order: `state`/turns/YYYY-MM-DD, a file
 * per day (UTC) of sketches, times and counts; never text. `assay export --turns`
 * prints them, and after a crash the detector takes in again what its saved states do
 * not have yet.
 *
 * What is put reaches the page cache at turn_log_flush(), so that kill -9 costs
 * what was put since. A torn end, as a power failure leaves it, is cut off at
 * the next start. */
#ifndef ASSAY_ANALYST_TURN_LOG_H
#define ASSAY_ANALYST_TURN_LOG_H

#include "filters/turn/turn.h"
#include "proxy/base/check.h"
#include "proxy/base/error.h"

struct turn_row {
    uint64_t number; /* from 1, ascending, with gaps where the disk was full */
    int64_t at_ms;   /* the greatest begin_ms up to it: what orders the rows */
    struct turn turn;
    char model[64];
    char tool[24];
};

struct turn_log;

/* Opens or makes the folder. NULL and an entry in *error on failure. For one thread. */
struct turn_log *turn_log_open(const char *state, struct error *error);
struct turn_log *turn_log_close(struct turn_log *log);

/* Of the last row; 0: there is none. */
uint64_t turn_log_number(const struct turn_log *log);
int64_t turn_log_at_ms(const struct turn_log *log);

/* Rows come with ascending numbers. */
void turn_log_put(struct turn_log *log, const struct turn_row *row);

/* false if something could not be written since the last flush: those rows are lost. */
bool turn_log_flush(struct turn_log *log) MUST_CHECK;

/* Deletes the days before the one of `unix_ms`. */
void turn_log_delete_before(struct turn_log *log, int64_t unix_ms);

/* Calls back for the rows of the days from `since_ms` on whose number is greater than
 * `after`, in their order, until it returns false. Any process may read while another
 * writes. false and an entry in *error if a file cannot be read. */
bool turn_log_each(const char *state, int64_t since_ms, uint64_t after,
                   bool (*each)(void *self, const struct turn_row *row), void *self,
                   struct error *error);

#endif
