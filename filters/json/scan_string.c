/* Strings that are not plain and whole in one piece: escapes, UTF-8, splits. */
#include "filters/json/scan_feed.h"

/* Where within a string. */
enum string_part {
    STRING_PLAIN,
    STRING_ESCAPE, /* behind a backslash */
    STRING_HEX_1,
    STRING_HEX_2,
    STRING_HEX_3,
    STRING_HEX_4,
    STRING_UTF8 /* within a character beyond ASCII */
};

enum {
    CHARACTER_BAD = 0xfffd,
    PIECE_GATHERED = 48 /* shorter runs between escapes go out together */
};

const char *scan_plain_run(const struct feed *feed, const char *at)
{
    const char *end = feed->end;

    if (feed->scan->mode == SCAN_TOLERANT) {
        return run_to(at, end, STOPS_TOLERANT);
    }
    for (;;) {
        const char *from;

        at = run_to(at, end, STOPS_STRICT);
        if (at == end || (signed char)*at >= 0) {
            return at;
        }
        from = at;
        at = run_beyond_ascii(at, end);
        if (at == from) {
            return at;
        }
    }
}

/* ---- what is captured ------------------------------------------------------------ */

void scan_flush_piece(const struct feed *feed)
{
    struct scan *scan = feed->scan;

    if (scan->capture == CAPTURE_PIECES && scan->text_len > 0) {
        scan_call_seen(feed, SCAN_PIECE, span_of(scan->text, scan->text_len), 0);
        scan->text_len = 0;
    }
}

/* What came of a raw string in this piece. */
static void deliver_raw(const struct feed *feed, const char *from, const char *to)
{
    if (feed->scan->capture == CAPTURE_RAW && to > from) {
        scan_call_seen(feed, SCAN_PIECE, span_of(from, (size_t)(to - from)), 0);
    }
}

static void capture_piece(const struct feed *feed, struct span bytes)
{
    struct scan *scan = feed->scan;

    if (bytes.len > (size_t)SCAN_TEXT_MAX - scan->text_len ||
        bytes.len > PIECE_GATHERED) {
        scan_flush_piece(feed);
    }
    if (bytes.len > PIECE_GATHERED) {
        scan_call_seen(feed, SCAN_PIECE, bytes, 0);
    } else {
        scan_gather(scan, bytes);
    }
}

static inline void capture(const struct feed *feed, struct span bytes)
{
    if (feed->scan->capture == CAPTURE_TEXT) {
        scan_gather(feed->scan, bytes);
    } else if (feed->scan->capture == CAPTURE_PIECES) {
        capture_piece(feed, bytes);
    }
}

static void capture_character(const struct feed *feed, uint32_t code)
{
    char utf8[4];
    size_t len = 0;

    if (code < 0x80) {
        utf8[len++] = (char)code;
    } else if (code < 0x800) {
        utf8[len++] = (char)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        utf8[len++] = (char)(0xe0 | code >> 12);
        utf8[len++] = (char)(0x80 | (code >> 6 & 0x3f));
    } else {
        utf8[len++] = (char)(0xf0 | code >> 18);
        utf8[len++] = (char)(0x80 | (code >> 12 & 0x3f));
        utf8[len++] = (char)(0x80 | (code >> 6 & 0x3f));
    }
    if (code >= 0x80) {
        utf8[len++] = (char)(0x80 | (code & 0x3f));
    }
    capture(feed, span_of(utf8, len));
}

/* The first half of a surrogate pair was not followed by the second. */
static inline void drop_surrogate(const struct feed *feed)
{
    if (feed->scan->surrogate != 0) {
        feed->scan->surrogate = 0;
        capture_character(feed, CHARACTER_BAD);
    }
}

/* A code unit of UTF-16, as \u escapes write them. */
static void capture_unit(const struct feed *feed, uint32_t unit)
{
    struct scan *scan = feed->scan;
    bool second_half = unit >= 0xdc00 && unit <= 0xdfff;

    if (scan->capture != CAPTURE_TEXT && scan->capture != CAPTURE_PIECES) {
        return;
    }
    if (second_half && scan->surrogate != 0) {
        uint32_t high = scan->surrogate - 0xd800U;

        scan->surrogate = 0;
        capture_character(feed, 0x10000 + (high << 10) + (unit - 0xdc00));
        return;
    }
    drop_surrogate(feed);
    if (unit >= 0xd800 && unit <= 0xdbff) {
        scan->surrogate = (uint16_t)unit;
    } else {
        capture_character(feed, second_half ? CHARACTER_BAD : unit);
    }
}

/* ---- escapes --------------------------------------------------------------------- */

/* What stands for itself or a control character behind a backslash; 0 for nothing. */
static const char unescaped[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

/* The value of a hexadecimal digit, plus one; 0 for other bytes. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
    ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
    ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
    ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static inline unsigned hex_digit(char c)
{
    return hex_digits[(unsigned char)c];
}

static const char *hex_byte(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    unsigned digit = hex_digit(*at);

    if (digit == 0) {
        return NULL;
    }
    scan->escape = (uint16_t)((unsigned)scan->escape << 4 | (digit - 1));
    if (scan->part == STRING_HEX_4) {
        scan->part = STRING_PLAIN;
        capture_unit(feed, scan->escape);
    } else {
        scan->part++;
    }
    return at + 1;
}

/* The four digits of an escape that is whole in this piece. */
static inline const char *hex_bytes(const struct feed *feed, const char *at)
{
    unsigned a = hex_digit(at[0]), b = hex_digit(at[1]);
    unsigned c = hex_digit(at[2]), d = hex_digit(at[3]);

    if (a == 0 || b == 0 || c == 0 || d == 0) {
        return NULL;
    }
    feed->scan->part = STRING_PLAIN;
    capture_unit(feed, (a - 1) << 12 | (b - 1) << 8 | (c - 1) << 4 | (d - 1));
    return at + 4;
}

/* The byte behind a backslash. */
static inline const char *escape_byte(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *c = &unescaped[(unsigned char)*at];

    if (*c != 0) {
        scan->part = STRING_PLAIN;
        drop_surrogate(feed);
        capture(feed, span_of(c, 1));
        return at + 1;
    }
    if (*at != 'u') {
        return NULL;
    }
    if (feed->end - at > 4) {
        return hex_bytes(feed, at + 1);
    }
    scan->part = STRING_HEX_1;
    scan->escape = 0;
    return at + 1;
}

/* ---- UTF-8 ----------------------------------------------------------------------- */

/* Begins a character that the fast loop could not pass: cut by the end of the piece, or
 * bad (RFC 3629, section 4, or a control character). */
static const char *utf8_first(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    unsigned char byte = (unsigned char)*at;

    if (byte < 0xc2 || byte > 0xf4) {
        return NULL;
    }
    scan->part = STRING_UTF8;
    scan->utf8_left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    scan->utf8_low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    scan->utf8_high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    drop_surrogate(feed);
    capture(feed, span_of(at, 1));
    return at + 1;
}

static const char *utf8_next(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    unsigned char byte = (unsigned char)*at;

    if (byte < scan->utf8_low || byte > scan->utf8_high) {
        return NULL;
    }
    scan->utf8_low = 0x80;
    scan->utf8_high = 0xbf;
    if (--scan->utf8_left == 0) {
        scan->part = STRING_PLAIN;
    }
    capture(feed, span_of(at, 1));
    return at + 1;
}

/* ---- the string ------------------------------------------------------------------ */

/* At the closing quote. */
static const char *end_string(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;

    drop_surrogate(feed);
    if (scan->in_key) {
        scan->state = AT_COLON;
        scan->current = NODE_NONE;
        if (scan->capture == CAPTURE_TEXT && !scan->cut) {
            match_key(feed, scan->text, scan->text_len);
        }
        return at + 1;
    }
    scan_flush_piece(feed);
    if (scan->capture != CAPTURE_NOTHING) {
        scan_call_seen_text(feed, SCAN_STRING, span_of(scan->text, scan->text_len),
                            offset_of(feed, at + 1));
    }
    value_done(scan);
    return at + 1;
}

/* A byte that does not stand for itself. */
static inline const char *string_byte(const struct feed *feed, const char *at)
{
    switch ((enum string_part)feed->scan->part) {
    case STRING_ESCAPE:
        return escape_byte(feed, at);
    case STRING_UTF8:
        return utf8_next(feed, at);
    case STRING_HEX_1:
    case STRING_HEX_2:
    case STRING_HEX_3:
    case STRING_HEX_4:
        return hex_byte(feed, at);
    case STRING_PLAIN:
    default:
        if (*at == '\\') {
            feed->scan->part = STRING_ESCAPE;
            return at + 1 < feed->end ? escape_byte(feed, at + 1) : at + 1;
        }
        return utf8_first(feed, at);
    }
}

/* Over plain bytes and escapes of one character, in a string that nobody captures. */
static const char *pass_over(const struct feed *feed, const char *at)
{
    at = scan_plain_run(feed, at);
    while (feed->end - at >= 2 && *at == '\\' && unescaped[(unsigned char)at[1]] != 0) {
        at = plain_run(feed, at + 2);
    }
    return at;
}

const char *scan_resume_string(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *raw = at;
    bool captured = scan->capture == CAPTURE_TEXT || scan->capture == CAPTURE_PIECES;

    while (at != NULL && at < feed->end) {
        const char *from = at;

        if (scan->part != STRING_PLAIN) {
            at = string_byte(feed, at);
            continue;
        }
        at = captured ? scan_plain_run(feed, at) : pass_over(feed, at);
        if (captured && at > from) {
            drop_surrogate(feed);
            capture(feed, span_of(from, (size_t)(at - from)));
        }
        if (at < feed->end) {
            if (*at == '"') {
                deliver_raw(feed, raw, at);
                return end_string(feed, at);
            }
            at = string_byte(feed, at);
        }
    }
    scan_flush_piece(feed);
    if (at != NULL) {
        deliver_raw(feed, raw, at);
    }
    return at;
}

const char *scan_gather_string(const struct feed *feed, const char *at, bool key,
                               enum scan_capture capture)
{
    struct scan *scan = feed->scan;

    scan->state = IN_STRING;
    scan->part = STRING_PLAIN;
    scan->in_key = key;
    scan->capture = (uint8_t)capture;
    scan->text_len = 0;
    scan->cut = false;
    scan->surrogate = 0;
    return scan_resume_string(feed, at);
}
