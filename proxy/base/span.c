#include "proxy/base/span.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Most often both are the same character. */
static bool is_same(char a, char b)
{
    return a == b || lower(a) == lower(b);
}

/* Eight characters at a time: the top bit of each that is 'A' to 'Z', moved to where
 * the cases differ. Sums stay within their bytes, because the top bits are off. */
static uint64_t lower_word(uint64_t word)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t low = word & ones * 0x7f;
    uint64_t letters =
        (low + ones * (0x80 - 'A')) & ~(low + ones * (0x80 - 'Z' - 1)) & ~word;
    return word | (letters & ones * 0x80) >> 2;
}

bool span_equal_nocase(struct span a, struct span b)
{
    return a.len == b.len && span_starts_nocase(a, b);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    size_t i = 0;

    if (s.len < prefix.len) {
        return false;
    }
    for (; i + sizeof(uint64_t) <= prefix.len; i += sizeof(uint64_t)) {
        uint64_t a, b;

        memcpy(&a, s.at + i, sizeof a);
        memcpy(&b, prefix.at + i, sizeof b);
        if (a != b && lower_word(a) != lower_word(b)) {
            return false;
        }
    }
    for (; i < prefix.len; i++) {
        if (!is_same(s.at[i], prefix.at[i])) {
            return false;
        }
    }
    return true;
}

bool span_compare_begin(struct span s, const char *prefix)
{
    size_t i = 0;

    while (i < s.len && prefix[i] != '\0' && is_same(s.at[i], prefix[i])) {
        i++;
    }
    return prefix[i] == '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && is_blank(s.at[0])) {
        s = span_after(s, 1);
    }
    while (s.len > 0 && is_blank(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool span_next(struct span *rest, char separator, struct span *piece)
{
    size_t len;

    if (rest->at == NULL) {
        return false;
    }
    len = span_find(*rest, separator);
    *piece = span_of(rest->at, len);
    *rest = len == rest->len ? span_of(NULL, 0) : span_after(*rest, len + 1);
    return true;
}

bool span_decimal(struct span s, uint64_t *value)
{
    uint64_t sum = 0;

    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.at[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, digit, &sum)) {
            return false;
        }
    }
    *value = sum;
    return true;
}
