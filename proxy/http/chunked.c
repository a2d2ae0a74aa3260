#include "proxy/http/chunked.h"

#include "proxy/base/digit.h"
#include "proxy/http/head_check.h"

enum {
    SIZE_DIGITS_MAX = 8, /* chunks below 4 GiB; some senders pad to eight digits */
    EXTENSIONS_MAX = 256,
    TRAILERS_MAX = 8 * 1024
};

enum state {
    SIZE,
    SIZE_LF,
    EXTENSION, /* after the semicolon */
    EXTENSION_NAME,
    EXTENSION_VALUE, /* after the equals sign */
    EXTENSION_TOKEN,
    EXTENSION_QUOTED,
    EXTENSION_ESCAPE, /* after a backslash in a quoted string */
    EXTENSION_QUOTE_END,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the start of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    ENDED
};

void chunked_init(struct chunked *chunked)
{
    *chunked = (struct chunked){ .state = SIZE };
}

static bool go(struct chunked *chunked, enum state state)
{
    chunked->state = (uint8_t)state;
    return true;
}

static bool expect(struct chunked *chunked, char c, char wanted, enum state then)
{
    return c == wanted && go(chunked, then);
}

/* Zero is written "0" alone: anything longer is a way to hide the last chunk. */
static bool size_is_complete(const struct chunked *chunked)
{
    return chunked->digits == 1 || (chunked->digits > 1 && chunked->left > 0);
}

static bool step_size(struct chunked *chunked, char c)
{
    int digit = hex_digit(c);

    if (digit >= 0) {
        chunked->left = chunked->left * 16 + (unsigned)digit;
        return chunked->digits++ < SIZE_DIGITS_MAX;
    }
    if (!size_is_complete(chunked)) {
        return false;
    }
    return c == '\r' ? go(chunked, SIZE_LF) : expect(chunked, c, ';', EXTENSION);
}

static bool is_token_char(char c)
{
    return head_token_char[(unsigned char)c];
}

/* What may stand in a quoted string, backslash and quote aside. */
static bool is_text_char(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

/* The end of a name or a value: another extension follows, or the line ends. */
static bool step_extension_end(struct chunked *chunked, char c)
{
    return c == '\r' ? go(chunked, SIZE_LF) : expect(chunked, c, ';', EXTENSION);
}

static bool step_quoted(struct chunked *chunked, char c)
{
    if (c == '"') {
        return go(chunked, EXTENSION_QUOTE_END);
    }
    return is_text_char(c) &&
           go(chunked, c == '\\' ? EXTENSION_ESCAPE : EXTENSION_QUOTED);
}

/* *( ";" token [ "=" ( token / quoted-string ) ] ), without the white space that
 * RFC 9112 allows but nobody sends. */
static bool step_extension(struct chunked *chunked, enum state state, char c)
{
    if (++chunked->extension > EXTENSIONS_MAX) {
        return false;
    }
    if (state == EXTENSION) {
        return is_token_char(c) && go(chunked, EXTENSION_NAME);
    }
    if (state == EXTENSION_VALUE) {
        return c == '"' ? go(chunked, EXTENSION_QUOTED)
                        : is_token_char(c) && go(chunked, EXTENSION_TOKEN);
    }
    if (state == EXTENSION_QUOTED) {
        return step_quoted(chunked, c);
    }
    if (state == EXTENSION_ESCAPE) {
        return is_text_char(c) && go(chunked, EXTENSION_QUOTED);
    }
    if (state != EXTENSION_QUOTE_END && is_token_char(c)) {
        return true;
    }
    if (state == EXTENSION_NAME && c == '=') {
        return go(chunked, EXTENSION_VALUE);
    }
    return step_extension_end(chunked, c);
}

/* Fields that frame, route, identify or describe may not follow the body (RFC 9110,
 * section 6.5.1), nor may any field that assay reads from a head. */
static bool is_forbidden(struct span name)
{
    return field_name_of(name) != FIELD_OTHER || head_framing_lookalike(name) ||
           span_starts(name, SPAN("content-")) || span_starts(name, SPAN("proxy-")) ||
           span_starts(name, SPAN("x-forwarded")) ||
           span_equal(name, SPAN("forwarded")) || span_equal(name, SPAN("range")) ||
           span_equal(name, SPAN("cache-control")) ||
           span_equal(name, SPAN("max-forwards"));
}

/* Keeps the name's first bytes; no field that matters has a name that does not fit. */
static bool step_trailer_name(struct chunked *chunked, char c)
{
    if (c == ':') {
        struct span name = span_of(chunked->name, chunked->name_len);

        return !is_forbidden(name) && go(chunked, TRAILER_VALUE);
    }
    if (chunked->name_len < sizeof(chunked->name)) {
        chunked->name[chunked->name_len++] =
            c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return is_token_char(c) && go(chunked, TRAILER_NAME);
}

static bool step_trailer(struct chunked *chunked, enum state state, char c)
{
    if (++chunked->trailer > TRAILERS_MAX) {
        return false;
    }
    if (state == TRAILER) {
        chunked->name_len = 0;
        return c == '\r' ? go(chunked, LAST_LF)
                         : c != ':' && step_trailer_name(chunked, c);
    }
    if (state == TRAILER_NAME) {
        return step_trailer_name(chunked, c);
    }
    return c == '\r' ? go(chunked, TRAILER_LF) : is_text_char(c);
}

/* Takes one byte that is not data; false if it breaks the grammar. */
static bool step(struct chunked *chunked, char c)
{
    enum state state = (enum state)chunked->state;

    switch (state) {
    case SIZE:
        return step_size(chunked, c);
    case SIZE_LF:
        return expect(chunked, c, '\n', chunked->left > 0 ? DATA : TRAILER);
    case DATA_CR:
        return expect(chunked, c, '\r', DATA_LF);
    case DATA_LF:
        return expect(chunked, c, '\n', SIZE);
    case EXTENSION:
    case EXTENSION_NAME:
    case EXTENSION_VALUE:
    case EXTENSION_TOKEN:
    case EXTENSION_QUOTED:
    case EXTENSION_ESCAPE:
    case EXTENSION_QUOTE_END:
        return step_extension(chunked, state, c);
    case TRAILER:
    case TRAILER_NAME:
    case TRAILER_VALUE:
        return step_trailer(chunked, state, c);
    case TRAILER_LF:
        return expect(chunked, c, '\n', TRAILER);
    case LAST_LF:
        return expect(chunked, c, '\n', ENDED);
    case DATA:
    case ENDED:
        break;
    }
    return false;
}

/* Takes a size line that is all there and has no extensions, as nearly all; whatever else
 * comes is left to step(). */
static void take_size_line(struct chunked *chunked, struct span *input)
{
    uint64_t size = 0;
    size_t n = 0;
    int digit;

    while (n < input->len && n < SIZE_DIGITS_MAX &&
           (digit = hex_digit(input->at[n])) >= 0) {
        size = size * 16 + (unsigned)digit;
        n++;
    }
    if (size > 0 && input->len - n >= 2 && input->at[n] == '\r' &&
        input->at[n + 1] == '\n') {
        *input = span_after(*input, n + 2);
        chunked->left = size;
        chunked->state = DATA;
    }
}

static struct span take_data(struct chunked *chunked, struct span *input)
{
    size_t len = chunked->left < input->len ? (size_t)chunked->left : input->len;
    struct span data = span_of(input->at, len);

    *input = span_after(*input, len);
    chunked->left -= len;
    if (chunked->left == 0) {
        bool at_end = span_starts(*input, SPAN("\r\n"));

        chunked->state = at_end ? SIZE : DATA_CR;
        chunked->digits = 0;
        *input = span_after(*input, at_end ? 2 : 0);
    }
    return data;
}

enum fault chunked_next(struct chunked *chunked, struct span *input, struct span *data,
                        bool *ended)
{
    *data = span_of(input->at, 0);
    while (input->len > 0 && chunked->state != ENDED) {
        if (chunked->state == SIZE && chunked->digits == 0) {
            take_size_line(chunked, input);
        }
        if (chunked->state == DATA) {
            *data = take_data(chunked, input);
            break;
        }
        if (!step(chunked, input->at[0])) {
            return FAULT_BAD_FRAMING;
        }
        *input = span_after(*input, 1);
    }
    *ended = chunked->state == ENDED;
    return FAULT_NONE;
}

size_t chunked_size_line(char line[CHUNKED_LINE_MAX], size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = (size_t)(67 - __builtin_clzll((unsigned long long)size)) / 4;

    for (size_t i = len; i > 0; i--) {
        line[i - 1] = digits[size & 0xf];
        size >>= 4;
    }
    line[len] = '\r';
    line[len + 1] = '\n';
    return len + 2;
}
