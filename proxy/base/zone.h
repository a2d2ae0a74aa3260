/* A time zone of the tz database, as wall clocks there show it. Read once, immutable:
 * unlike the C library's, several can be in use at once, on any thread. */
#ifndef ASSAY_BASE_ZONE_H
#define ASSAY_BASE_ZONE_H

#include <stdint.h>

struct zone;

/* Reads /usr/share/zoneinfo/NAME (RFC 8536); "UTC" needs no file. NULL where there is
 * no such zone. Daylight saving is known to the year 2200. */
struct zone *zone_load(const char *name);

/* Takes NULL; returns NULL. */
struct zone *zone_free(struct zone *zone);

/* What the wall clock shows, as seconds since 1970-01-01T00:00 there. */
int64_t zone_local(const struct zone *zone, int64_t unix_s);

/* The first moment at which the wall clock shows `local` or more: where an hour is
 * skipped the end of the gap, where one is repeated its first passage. */
int64_t zone_reach(const struct zone *zone, int64_t local);

#endif
