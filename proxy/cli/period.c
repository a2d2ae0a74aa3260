#include "proxy/cli/period.h"

#include "proxy/base/clock.h"
#include "proxy/cli/moment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    SECONDS_LEN = sizeof "2026-11-20T08:30:00" - 1,
    OFFSET_LEN = sizeof "+01:00" - 1
};

/* ".5" after the seconds, as nanoseconds; moves past it. Further digits are cut. */
static bool take_fraction(const char **text, uint64_t *ns)
{
    uint64_t unit = NS_PER_S;
    const char *at = *text;

    *ns = 0;
    if (*at != '.') {
        return true;
    }
    for (at++; *at >= '0' && *at <= '9'; at++) {
        unit /= 10;
        *ns += unit * (uint64_t)(*at - '0');
    }
    if (at == *text + 1) {
        return false;
    }
    *text = at;
    return true;
}

/* "Z" or "+01:00", as the seconds it is ahead of UTC. */
static bool read_offset(const char *text, int64_t *seconds)
{
    uint64_t hours;
    uint64_t minutes;

    *seconds = 0;
    if (strcmp(text, "Z") == 0) {
        return true;
    }
    if (strlen(text) != OFFSET_LEN || (*text != '+' && *text != '-') ||
        !span_decimal(span_of(text + 1, 2), &hours) || hours > 23 || text[3] != ':' ||
        !span_decimal(span_of(text + 4, 2), &minutes) || minutes > 59) {
        return false;
    }
    *seconds = (int64_t)(hours * 60 + minutes) * (*text == '+' ? 60 : -60);
    return true;
}

/* What moment_parse() leaves out: fractions and offsets. */
static bool parse_rfc3339(const char *text, uint64_t *unix_ns)
{
    char whole[MOMENT_TEXT_SIZE];
    const char *rest = text + SECONDS_LEN;
    uint64_t fraction;
    int64_t offset;
    int64_t moment;

    if (strlen(text) <= SECONDS_LEN) {
        return false;
    }
    snprintf(whole, sizeof whole, "%.*sZ", SECONDS_LEN, text);
    if (!moment_parse(whole, 0, MOMENT_AHEAD, &moment) ||
        !take_fraction(&rest, &fraction) || !read_offset(rest, &offset) ||
        moment <= offset) {
        return false;
    }
    *unix_ns = (uint64_t)(moment - offset) * NS_PER_S + fraction;
    return true;
}

bool period_moment(const char *text, uint64_t now_unix_ns, uint64_t *unix_ns)
{
    /* Nanoseconds end with the year 2554, moments with 9999. */
    const int64_t last = INT64_MAX / NS_PER_S;
    int64_t moment;

    if (moment_parse(text, clock_seconds(now_unix_ns), MOMENT_AGO, &moment)) {
        *unix_ns = (uint64_t)(moment < last ? moment : last) * NS_PER_S;
        return true;
    }
    return parse_rfc3339(text, unix_ns);
}

void period_print(uint64_t unix_ns, char text[PERIOD_TEXT_SIZE])
{
    char seconds[MOMENT_TEXT_SIZE];

    moment_print(clock_seconds(unix_ns), seconds);
    snprintf(text, PERIOD_TEXT_SIZE, "%.*s.%03uZ", SECONDS_LEN, seconds,
             (unsigned)(unix_ns / NS_PER_MS % 1000));
}

static bool read_option(const struct command_line *line, const char *name,
                        uint64_t now_unix_ns, uint64_t *unix_ns)
{
    const char *text = command_option(line, name);

    if (text == NULL || period_moment(text, now_unix_ns, unix_ns)) {
        return true;
    }
    command_misused(line,
                    "--%s: '%s' is neither a time ago (24h, 30d) nor a date"
                    " (2026-11-20, 2026-11-20T08:30:00Z)",
                    name, text);
    return false;
}

bool period_read(const struct command_line *line, struct ledger_query *query)
{
    uint64_t now = clock_unix_ns();

    if (!read_option(line, "since", now, &query->since_ns) ||
        !read_option(line, "until", now, &query->until_ns)) {
        return false;
    }
    if (query->until_ns != 0 && query->since_ns >= query->until_ns) {
        command_misused(line, "--until %s is not after --since %s",
                        command_option(line, "until"), command_option(line, "since"));
        return false;
    }
    return true;
}

bool period_ledger(const struct config *config, struct error *error)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/ledger.db", config->state);
    if (access(path, R_OK) == 0) {
        return true;
    }
    if (errno == ENOENT) {
        error_add(error, (struct error_place){ 0 },
                  "there is no ledger yet: 'assay run' makes %s at its first start;"
                  " another configuration is named with --config",
                  path);
    } else {
        error_add(error, (struct error_place){ 0 }, "ledger: %s cannot be read: %s",
                  path, strerror(errno));
    }
    return false;
}
