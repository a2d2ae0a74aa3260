#include "config/quantity.h"

struct unit {
    struct span name; /* as written, any case */
    struct span shown;
    uint64_t factor;
};

/* Greatest first; the first of equal factor is the one shown. */
static const struct unit sizes[] = {
    { SPAN_INIT("GiB"), SPAN_INIT(" GiB"), UINT64_C(1) << 30 },
    { SPAN_INIT("G"), SPAN_INIT(" GiB"), UINT64_C(1) << 30 },
    { SPAN_INIT("MiB"), SPAN_INIT(" MiB"), UINT64_C(1) << 20 },
    { SPAN_INIT("M"), SPAN_INIT(" MiB"), UINT64_C(1) << 20 },
    { SPAN_INIT("KiB"), SPAN_INIT(" KiB"), UINT64_C(1) << 10 },
    { SPAN_INIT("K"), SPAN_INIT(" KiB"), UINT64_C(1) << 10 },
    { SPAN_INIT("B"), SPAN_INIT(""), 1 },
    { SPAN_INIT(""), SPAN_INIT(""), 1 },
};

static const struct unit durations[] = {
    { SPAN_INIT("d"), SPAN_INIT("d"), 24 * 60 * 60 * 1000 },
    { SPAN_INIT("h"), SPAN_INIT("h"), 60 * 60 * 1000 },
    { SPAN_INIT("m"), SPAN_INIT("m"), 60 * 1000 },
    { SPAN_INIT("s"), SPAN_INIT("s"), 1000 },
    { SPAN_INIT("ms"), SPAN_INIT("ms"), 1 },
};

enum {
    SIZE_UNITS = sizeof sizes / sizeof sizes[0],
    DURATION_UNITS = sizeof durations / sizeof durations[0]
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool quantity_parse(struct span text, const struct unit *units,
                           size_t unit_count, uint64_t *amount)
{
    size_t digits = 0;
    struct span unit;
    uint64_t number;

    while (digits < text.len && is_digit(text.at[digits])) {
        digits++;
    }
    if (!span_decimal(span_of(text.at, digits), &number)) {
        return false;
    }
    unit = span_trim(span_after(text, digits));
    for (size_t i = 0; i < unit_count; i++) {
        if (span_equal_nocase(unit, units[i].name)) {
            return !__builtin_mul_overflow(number, units[i].factor, amount);
        }
    }
    return false;
}

static void quantity_put(struct text *text, const struct unit *units, uint64_t amount)
{
    while (units->factor > 1 &&
           (amount < units->factor || amount % units->factor != 0)) {
        units++;
    }
    text_put_u64(text, amount / units->factor);
    text_put(text, units->shown);
}

bool size_parse(struct span text, uint64_t *bytes)
{
    return quantity_parse(text, sizes, SIZE_UNITS, bytes);
}

bool duration_parse(struct span text, uint64_t *milliseconds)
{
    if (span_equal(text, SPAN("0"))) {
        *milliseconds = 0;
        return true;
    }
    return quantity_parse(text, durations, DURATION_UNITS, milliseconds);
}

void size_put(struct text *text, uint64_t bytes)
{
    quantity_put(text, sizes, bytes);
}

void duration_put(struct text *text, uint64_t milliseconds)
{
    if (milliseconds == 0) {
        text_put_char(text, '0');
        return;
    }
    quantity_put(text, durations, milliseconds);
}
