#include "filters/tally.h"

#include <stdlib.h>

enum { INPUT_COUNTS = 1 << COUNT_INPUT | 1 << COUNT_CACHED | 1 << COUNT_CACHE_WRITE };

/* Dollars in nano-dollars; false for a negative or absurd amount. */
static bool read_dollars(struct span number, uint64_t *nano)
{
    const double nano_per_dollar = 1e9, most = 1e9;
    char digits[48];
    double dollars;

    if (number.len >= sizeof(digits)) {
        number.len =
            sizeof(digits) - 1; /* what is cut off is less than a nano-dollar */
    }
    memcpy(digits, number.at, number.len);
    digits[number.len] = '\0';
    dollars = strtod(digits, NULL);
    if (!(dollars >= 0 && dollars < most)) {
        return false;
    }
    *nano = (uint64_t)(dollars * nano_per_dollar + 0.5);
    return true;
}

/* What a value of this tag is called in the tally, and its number; false if the value is
 * no legal number there. */
static bool read_number(const struct scan_value *value, enum count *count,
                        uint64_t *number)
{
    const uint64_t ticks_per_nano = 10;

    if (value->type != SCAN_NUMBER || value->cut) {
        return false;
    }
    if (*count == COUNT_COST) {
        return read_dollars(value->text, number);
    }
    if (!scan_count(value->text, number)) {
        return false;
    }
    if (*count == COUNT_COST_TICKS) {
        *count = COUNT_COST;
        *number /= ticks_per_nano;
    }
    return true;
}

static void begin_usage(struct tallier *tallier, enum merge merge, bool duplicate)
{
    tallier->replace = merge == MERGE_REPLACE && !tallier->replaced;
    tallier->tally.anomalous |= duplicate;
}

/* The first count of a later usage object drops the counts of the earlier one. */
static void replace_once(struct tallier *tallier)
{
    if (tallier->replace) {
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
    tally->value[count] = number;
    tally->seen |= bit;
    tallier->now |= bit;
}

void tallier_value(struct tallier *tallier, enum merge merge,
                   const struct scan_value *value)
{
    enum count count = (enum count)value->tag;
    uint64_t number;

    if (count == COUNT_USAGE) {
        if (value->type == SCAN_OBJECT) {
            begin_usage(tallier, merge, value->duplicate);
        }
        return;
    }
    if (value->type == SCAN_NULL || value->type == SCAN_END) {
        return;
    }
    if (!read_number(value, &count, &number)) {
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

static void believe_zeros(struct tallier *tallier)
{
    for (unsigned count = COUNT_INPUT; count <= COUNT_CACHE_WRITE; count++) {
        if ((tallier->zeros >> count & 1) != 0) {
            tallier->tally.value[count] = 0;
        }
    }
}

void tallier_event_end(struct tallier *tallier)
{
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
}
