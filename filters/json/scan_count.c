#include "filters/json/scan.h"

enum {
    EXPONENT_MAX = 1 << 30, /* saturates: nothing near it can be a count */
    COUNT_DIGITS_MAX = 19
};

/* A number as digits and a power of ten. */
struct decimal {
    bool negative;
    struct span whole;
    struct span fraction;
    int64_t exponent;
};

static struct span take_digits(struct span *rest)
{
    size_t len = 0;

    while (len < rest->len && rest->at[len] >= '0' && rest->at[len] <= '9') {
        len++;
    }
    *rest = span_after(*rest, len);
    return span_of(rest->at - len, len);
}

static bool take(struct span *rest, char c)
{
    if (rest->len == 0 || rest->at[0] != c) {
        return false;
    }
    *rest = span_after(*rest, 1);
    return true;
}

static bool take_exponent(struct span *rest, int64_t *exponent)
{
    bool negative = take(rest, '-');
    struct span digits;

    if (!negative) {
        (void)take(rest, '+');
    }
    digits = take_digits(rest);
    for (size_t i = 0; i < digits.len && *exponent < EXPONENT_MAX; i++) {
        *exponent = *exponent * 10 + (digits.at[i] - '0');
    }
    if (negative) {
        *exponent = -*exponent;
    }
    return digits.len > 0;
}

/* RFC 8259, section 6. */
static bool read_decimal(struct span number, struct decimal *decimal)
{
    *decimal = (struct decimal){ .negative = take(&number, '-') };
    decimal->whole = take_digits(&number);
    if (decimal->whole.len == 0 ||
        (decimal->whole.len > 1 && decimal->whole.at[0] == '0')) {
        return false;
    }
    if (take(&number, '.')) {
        decimal->fraction = take_digits(&number);
        if (decimal->fraction.len == 0) {
            return false;
        }
    }
    if ((take(&number, 'e') || take(&number, 'E')) &&
        !take_exponent(&number, &decimal->exponent)) {
        return false;
    }
    return number.len == 0;
}

static char digit_at(const struct decimal *decimal, size_t i)
{
    return i < decimal->whole.len ? decimal->whole.at[i]
                                  : decimal->fraction.at[i - decimal->whole.len];
}

bool scan_count_decimal(struct span number, uint64_t *count)
{
    struct decimal decimal;
    size_t first = 0, behind;
    int64_t zeros;
    uint64_t value = 0;

    if (!read_decimal(number, &decimal)) {
        return false;
    }
    behind = decimal.whole.len + decimal.fraction.len;
    zeros = decimal.exponent - (int64_t)decimal.fraction.len;
    while (behind > 0 && digit_at(&decimal, behind - 1) == '0') {
        behind--;
        zeros++;
    }
    while (first < behind && digit_at(&decimal, first) == '0') {
        first++;
    }
    if (first == behind) {
        *count = 0;
        return true;
    }
    if (decimal.negative || zeros < 0 ||
        (int64_t)(behind - first) + zeros > COUNT_DIGITS_MAX) {
        return false;
    }
    for (; first < behind; first++) {
        value = value * 10 + (uint64_t)(digit_at(&decimal, first) - '0');
    }
    for (; zeros > 0; zeros--) {
        value *= 10; /* 19 digits fit in 64 bits */
    }
    if (value > INT64_MAX) {
        return false;
    }
    *count = value;
    return true;
}
