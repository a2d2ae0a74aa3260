/* The program's log: one line per event, one line per exchange. Lines go through a
 * bounded buffer to a thread that writes them, so a full disk or a stopped reader never
 * holds up a caller: what does not fit is dropped and counted, and the log says so when
 * it can.
 *
 * For alert, sharing, analyst, engine, admin and cli only; library layers return what
 * went wrong instead. Never pass bodies, keys, tokens, cookies or query strings. Do not
 * include <syslog.h> beside this header: it defines macros of the same names. */
#ifndef ASSAY_BASE_LOG_H
#define ASSAY_BASE_LOG_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_JSON, LOG_TEXT };

/* Starts the writer. `path` is a file, opened for appending and readable by its
 * owner and group, or "-" for standard error. Lines below `least` are left out.
 * Before log_open() and after log_close(), log_line() writes plain text to standard
 * error at once. */
bool log_open(const char *path, enum log_format format, enum log_level least,
              struct error *error) MUST_CHECK;

/* Writes what waits and ends the writer. Gives up after two seconds if nobody reads. */
void log_close(void);

/* Asks the writer to open the file anew (after rotation). If that fails, the old file
 * stays and the reason is logged. Not to be called from a signal handler. */
void log_reopen(void);

/* One event. `event` is a fixed word such as "reload_failed", `format` makes one
 * line that a person understands; control characters in it are escaped, and it is
 * cut at 1 KiB. */
void log_line(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One exchange: a whole JSON object without a newline, written as it is. Dropped if the
 * log is not open. */
void log_entry(struct span json_line);

/* Lines dropped since the program started. */
uint64_t log_dropped(void);

#endif
