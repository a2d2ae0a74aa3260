#include "proxy/cli/moment.h"

#include "config/quantity.h"
#include "proxy/base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MOMENT_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

enum { MS_PER_SECOND = 1000 };

void moment_print(int64_t moment, char text[MOMENT_TEXT_SIZE])
{
    time_t seconds = moment < 0 ? 0 : moment < MOMENT_MAX ? moment : MOMENT_MAX;
    struct tm parts;

    CHECK(gmtime_r(&seconds, &parts) != NULL);
    CHECK(strftime(text, MOMENT_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0);
}

/* strptime() takes the 31st of February and white space anywhere: what it read must
 * read the same when printed again. */
static bool date_parse(const char *text, int64_t *moment)
{
    char whole[MOMENT_TEXT_SIZE];
    char again[MOMENT_TEXT_SIZE];
    struct tm parts = { 0 };
    bool day = strlen(text) == strlen("2027-01-31");

    if (snprintf(whole, sizeof whole, "%s%s", text, day ? "T00:00:00Z" : "") !=
            sizeof whole - 1 ||
        strptime(whole, "%Y-%m-%dT%H:%M:%SZ", &parts) == NULL) {
        return false;
    }
    *moment = timegm(&parts);
    if (*moment > MOMENT_MAX) {
        return false;
    }
    moment_print(*moment, again);
    return strcmp(again, whole) == 0;
}

static bool span_parse(const char *text, int64_t now, enum moment_direction direction,
                       int64_t *moment)
{
    uint64_t milliseconds;
    int64_t seconds;

    if (!duration_parse(span_text(text), &milliseconds) ||
        milliseconds / MS_PER_SECOND > MOMENT_MAX) {
        return false;
    }
    seconds = (int64_t)(milliseconds / MS_PER_SECOND);
    *moment = direction == MOMENT_AHEAD ? now + seconds : now - seconds;
    return true;
}

bool moment_parse(const char *text, int64_t now, enum moment_direction direction,
                  int64_t *moment)
{
    return (date_parse(text, moment) || span_parse(text, now, direction, moment)) &&
           *moment > 0 && *moment <= MOMENT_MAX;
}
