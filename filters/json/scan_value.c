/* Delivering values; numbers and literals. */
#include "filters/json/scan_feed.h"

/* Where within a number (RFC 8259, section 6). */
enum number_part {
    NUMBER_FIRST,
    NUMBER_SIGN,
    NUMBER_ZERO,
    NUMBER_WHOLE,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_E_SIGN,
    NUMBER_EXPONENT,
    NUMBER_OVER, /* this byte is no more of it */
    NUMBER_BAD
};

void scan_call_seen(const struct feed *feed, enum scan_type type, struct span text,
                    uint64_t end)
{
    const struct scan *scan = feed->scan;
    const struct scan_value value = { .tag = feed->plan->nodes[scan->current].tag,
                                      .type = type,
                                      .cut = scan->cut,
                                      .duplicate = scan->duplicate,
                                      .text = text,
                                      .begin = scan->value_begin,
                                      .end = end };

    feed->seen(feed->self, &value);
}

/* Without a last character of which only the front is there. */
static struct span whole_characters(struct span text)
{
    for (size_t back = 1; back <= 3 && back <= text.len; back++) {
        unsigned char byte = (unsigned char)text.at[text.len - back];

        if (byte >= 0xc0) {
            size_t len = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;

            return len > back ? span_of(text.at, text.len - back) : text;
        }
        if (byte < 0x80) {
            break;
        }
    }
    return text;
}

void scan_call_seen_text(const struct feed *feed, enum scan_type type, struct span text,
                         uint64_t end)
{
    if (text.len > SCAN_TEXT_MAX) {
        text.len = SCAN_TEXT_MAX;
        feed->scan->cut = true;
    }
    if (feed->scan->cut) {
        text = whole_characters(text);
    }
    scan_call_seen(feed, type, text, end);
}

void scan_gather(struct scan *scan, struct span bytes)
{
    size_t room = (size_t)SCAN_TEXT_MAX - scan->text_len;

    if (bytes.len > room) {
        scan->cut = true;
        bytes.len = room;
    }
    memcpy(scan->text + scan->text_len, bytes.at, bytes.len);
    scan->text_len = (uint8_t)(scan->text_len + bytes.len);
}

/* ---- literals -------------------------------------------------------------------- */

/* The first ones are values of enum scan_type. */
enum word { WORD_NAN = SCAN_TRUE + 1, WORD_INFINITY, WORD_MINUS_INFINITY };

static const struct {
    char text[10];
    enum scan_type type;
} words[] = {
    [SCAN_NULL] = { "null", SCAN_NULL },
    [SCAN_FALSE] = { "false", SCAN_FALSE },
    [SCAN_TRUE] = { "true", SCAN_TRUE },
    [WORD_NAN] = { "NaN", SCAN_NUMBER },
    [WORD_INFINITY] = { "Infinity", SCAN_NUMBER },
    [WORD_MINUS_INFINITY] = { "-Infinity", SCAN_NUMBER },
};

static const char *literal_done(const struct feed *feed, const char *at,
                                enum scan_type type)
{
    if (is_wanted(feed)) {
        scan_call_seen(feed, type, span_of(NULL, 0), offset_of(feed, at));
    }
    value_done(feed->scan);
    return at;
}

/* `escape` holds which word it is, `part` how much of it has come. */
const char *scan_resume_literal(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *text = words[scan->escape].text;

    while (at < feed->end) {
        if (*at++ != text[scan->part++]) {
            return NULL;
        }
        if (text[scan->part] == '\0') {
            return literal_done(feed, at, words[scan->escape].type);
        }
    }
    return at;
}

static const char *read_word(const struct feed *feed, const char *at, unsigned word,
                             uint8_t part)
{
    struct scan *scan = feed->scan;

    scan->cut = false;
    scan->state = IN_LITERAL;
    scan->escape = (uint16_t)word;
    scan->part = part;
    return scan_resume_literal(feed, at);
}

const char *scan_read_literal(const struct feed *feed, const char *at,
                              enum scan_type type)
{
    size_t skip = type == SCAN_FALSE ? 1 : 0; /* then four bytes tell */

    if ((size_t)(feed->end - at) >= skip + 4 &&
        memcmp(at + skip, words[type].text + skip, 4) == 0) {
        feed->scan->cut = false;
        return literal_done(feed, at + skip + 4, type);
    }
    return read_word(feed, at, type, 0);
}

const char *scan_read_no_number(const struct feed *feed, const char *at)
{
    if (is_wanted(feed)) {
        return NULL;
    }
    return read_word(feed, at, *at == 'N' ? WORD_NAN : WORD_INFINITY, 0);
}

/* ---- numbers --------------------------------------------------------------------- */

static inline enum number_part number_after(enum number_part part, char c)
{
    switch (part) {
    case NUMBER_FIRST:
        if (c == '-') {
            return NUMBER_SIGN;
        }
        __attribute__((fallthrough));
    case NUMBER_SIGN:
        return c == '0' ? NUMBER_ZERO : is_digit(c) ? NUMBER_WHOLE : NUMBER_BAD;
    case NUMBER_WHOLE:
        if (is_digit(c)) {
            return NUMBER_WHOLE;
        }
        __attribute__((fallthrough));
    case NUMBER_ZERO:
        return c == '.' ? NUMBER_POINT : (c | 0x20) == 'e' ? NUMBER_E : NUMBER_OVER;
    case NUMBER_POINT:
        return is_digit(c) ? NUMBER_FRACTION : NUMBER_BAD;
    case NUMBER_FRACTION:
        return is_digit(c)         ? NUMBER_FRACTION
               : (c | 0x20) == 'e' ? NUMBER_E
                                   : NUMBER_OVER;
    case NUMBER_E:
        if (c == '+' || c == '-') {
            return NUMBER_E_SIGN;
        }
        __attribute__((fallthrough));
    case NUMBER_E_SIGN:
        return is_digit(c) ? NUMBER_EXPONENT : NUMBER_BAD;
    case NUMBER_EXPONENT:
        return is_digit(c) ? NUMBER_EXPONENT : NUMBER_OVER;
    case NUMBER_OVER:
    case NUMBER_BAD:
    default:
        return NUMBER_BAD;
    }
}

static bool number_may_end(enum number_part part)
{
    return part == NUMBER_ZERO || part == NUMBER_WHOLE || part == NUMBER_FRACTION ||
           part == NUMBER_EXPONENT;
}

static const char *number_done(const struct feed *feed, struct span text,
                               const char *at)
{
    struct scan *scan = feed->scan;

    if (is_wanted(feed)) {
        if (scan->text_len > 0) {
            scan_gather(scan, text);
            text = span_of(scan->text, scan->text_len);
        }
        scan_call_seen_text(feed, SCAN_NUMBER, text, offset_of(feed, at));
    }
    value_done(scan);
    return at;
}

const char *scan_resume_number(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *from = at;
    enum number_part part = scan->part;
    struct span text;

    for (; at < feed->end; at++) {
        enum number_part next = number_after(part, *at);

        if (next >= NUMBER_OVER) {
            break;
        }
        part = next;
    }
    if (part == NUMBER_SIGN && at < feed->end && *at == 'I' &&
        scan->mode == SCAN_TOLERANT && !is_wanted(feed)) {
        return read_word(feed, at, WORD_MINUS_INFINITY, 1);
    }
    text = span_of(from, (size_t)(at - from));
    if (at == feed->end) {
        scan->part = (uint8_t)part;
        scan->state = IN_NUMBER;
        if (is_wanted(feed)) {
            scan_gather(scan, text);
        }
        return at;
    }
    return number_may_end(part) ? number_done(feed, text, at) : NULL;
}

const char *scan_read_number(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *from = at;

    scan->part = NUMBER_FIRST;
    scan->text_len = 0;
    scan->cut = false;
    do {
        at++;
    } while (at < feed->end && is_digit(*at) && *from != '0');
    /* Nearly all numbers are whole and end so. */
    if (at < feed->end && (*at == ',' || *at == '}') && *from != '-') {
        return number_done(feed, span_of(from, (size_t)(at - from)), at);
    }
    return scan_resume_number(feed, from);
}

/* The text has ended within a number that is the whole text. */
bool scan_end_number(const struct feed *feed)
{
    struct scan *scan = feed->scan;

    if (!number_may_end(scan->part)) {
        return false;
    }
    if (is_wanted(feed)) {
        scan_call_seen_text(feed, SCAN_NUMBER, span_of(scan->text, scan->text_len),
                            scan->offset);
    }
    value_done(scan);
    return true;
}
