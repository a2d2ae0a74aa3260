/* Borrowed bytes. A span owns nothing and lives no longer than what it points into. */
#ifndef ASSAY_BASE_SPAN_H
#define ASSAY_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *at;
    size_t len;
};

/* A span of a string literal: in expressions, and in initialisers of constants. */
#define SPAN(literal) ((struct span)SPAN_INIT(literal))
#define SPAN_INIT(literal)                                                             \
    {                                                                                  \
        "" literal, sizeof(literal) - 1                                                \
    }

static inline struct span span_of(const char *at, size_t len)
{
    return (struct span){ at, len };
}

/* The characters of a C string; the empty span for NULL. */
static inline struct span span_text(const char *text)
{
    return span_of(text, text == NULL ? 0 : strlen(text));
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* What is left of a span after its first n bytes; n may not exceed its length. */
static inline struct span span_after(struct span s, size_t n)
{
    return span_of(s.at + n, s.len - n);
}

static inline bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_equal(span_of(s.at, prefix.len), prefix);
}

static inline bool span_ends(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_equal(span_after(s, s.len - suffix.len), suffix);
}

/* ASCII letters compare without regard to case. */
bool span_equal_nocase(struct span a, struct span b);
bool span_starts_nocase(struct span s, struct span prefix);

/* The same with a C string whose length nobody knows: for going through tables, where
 * most differ in their first character, so that a look at it spares the call. */
bool span_compare_begin(struct span s, const char *prefix);
static inline bool span_begins_nocase(struct span s, const char *prefix)
{
    return s.len > 0 && ((s.at[0] ^ prefix[0]) & ~0x20) == 0
               ? span_compare_begin(s, prefix)
               : prefix[0] == '\0';
}

/* Without leading and trailing spaces and tabs. */
struct span span_trim(struct span s);

/* Cuts the next piece up to `separator` off the front of *rest (the separator is
 * dropped) and returns true; false once *rest is used up. "a,,b" has three pieces. */
bool span_next(struct span *rest, char separator, struct span *piece);

/* Where `byte` first stands in s; s.len if nowhere. */
static inline size_t span_find(struct span s, char byte)
{
    const char *found = s.len == 0 ? NULL : memchr(s.at, byte, s.len);

    return found == NULL ? s.len : (size_t)(found - s.at);
}

/* Reads a whole span of decimal digits; false for anything else or beyond 2^64-1. */
bool span_decimal(struct span s, uint64_t *value);

#endif
