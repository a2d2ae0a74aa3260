#include "filters/tally.h"

#include <stdlib.h>

enum {
    INPUT_COUNTS = 1 << COUNT_INPUT | 1 << COUNT_CACHED | 1 << COUNT_CACHE_WRITE,
    /* Without any of these a usage says nothing of the call as a whole. */
    MAIN_COUNTS = 1 << COUNT_INPUT | 1 << COUNT_ALL_INPUT | 1 << COUNT_OUTPUT |
                  1 << COUNT_TOTAL | 1 << COUNT_AUDIO_SECONDS
};

/* A decimal number in parts of a unit; false for a negative or absurd amount. */
static bool read_parts(struct span number, double parts_per_unit, uint64_t *parts)
{
    const double most = 1e9;
    char digits[48];
    double units;

    if (number.len >= sizeof(digits)) {
        number.len = sizeof(digits) - 1; /* what is cut off is less than one part */
    }
    memcpy(digits, number.at, number.len);
    digits[number.len] = '\0';
    units = strtod(digits, NULL);
    if (!(units >= 0 && units < most)) {
        return false;
    }
    *parts = (uint64_t)(units * parts_per_unit + 0.5);
    return true;
}

/* An amount that is no number of tokens, and what it is called in the tally. */
static bool read_amount(struct span text, enum count *count, uint64_t *number)
{
    const uint64_t ticks_per_nano = 10;

    if (*count == COUNT_COST) {
        return read_parts(text, 1e9, number); /* nano-dollars */
    }
    if (*count == COUNT_AUDIO_SECONDS) {
        return read_parts(text, 1e3, number);
    }
    if (!scan_count(text, number)) {
        return false;
    }
    *count = COUNT_COST;
    *number /= ticks_per_nano;
    return true;
}

/* What a value of this tag is called in the tally, and its number; false if the value
 * is no legal number there. */
static inline bool read_number(const struct scan_value *value, bool quoted,
                               enum count *count, uint64_t *number)
{
    const uint32_t amounts =
        1U << COUNT_COST | 1U << COUNT_AUDIO_SECONDS | 1U << COUNT_COST_TICKS;

    if ((value->type != SCAN_NUMBER && !(value->type == SCAN_STRING && quoted)) ||
        value->cut) {
        return false;
    }
    return (amounts >> *count & 1) != 0 ? read_amount(value->text, count, number)
                                        : scan_count(value->text, number);
}

static void begin_usage(struct tallier *tallier, enum merge merge, bool duplicate)
{
    tallier->replace = merge == MERGE_REPLACE && !tallier->replaced;
    tallier->tally.anomalous |= duplicate;
}

/* Is any of these counts more than zero? */
static bool has_some(const struct tally *tally, uint32_t counts)
{
    for (; counts != 0; counts &= counts - 1) {
        if (tally->value[__builtin_ctz(counts)] != 0) {
            return true;
        }
    }
    return false;
}

/* The first count of a later usage object drops the counts of the earlier one. */
static void replace_once(struct tallier *tallier)
{
    if (tallier->replace) {
        tallier->had_some = has_some(&tallier->tally, tallier->tally.seen);
        if (tallier->had_some) {
            *tallier->before = tallier->tally;
        }
        tallier->tally.seen = 0;
        tallier->tally.bad = 0;
        tallier->now = 0;
        tallier->replace = false;
        tallier->replaced = true;
    }
}

static void put_number(struct tallier *tallier, enum merge merge, enum count count,
                       uint64_t number)
{
    struct tally *tally = &tallier->tally;
    uint32_t bit = UINT32_C(1) << count;

    if ((tallier->now & bit) != 0 && number <= tally->value[count]) {
        return;
    }
    if (merge == MERGE_FIELDS && (bit & INPUT_COUNTS) != 0) {
        if (number == 0 && tally_has(tally, count) && tally->value[count] > 0) {
            tallier->zeros |= bit;
            return;
        }
        tallier->input_now |= number > 0;
        tallier->zeros &= ~bit;
    }
    if (merge == MERGE_FIELDS && count == COUNT_OUTPUT && number == 0 &&
        tally_has(tally, count) && tally->value[count] > 0) {
        tally->anomalous = true;
        return;
    }
    tally->value[count] = number;
    tally->seen |= bit;
    tallier->now |= bit;
}

/* ---- lists and sums -------------------------------------------------------------- */

struct list_row {
    unsigned list;
    struct span name;
    enum count count;
};

/* Google's modalities have numbers besides, which its older SDKs ask for:
 * google/cloud/aiplatform/v1/content.proto */
static const struct list_row list_rows[] = {
    { LIST_INPUT, SPAN_INIT("text"), COUNT_INPUT_TEXT },
    { LIST_INPUT, SPAN_INIT("audio"), COUNT_INPUT_AUDIO },
    { LIST_INPUT, SPAN_INIT("image"), COUNT_INPUT_IMAGE },
    { LIST_INPUT, SPAN_INIT("video"), COUNT_INPUT_VIDEO },
    { LIST_INPUT, SPAN_INIT("document"), COUNT_INPUT_DOCUMENT },
    { LIST_INPUT, SPAN_INIT("1"), COUNT_INPUT_TEXT },
    { LIST_INPUT, SPAN_INIT("2"), COUNT_INPUT_IMAGE },
    { LIST_INPUT, SPAN_INIT("3"), COUNT_INPUT_VIDEO },
    { LIST_INPUT, SPAN_INIT("4"), COUNT_INPUT_AUDIO },
    { LIST_INPUT, SPAN_INIT("5"), COUNT_INPUT_DOCUMENT },
    { LIST_OUTPUT, SPAN_INIT("audio"), COUNT_OUTPUT_AUDIO },
    { LIST_OUTPUT, SPAN_INIT("image"), COUNT_OUTPUT_IMAGE },
    { LIST_OUTPUT, SPAN_INIT("2"), COUNT_OUTPUT_IMAGE },
    { LIST_OUTPUT, SPAN_INIT("4"), COUNT_OUTPUT_AUDIO },
    { LIST_LIFETIME, SPAN_INIT("5m"), COUNT_WRITE_5M },
    { LIST_LIFETIME, SPAN_INIT("1h"), COUNT_WRITE_1H },
};

/* Adds to a count of the current event; the first number replaces
 * an earlier event's. */
static void add_number(struct tallier *tallier, enum count count, uint64_t number)
{
    struct tally *tally = &tallier->tally;
    uint32_t bit = UINT32_C(1) << count;

    replace_once(tallier);
    if ((tallier->now & bit) != 0 &&
        __builtin_add_overflow(tally->value[count], number, &number)) {
        number = INT64_MAX;
    }
    tally->value[count] = number;
    tally->seen |= bit;
    tallier->now |= bit;
}

static void name_element(struct tallier *tallier, struct span name)
{
    for (size_t i = 0; i < sizeof(list_rows) / sizeof(list_rows[0]); i++) {
        const struct list_row *row = &list_rows[i];

        if (row->list == tallier->list + (unsigned)LIST_INPUT &&
            span_equal_nocase(row->name, name)) {
            tallier->list_name = (uint8_t)row->count;
        }
    }
}

static void list_value(struct tallier *tallier, const struct scan_value *value)
{
    enum count none = COUNT_USAGE;

    if (value->tag == LIST_NAME) {
        if (value->type == SCAN_STRING || value->type == SCAN_NUMBER) {
            name_element(tallier, value->text);
        }
    } else if (value->tag == LIST_NUMBER) {
        tallier->list_numbered |=
            read_number(value, tallier->quoted, &none, &tallier->list_number);
    } else if (value->type == SCAN_OBJECT) {
        tallier->list = (uint8_t)(value->tag - LIST_INPUT);
        tallier->list_name = 0;
        tallier->list_numbered = false;
    } else if (value->type == SCAN_END && tallier->list_name != 0 &&
               tallier->list_numbered) {
        add_number(tallier, (enum count)tallier->list_name, tallier->list_number);
    }
}

static void sum_value(struct tallier *tallier, const struct scan_value *value)
{
    enum count count = value->tag == SUM_INPUT ? COUNT_INPUT : COUNT_OUTPUT;
    uint64_t number;

    if (read_number(value, tallier->quoted, &count, &number)) {
        add_number(tallier, count, number);
    }
}

/* ---- values ---------------------------------------------------------------------- */

void tallier_fields(struct tallier *tallier, const struct count_field *fields,
                    const struct head *head)
{
    for (; fields != NULL && fields->name != NULL; fields++) {
        for (size_t i = 0; i < head->field_count; i++) {
            const struct field *field = &head->fields[i];
            uint64_t number;

            if (span_equal_nocase(field->name, span_text(fields->name)) &&
                scan_count(field->value, &number)) {
                tallier->tally.value[fields->count] = number;
                tallier->tally.seen |= UINT32_C(1) << fields->count;
            }
        }
    }
}

static void count_value(struct tallier *tallier, enum merge merge,
                        const struct scan_value *value)
{
    enum count count = (enum count)value->tag;
    uint64_t number;

    if (count == COUNT_USAGE) {
        if (value->type == SCAN_OBJECT) {
            begin_usage(tallier, merge, value->duplicate);
        }
        tallier->usage_whole = value->type == SCAN_END;
        return;
    }
    if (value->type == SCAN_NULL || value->type == SCAN_END) {
        return;
    }
    if (!read_number(value, tallier->quoted, &count, &number)) {
        /* Perplexity's cost is an object, whose total is a row of its own */
        if (count != COUNT_COST) {
            replace_once(tallier);
            tallier->tally.bad |= UINT32_C(1) << count;
        }
        return;
    }
    replace_once(tallier);
    tallier->tally.anomalous |= value->duplicate;
    put_number(tallier, merge, count, number);
}

void tallier_value(struct tallier *tallier, enum merge merge,
                   const struct scan_value *value)
{
    if (value->tag < COUNTS) {
        count_value(tallier, merge, value);
    } else if (value->tag < SUM_INPUT) {
        list_value(tallier, value);
    } else {
        sum_value(tallier, value);
    }
}

static void believe_zeros(struct tallier *tallier)
{
    for (unsigned count = COUNT_INPUT; count <= COUNT_CACHE_WRITE; count++) {
        if ((tallier->zeros >> count & 1) != 0) {
            tallier->tally.value[count] = 0;
        }
    }
}

/* Nothing that was used is unused later, and details alone replace no counts. */
static void keep_used(struct tallier *tallier)
{
    bool zeros = !has_some(&tallier->tally, tallier->now);

    if (tallier->had_some && (zeros || (tallier->now & MAIN_COUNTS) == 0)) {
        tallier->tally = *tallier->before;
        tallier->tally.anomalous |= zeros;
    }
}

bool tallier_event_cut(struct tallier *tallier)
{
    if (!tallier->usage_whole && tallier->replaced && tallier->had_some) {
        tallier->tally = *tallier->before;
        tallier->replaced = false;
        tallier->now = 0;
    }
    return tallier->usage_whole;
}

void tallier_event_end(struct tallier *tallier)
{
    if (tallier->replaced) {
        keep_used(tallier);
    }
    if (tallier->zeros != 0) {
        if (tallier->input_now) {
            believe_zeros(tallier);
        } else {
            tallier->tally.anomalous = true;
        }
    }
    tallier->now = 0;
    tallier->zeros = 0;
    tallier->replace = false;
    tallier->replaced = false;
    tallier->input_now = false;
    tallier->usage_whole = false;
}
