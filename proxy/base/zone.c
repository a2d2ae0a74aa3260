#include "proxy/base/zone.h"

#include "proxy/base/check.h"
#include "proxy/base/date.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_MAX = 256 * 1024,
    HEADER_SIZE = 44,
    LAST_YEAR = 2200,
    SHIFT_MAX = 26 * 60 * 60 /* no wall clock is further from UTC than this */
};

/* Offsets hold from one change to the next: offsets[i] before times[i], the last one
 * behind the last time. */
struct zone {
    size_t count; /* of times; there is one offset more */
    int64_t *times;
    int64_t *offsets;
};

static struct zone *zone_new(size_t room)
{
    struct zone *zone = calloc(1, sizeof *zone);

    CHECK(zone != NULL);
    zone->times = calloc(room + 1, sizeof *zone->times);
    zone->offsets = calloc(room + 1, sizeof *zone->offsets);
    CHECK(zone->times != NULL && zone->offsets != NULL);
    return zone;
}

struct zone *zone_free(struct zone *zone)
{
    if (zone != NULL) {
        free(zone->times);
        free(zone->offsets);
        free(zone);
    }
    return NULL;
}

static void add_change(struct zone *zone, int64_t at, int64_t offset)
{
    zone->times[zone->count++] = at;
    zone->offsets[zone->count] = offset;
}

/* ---- the file's end: a POSIX TZ rule for the years behind its table -------------- */

struct rule_date {
    /* 'M': month, week and weekday; 'J': day 1 to 365, no leap day; 'n': day 0 to 365 */
    char kind;
    unsigned month, week, day;
    int64_t time; /* of that day, on the wall clock before the change */
};

struct rule {
    int64_t standard, summer; /* seconds ahead of UTC */
    struct rule_date begin, end;
};

static bool take_number(struct span *text, unsigned most, unsigned *number)
{
    size_t digits = 0;

    *number = 0;
    while (digits < text->len && text->at[digits] >= '0' && text->at[digits] <= '9' &&
           digits < 4) {
        *number = *number * 10 + (unsigned)(text->at[digits++] - '0');
    }
    *text = span_after(*text, digits);
    return digits > 0 && *number <= most;
}

static bool take_char(struct span *text, char c)
{
    if (text->len == 0 || text->at[0] != c) {
        return false;
    }
    *text = span_after(*text, 1);
    return true;
}

/* "CET" or "<+0330>" */
static bool take_name(struct span *text)
{
    size_t len = 0;

    if (take_char(text, '<')) {
        len = span_find(*text, '>');
        if (len == text->len) {
            return false;
        }
        *text = span_after(*text, len + 1);
        return true;
    }
    while (len < text->len && ((text->at[len] | 0x20) >= 'a') &&
           ((text->at[len] | 0x20) <= 'z')) {
        len++;
    }
    *text = span_after(*text, len);
    return len >= 3;
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static bool take_time(struct span *text, int64_t *seconds)
{
    unsigned hours, minutes = 0, rest = 0;
    bool negative = take_char(text, '-');

    if (!negative) {
        (void)take_char(text, '+');
    }
    if (!take_number(text, 167, &hours) ||
        (take_char(text, ':') &&
         (!take_number(text, 59, &minutes) ||
          (take_char(text, ':') && !take_number(text, 59, &rest))))) {
        return false;
    }
    *seconds = (int64_t)hours * 3600 + (int64_t)minutes * 60 + rest;
    *seconds = negative ? -*seconds : *seconds;
    return true;
}

static bool take_date(struct span *text, struct rule_date *date)
{
    bool good;

    date->time = 2 * 60 * 60;
    if (take_char(text, 'M')) {
        date->kind = 'M';
        good = take_number(text, 12, &date->month) && take_char(text, '.') &&
               take_number(text, 5, &date->week) && take_char(text, '.') &&
               take_number(text, 6, &date->day) && date->month > 0 && date->week > 0;
    } else {
        date->kind = take_char(text, 'J') ? 'J' : 'n';
        good = take_number(text, 365, &date->day);
    }
    return good && (!take_char(text, '/') || take_time(text, &date->time));
}

/* "CET-1CEST,M3.5.0,M10.5.0/3"; true with begin.kind 0 where there is
 * no summer time. */
static bool read_rule(struct span text, struct rule *rule)
{
    *rule = (struct rule){ 0 };
    if (!take_name(&text) || !take_time(&text, &rule->standard)) {
        return false;
    }
    rule->standard = -rule->standard; /* POSIX counts west of Greenwich */
    if (text.len == 0) {
        return true;
    }
    rule->summer = rule->standard + 3600;
    if (!take_name(&text)) {
        return false;
    }
    if (text.len > 0 && text.at[0] != ',') {
        if (!take_time(&text, &rule->summer)) {
            return false;
        }
        rule->summer = -rule->summer;
    }
    return take_char(&text, ',') && take_date(&text, &rule->begin) &&
           take_char(&text, ',') && take_date(&text, &rule->end) && text.len == 0;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t rule_day(const struct rule_date *date, int64_t year)
{
    int64_t first = date_days(&(struct date){ year, 1, 1 });
    int64_t day, next;

    if (date->kind == 'n') {
        return first + date->day;
    }
    if (date->kind == 'J') {
        return first + date->day - 1 + (date->day > 59 && is_leap(year) ? 1 : 0);
    }
    first = date_days(&(struct date){ year, date->month, 1 });
    next = date->month == 12 ? date_days(&(struct date){ year + 1, 1, 1 })
                             : date_days(&(struct date){ year, date->month + 1, 1 });
    day = first + (date->day + 7 - date_weekday(first)) % 7 + (date->week - 1) * 7;
    return day < next ? day : day - 7;
}

/* The changes of one year behind those of the table. */
static void add_year(struct zone *zone, const struct rule *rule, int64_t year)
{
    int64_t begin =
        rule_day(&rule->begin, year) * DATE_DAY_S + rule->begin.time - rule->standard;
    int64_t end =
        rule_day(&rule->end, year) * DATE_DAY_S + rule->end.time - rule->summer;
    int64_t last = zone->count == 0 ? INT64_MIN : zone->times[zone->count - 1];

    if (begin < end) {
        if (begin > last) {
            add_change(zone, begin, rule->summer);
        }
        if (end > last) {
            add_change(zone, end, rule->standard);
        }
    } else {
        if (end > last) {
            add_change(zone, end, rule->standard);
        }
        if (begin > last) {
            add_change(zone, begin, rule->summer);
        }
    }
}

static bool add_rule(struct zone *zone, struct span text)
{
    struct rule rule;

    if (text.len == 0) {
        return true;
    }
    if (!read_rule(text, &rule)) {
        return false;
    }
    if (rule.begin.kind == 0) {
        return true; /* the table's last offset is its own */
    }
    for (int64_t year = 1970; year <= LAST_YEAR; year++) {
        add_year(zone, &rule, year);
    }
    return true;
}

/* ---- the file -------------------------------------------------------------------- */

static uint64_t big_endian(const char *at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | (unsigned char)at[i];
    }
    return value;
}

/* Counts of a header, in the order of the file. */
struct counts {
    size_t utc, standard, leaps, times, types, names;
};

static bool read_header(struct span *file, struct counts *counts)
{
    size_t *const order[] = { &counts->utc,   &counts->standard, &counts->leaps,
                              &counts->times, &counts->types,    &counts->names };

    if (file->len < HEADER_SIZE || !span_starts(*file, SPAN("TZif")) ||
        file->at[4] < '2') {
        return false;
    }
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        *order[i] = big_endian(file->at + 20 + 4 * i, 4);
        if (*order[i] > FILE_MAX) {
            return false;
        }
    }
    *file = span_after(*file, HEADER_SIZE);
    return counts->types > 0;
}

static size_t block_size(const struct counts *counts, size_t time_size)
{
    return counts->times * (time_size + 1) + counts->types * 6 + counts->names +
           counts->leaps * (time_size + 4) + counts->standard + counts->utc;
}

static bool add_table(struct zone *zone, struct span block, const struct counts *counts)
{
    const char *kinds = block.at + counts->times * 8;
    const char *types = kinds + counts->times;

    zone->offsets[0] = (int32_t)big_endian(types, 4);
    for (size_t i = 0; i < counts->times; i++) {
        size_t type = (unsigned char)kinds[i];
        int64_t at = (int64_t)big_endian(block.at + i * 8, 8);

        if (type >= counts->types ||
            (zone->count > 0 && at <= zone->times[zone->count - 1])) {
            return false;
        }
        add_change(zone, at, (int32_t)big_endian(types + type * 6, 4));
    }
    for (size_t i = 0; i <= zone->count; i++) {
        if (zone->offsets[i] < -SHIFT_MAX || zone->offsets[i] > SHIFT_MAX) {
            return false;
        }
    }
    return true;
}

static struct zone *zone_read(struct span file)
{
    struct counts counts;
    struct zone *zone;
    struct span block;

    /* First the table of 32 bits, which ends in 2038, then that of 64. */
    if (!read_header(&file, &counts) || block_size(&counts, 4) > file.len) {
        return NULL;
    }
    file = span_after(file, block_size(&counts, 4));
    if (!read_header(&file, &counts) || block_size(&counts, 8) > file.len) {
        return NULL;
    }
    block = file;
    file = span_after(file, block_size(&counts, 8));
    zone = zone_new(counts.times + 2 * (LAST_YEAR - 1970 + 1));
    if (!add_table(zone, block, &counts) || !take_char(&file, '\n') ||
        !add_rule(zone, span_of(file.at, span_find(file, '\n')))) {
        return zone_free(zone);
    }
    return zone;
}

static bool is_zone_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
            strchr("/_+-", c) == NULL) {
            return false;
        }
    }
    return name.len > 0 && name.len < 64 && name.at[0] != '/';
}

struct zone *zone_load(const char *name)
{
    char path[128];
    char *memory;
    struct zone *zone;
    FILE *file;

    if (strcmp(name, "UTC") == 0) {
        return zone_new(0);
    }
    if (!is_zone_name(span_text(name))) {
        return NULL;
    }
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    memory = malloc(FILE_MAX);
    CHECK(memory != NULL);
    zone = zone_read(span_of(memory, fread(memory, 1, FILE_MAX, file)));
    free(memory);
    fclose(file);
    return zone;
}

/* ---- questions ------------------------------------------------------------------- */

/* How many changes have happened at this moment. */
static size_t changes_until(const struct zone *zone, int64_t unix_s)
{
    size_t low = 0, high = zone->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zone->times[middle] <= unix_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int64_t zone_local(const struct zone *zone, int64_t unix_s)
{
    return unix_s + zone->offsets[changes_until(zone, unix_s)];
}

int64_t zone_reach(const struct zone *zone, int64_t local)
{
    for (size_t i = changes_until(zone, local - SHIFT_MAX);; i++) {
        int64_t at = local - zone->offsets[i];

        if (i > 0 && at < zone->times[i - 1]) {
            at = zone->times[i - 1];
        }
        if (i == zone->count || at < zone->times[i]) {
            return at;
        }
    }
}
