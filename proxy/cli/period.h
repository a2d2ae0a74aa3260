/* Which part of the ledger a command reads: --since and --until. */
#ifndef ASSAY_CLI_PERIOD_H
#define ASSAY_CLI_PERIOD_H

#include "proxy/cli/command.h"
#include "proxy/meter/ledger.h"

enum { PERIOD_TEXT_SIZE = sizeof "9999-12-31T23:59:59.999Z" };

/* Reads "24h" (ago), "2026-11-20" (its first moment, UTC) or RFC 3339 with any fraction
 * and offset ("2026-11-20T08:30:00.5+01:00"). Unix nanoseconds, not 0. */
bool period_moment(const char *text, uint64_t now_unix_ns,
                   uint64_t *unix_ns) MUST_CHECK;

/* RFC 3339 in UTC with milliseconds, as entry_json() writes times. */
void period_print(uint64_t unix_ns, char text[PERIOD_TEXT_SIZE]);

/* Reads the options into *query; false once it has told the mistake. */
bool period_read(const struct command_line *line,
                 struct ledger_query *query) MUST_CHECK;

/* Can the ledger in the state folder be read? Tells why not. */
bool period_ledger(const struct config *config, struct error *error) MUST_CHECK;

#endif
