/* Moments as operators write them on a command line, and read them in a table. */
#ifndef ASSAY_CLI_MOMENT_H
#define ASSAY_CLI_MOMENT_H

#include "proxy/base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOMENT_TEXT_SIZE = sizeof "9999-12-31T23:59:59Z" };

enum moment_direction { MOMENT_AHEAD, MOMENT_AGO };

/* Reads "2027-01-31" (its first second, UTC), "2027-01-31T15:04:05Z", or a duration
 * such as "90d" or "12h", counted from `now` in the direction. Unix seconds, from 1 to
 * the end of the year 9999; false for anything else. */
bool moment_parse(const char *text, int64_t now, enum moment_direction direction,
                  int64_t *moment) MUST_CHECK;

/* RFC 3339 in UTC: "2027-01-31T15:04:05Z"; nothing before 1970 nor after 9999. */
void moment_print(int64_t moment, char text[MOMENT_TEXT_SIZE]);

#endif
