#include "config/limit.h"

#include "config/quantity.h"

enum {
    NANO_DECIMALS = 9,
    WEIGHT_DECIMALS = 2,
    WEIGHT_MOST = 1000 * 100,
    ROLLING_LEAST_S = 60,
    ROLLING_MOST_S = 31 * 24 * 60 * 60
};

/* Digits with an optional fraction, times a power of ten: "1.5" and 3 are 1500. Exact,
 * or refused. Moves past what it read. */
static bool take_decimal(struct span *text, unsigned power, uint64_t *value)
{
    bool point = false, digit = false;

    *value = 0;
    for (; text->len > 0; *text = span_after(*text, 1)) {
        char c = text->at[0];

        if (c == '.' && !point && digit) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') {
            break;
        }
        if ((point && power-- == 0) || __builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(c - '0'), value)) {
            return false;
        }
        digit = true;
    }
    while (digit && power-- > 0) {
        if (__builtin_mul_overflow(*value, 10, value)) {
            return false;
        }
    }
    return digit;
}

/* The power of ten of the "k", "M" or "G" behind a number. */
static unsigned factor_of(struct span text)
{
    size_t at = 0;

    while (at < text.len &&
           ((text.at[at] >= '0' && text.at[at] <= '9') || text.at[at] == '.')) {
        at++;
    }
    if (at == text.len) {
        return 0;
    }
    switch (text.at[at]) {
    case 'k':
    case 'K':
        return 3;
    case 'M':
        return 6;
    case 'G':
        return 9;
    default:
        return 0;
    }
}

static bool unit_of(struct span words, enum config_limit_unit *unit)
{
    static const struct {
        struct span words;
        enum config_limit_unit unit;
    } units[] = {
        { SPAN_INIT("tokens"), LIMIT_TOKENS },
        { SPAN_INIT("input tokens"), LIMIT_INPUT },
        { SPAN_INIT("output tokens"), LIMIT_OUTPUT },
        { SPAN_INIT("weighted tokens"), LIMIT_WEIGHTED },
        { SPAN_INIT("requests"), LIMIT_REQUESTS },
        { SPAN_INIT("request"), LIMIT_REQUESTS },
        { SPAN_INIT("concurrent"), LIMIT_CONCURRENT },
    };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (span_equal(words, units[i].words)) {
            *unit = units[i].unit;
            return true;
        }
    }
    return false;
}

bool limit_parse(struct span text, struct config_limit *limit)
{
    if (span_starts(text, SPAN("$"))) {
        text = span_after(text, 1);
        limit->unit = LIMIT_NANOUSD;
        if (!take_decimal(&text, NANO_DECIMALS, &limit->amount) || text.len > 0) {
            return false;
        }
    } else {
        unsigned power = factor_of(text);

        if (!take_decimal(&text, power, &limit->amount)) {
            return false;
        }
        text = span_trim(span_after(text, power > 0 ? 1 : 0));
        if (!unit_of(text, &limit->unit)) {
            return false;
        }
    }
    return limit->amount > 0 && limit->amount <= LIMIT_MOST;
}

bool period_parse(struct span text, struct config_period *period)
{
    static const struct {
        struct span word;
        enum config_period_unit unit;
    } units[] = {
        { SPAN_INIT("minute"), PERIOD_MINUTE }, { SPAN_INIT("hour"), PERIOD_HOUR },
        { SPAN_INIT("day"), PERIOD_DAY },       { SPAN_INIT("week"), PERIOD_WEEK },
        { SPAN_INIT("month"), PERIOD_MONTH },
    };
    uint64_t ms;

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (span_equal(text, units[i].word)) {
            period->unit = units[i].unit;
            return true;
        }
    }
    if (!span_starts(text, SPAN("rolling ")) ||
        !duration_parse(span_trim(span_after(text, sizeof "rolling" - 1)), &ms) ||
        ms % 1000 != 0 || ms / 1000 < ROLLING_LEAST_S || ms / 1000 > ROLLING_MOST_S) {
        return false;
    }
    period->unit = PERIOD_ROLLING;
    period->rolling_s = (uint32_t)(ms / 1000);
    return true;
}

bool share_parse(struct span text, uint32_t *percent)
{
    uint64_t number;

    if (!span_ends(text, SPAN("%")) ||
        !span_decimal(span_of(text.at, text.len - 1), &number) || number < 1 ||
        number > 100) {
        return false;
    }
    *percent = (uint32_t)number;
    return true;
}

bool weight_parse(struct span text, uint32_t *hundredths)
{
    uint64_t value;

    if (!take_decimal(&text, WEIGHT_DECIMALS, &value) || text.len > 0 ||
        value > WEIGHT_MOST) {
        return false;
    }
    *hundredths = (uint32_t)value;
    return true;
}
