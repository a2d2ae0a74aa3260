/* Dates of the Gregorian calendar as numbers of days since 1970-01-01. */
#ifndef ASSAY_BASE_DATE_H
#define ASSAY_BASE_DATE_H

#include "proxy/base/text.h"

enum { DATE_DAY_S = 24 * 60 * 60 };

struct date {
    int64_t year;
    unsigned month; /* 1 to 12 */
    unsigned day;   /* 1 to 31 */
};

int64_t date_days(const struct date *date);
struct date date_of_days(int64_t days);

/* 0 is Sunday. */
unsigned date_weekday(int64_t days);

/* Appends RFC 3339: "2026-11-21T00:00:00+01:00", or with Z where the wall clock shows
 * UTC. `local` is what the wall clock shows at `unix_s`, from the year 0 to 9999. */
void date_put(struct text *text, int64_t unix_s, int64_t local);

#endif
