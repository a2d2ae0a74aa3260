/* A string builder over memory that somebody else gave: it never grows, never overruns,
 * and remembers if something did not fit. */
#ifndef ASSAY_BASE_TEXT_H
#define ASSAY_BASE_TEXT_H

#include "proxy/base/span.h"

struct text {
    char *at;
    size_t len;
    size_t cap;
    bool full; /* something was left out; what stands in at[0..len) is whole pieces */
};

static inline struct text text_over(char *memory, size_t size)
{
    return (struct text){ .at = memory, .cap = size };
}

static inline struct span text_span(const struct text *text)
{
    return span_of(text->at, text->len);
}

/* Each adds its piece whole or not at all. */
static inline void text_put(struct text *text, struct span piece)
{
    if (piece.len > text->cap - text->len) {
        text->full = true;
    } else if (piece.len > 0) {
        memcpy(text->at + text->len, piece.at, piece.len);
        text->len += piece.len;
    }
}

void text_put_char(struct text *text, char c);
void text_put_u64(struct text *text, uint64_t value);
void text_put_i64(struct text *text, int64_t value);
/* The lowest `digits` (at most 16) digits of the value, in lower case. */
void text_put_hex(struct text *text, uint64_t value, unsigned digits);

/* The words, of which the last is followed by NULL, as "one, two or three". */
void text_put_choice(struct text *text, const char *const *words);

/* Needs room for a NUL behind the piece, which is not counted. */
void text_printf(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The bytes as a quoted JSON string: control characters and quotes escaped, bytes that
 * are not UTF-8 become U+FFFD, so that the result is always one line of valid JSON. */
void text_put_json(struct text *text, struct span value);

/* Copies a span into a fixed char array as a C string, cut if it must be (never within
 * a UTF-8 character; also at a NUL). Returns false if it was cut. `size` is not 0. */
bool text_store(char *array, size_t size, struct span value);

#endif
