#include "proxy/base/text.h"

#include "proxy/base/check.h"

#include <stdarg.h>
#include <stdio.h>

enum { U64_DIGITS = 20, HEX_DIGITS = 16 };

void text_put_char(struct text *text, char c)
{
    text_put(text, span_of(&c, 1));
}

/* Writes decimal digits backwards from `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

void text_put_u64(struct text *text, uint64_t value)
{
    char digits[U64_DIGITS];
    char *end = digits + sizeof digits;
    char *begin = digits_before(end, value);

    text_put(text, span_of(begin, (size_t)(end - begin)));
}

void text_put_i64(struct text *text, int64_t value)
{
    char digits[U64_DIGITS + 1];
    char *end = digits + sizeof digits;
    char *begin;

    begin = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0) {
        *--begin = '-';
    }
    text_put(text, span_of(begin, (size_t)(end - begin)));
}

void text_put_hex(struct text *text, uint64_t value, unsigned digits)
{
    char hex[HEX_DIGITS];

    CHECK(digits <= HEX_DIGITS);
    for (unsigned i = digits; i > 0; i--) {
        hex[i - 1] = "0123456789abcdef"[value % 16];
        value /= 16;
    }
    text_put(text, span_of(hex, digits));
}

void text_put_choice(struct text *text, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        text_put(text, i == 0                 ? SPAN("")
                       : words[i + 1] == NULL ? SPAN(" or ")
                                              : SPAN(", "));
        text_put(text, span_text(words[i]));
    }
}

void text_printf(struct text *text, const char *format, ...)
{
    size_t room = text->cap - text->len;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text->at + text->len, room, format, arguments);
    va_end(arguments);
    CHECK(length >= 0);
    if ((size_t)length >= room) {
        text->full = true;
        return;
    }
    text->len += (size_t)length;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* How many bytes the well-formed UTF-8 character at the front of s has; 0 if the bytes
 * there are none (Unicode 15, table 3-7). */
static size_t character_size(struct span s)
{
    unsigned char first = (unsigned char)s.at[0];
    unsigned char second = s.len > 1 ? (unsigned char)s.at[1] : 0;
    size_t size;

    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2 || first > 0xF4) {
        return 0;
    }
    size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (s.len < size || (first == 0xE0 && second < 0xA0) ||
        (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
        (first == 0xF4 && second > 0x8F)) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(s.at[i])) {
            return 0;
        }
    }
    return size;
}

/* How many bytes at the front of s stand for themselves in a JSON string. */
static size_t plain_size(struct span s)
{
    size_t n = 0;

    while (n < s.len) {
        unsigned char c = (unsigned char)s.at[n];
        size_t size;

        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F) {
            break;
        }
        size = character_size(span_after(s, n));
        if (size == 0) {
            break;
        }
        n += size;
    }
    return n;
}

static void escape_put(struct text *text, char c)
{
    static const char short_from[] = "\"\\\b\f\n\r\t";
    static const char short_to[] = "\"\\bfnrt";
    const char *found = c == '\0' ? NULL : strchr(short_from, c);

    if (found != NULL) {
        text_put_char(text, '\\');
        text_put_char(text, short_to[found - short_from]);
    } else if ((unsigned char)c >= 0x80) {
        text_put(text, SPAN("\xEF\xBF\xBD"));
    } else {
        text_put(text, SPAN("\\u"));
        text_put_hex(text, (unsigned char)c, 4);
    }
}

void text_put_json(struct text *text, struct span value)
{
    struct text before = *text;

    text->full = false;
    text_put_char(text, '"');
    while (value.len > 0 && !text->full) {
        size_t plain = plain_size(value);

        text_put(text, span_of(value.at, plain));
        value = span_after(value, plain);
        if (value.len > 0) {
            escape_put(text, value.at[0]);
            value = span_after(value, 1);
        }
    }
    text_put_char(text, '"');
    if (text->full) {
        text->len = before.len;
    }
    text->full = text->full || before.full;
}

/* The longest front of s of at most `limit` bytes that does not end
 * within a character. */
static size_t cut_size(struct span s, size_t limit)
{
    size_t n = limit;

    if (s.len <= limit) {
        return s.len;
    }
    while (n > 0 && limit - n < 3 && is_continuation(s.at[n])) {
        n--;
    }
    /* What is not UTF-8 has no characters to keep whole. */
    return is_continuation(s.at[n]) ? limit : n;
}

bool text_store(char *array, size_t size, struct span value)
{
    size_t len, plain;

    CHECK(size > 0);
    len = cut_size(value, size - 1);
    if (len > 0) {
        memcpy(array, value.at, len);
    }
    array[len] = '\0';
    plain = strlen(array);
    if (plain < len) { /* a C string ends there */
        memset(array + plain, 0, len - plain);
    }
    return plain == value.len;
}
