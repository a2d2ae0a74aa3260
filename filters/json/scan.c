#include "filters/json/scan.h"

#include "filters/json/scan_plan.h"
#include "filters/run.h"

_Static_assert(sizeof(struct scan) <= 448, "a scan outgrew its budget");
_Static_assert(SCAN_TEXT_MAX <= UINT8_MAX, "text_len is a byte");

/* What comes next. */
enum state {
    AT_START, /* perhaps a byte order mark */
    AT_VALUE,
    AT_ELEMENT, /* a value, or the end of an empty array */
    AT_FIRST_KEY,
    AT_KEY,
    AT_COLON,
    AT_NEXT, /* a comma or the end of the container */
    AT_END,  /* only white space */
    IN_STRING,
    IN_NUMBER,
    IN_LITERAL,
    FAILED
};

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

enum capture { CAPTURE_NOTHING, CAPTURE_TEXT, CAPTURE_PIECES };

enum { CHARACTER_BAD = 0xfffd };

/* One piece on its way through. Read-only, so that the compiler keeps it in registers. */
struct feed {
    struct scan *scan;
    const struct scan_plan *plan;
    const char *begin;
    const char *end;
    scan_seen *seen;
    void *self;
};

/* The functions that read take a position in the piece and return the one behind what
 * they have read; NULL if the text is malformed there. */

static inline uint64_t offset_of(const struct feed *feed, const char *at)
{
    return feed->scan->offset + (uint64_t)(at - feed->begin);
}

static inline const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- values ------------------------------------------------------------------------- */

static inline bool is_wanted(const struct feed *feed)
{
    return feed->plan->nodes[feed->scan->current].wanted;
}

static void call_seen(const struct feed *feed, enum scan_type type, struct span text,
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

static inline void deliver(const struct feed *feed, enum scan_type type,
                           struct span text, uint64_t end)
{
    if (is_wanted(feed)) {
        call_seen(feed, type, text, end);
    }
}

static inline void value_done(struct scan *scan)
{
    scan->state = scan->depth == 0 ? AT_END : AT_NEXT;
}

/* Is the innermost container on a path of the plan? */
static inline bool on_path(const struct scan *scan)
{
    return scan->depth == scan->matched;
}

static inline void expect_element(const struct feed *feed)
{
    struct scan *scan = feed->scan;

    scan->duplicate = false;
    scan->current = NODE_NONE;
    if (on_path(scan)) {
        scan->current = feed->plan->nodes[scan->node[scan->matched - 1]].element;
    }
}

/* The key of the next value is known: where does that value stand in the plan? */
static inline void match_key(const struct feed *feed, const char *key, size_t len)
{
    struct scan *scan = feed->scan;
    unsigned level = scan->matched - 1U;
    const struct scan_slot *slot =
        scan_plan_find(feed->plan, scan->node[level], key, len);

    if (slot == NULL) {
        scan->current = NODE_NONE;
    } else {
        uint64_t bit = UINT64_C(1) << slot->ordinal;

        scan->current = slot->child;
        scan->duplicate = (scan->seen[level] & bit) != 0;
        scan->seen[level] |= bit;
    }
}

static inline void match_container(const struct feed *feed, enum scan_type type)
{
    struct scan *scan = feed->scan;
    unsigned level = scan->matched++;

    scan->node[level] = scan->current;
    scan->seen[level] = 0;
    scan->begin[level] = scan->value_begin;
    scan->doubled &= (uint16_t) ~(1U << level);
    scan->doubled |= (uint16_t)((unsigned)scan->duplicate << level);
    scan->cut = false;
    deliver(feed, type, span_of(NULL, 0), 0);
}

static inline const char *open_container(const struct feed *feed, const char *at,
                                         bool object)
{
    struct scan *scan = feed->scan;
    unsigned level = scan->depth;
    uint64_t bit = UINT64_C(1) << (level % 64);
    uint64_t *word = &scan->containers[level / 64];

    if (level == SCAN_DEPTH_MAX) {
        return NULL;
    }
    if (scan->current != NODE_NONE) {
        match_container(feed, object ? SCAN_OBJECT : SCAN_ARRAY);
    }
    *word = object ? *word | bit : *word & ~bit;
    scan->depth++;
    scan->in_object = object;
    if (object) {
        scan->state = AT_FIRST_KEY;
    } else {
        scan->state = AT_ELEMENT;
        expect_element(feed);
    }
    return at + 1;
}

static inline void unmatch_container(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    unsigned level = --scan->matched;

    scan->current = scan->node[level];
    scan->value_begin = scan->begin[level];
    scan->duplicate = (scan->doubled >> level & 1) != 0;
    scan->cut = false;
    deliver(feed, SCAN_END, span_of(NULL, 0), offset_of(feed, at + 1));
}

static inline const char *close_container(const struct feed *feed, const char *at,
                                          bool object)
{
    struct scan *scan = feed->scan;
    unsigned level;

    if (scan->in_object != object) {
        return NULL;
    }
    if (on_path(scan)) {
        unmatch_container(feed, at);
    }
    level = --scan->depth;
    if (level > 0) {
        level--;
        scan->in_object = (scan->containers[level / 64] >> (level % 64) & 1) != 0;
    }
    value_done(scan);
    return at + 1;
}

/* ---- text that is gathered ---------------------------------------------------------- */

static void gather(struct scan *scan, const char *bytes, size_t len)
{
    size_t room = (size_t)SCAN_TEXT_MAX - scan->text_len;

    if (len > room) {
        scan->cut = true;
        len = room;
    }
    memcpy(scan->text + scan->text_len, bytes, len);
    scan->text_len = (uint8_t)(scan->text_len + len);
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

/* Delivers the text of a string or number, either where it stands or as it was gathered
 * (then it is cut already). */
static void deliver_text(const struct feed *feed, enum scan_type type, struct span text,
                         uint64_t end)
{
    if (text.len > SCAN_TEXT_MAX) {
        text.len = SCAN_TEXT_MAX;
        feed->scan->cut = true;
    }
    if (feed->scan->cut) {
        text = whole_characters(text);
    }
    call_seen(feed, type, text, end);
}

/* ---- numbers and literals ----------------------------------------------------------- */

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

static inline bool number_may_end(enum number_part part)
{
    return part == NUMBER_ZERO || part == NUMBER_WHOLE || part == NUMBER_FRACTION ||
           part == NUMBER_EXPONENT;
}

static const char *resume_number(const struct feed *feed, const char *at)
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
    text = span_of(from, (size_t)(at - from));
    if (at == feed->end) {
        scan->part = (uint8_t)part;
        scan->state = IN_NUMBER;
        if (is_wanted(feed)) {
            gather(scan, text.at, text.len);
        }
        return at;
    }
    if (!number_may_end(part)) {
        return NULL;
    }
    if (is_wanted(feed)) {
        if (scan->text_len > 0) {
            gather(scan, text.at, text.len);
            text = span_of(scan->text, scan->text_len);
        }
        deliver_text(feed, SCAN_NUMBER, text, offset_of(feed, at));
    }
    value_done(scan);
    return at;
}

static inline const char *read_number(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;

    scan->part = NUMBER_FIRST;
    scan->text_len = 0;
    scan->cut = false;
    return resume_number(feed, at);
}

static const char *const literals[] = {
    [SCAN_NULL] = "null", [SCAN_FALSE] = "false", [SCAN_TRUE] = "true"
};

static inline void literal_done(const struct feed *feed, const char *at,
                                enum scan_type type)
{
    deliver(feed, type, span_of(NULL, 0), offset_of(feed, at));
    value_done(feed->scan);
}

/* `escape` holds which literal it is, `part` how much of it has come. */
static const char *resume_literal(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *literal = literals[scan->escape];

    while (at < feed->end) {
        if (*at++ != literal[scan->part++]) {
            return NULL;
        }
        if (literal[scan->part] == '\0') {
            literal_done(feed, at, (enum scan_type)scan->escape);
            break;
        }
    }
    return at;
}

static inline const char *read_literal(const struct feed *feed, const char *at,
                                       enum scan_type type)
{
    struct scan *scan = feed->scan;
    size_t len = type == SCAN_FALSE ? 5 : 4;

    scan->cut = false;
    if ((size_t)(feed->end - at) >= len && memcmp(at, literals[type], len) == 0) {
        literal_done(feed, at + len, type);
        return at + len;
    }
    scan->state = IN_LITERAL;
    scan->escape = (uint16_t)type;
    scan->part = 0;
    return resume_literal(feed, at);
}

/* ---- strings ------------------------------------------------------------------------ */

static void capture(const struct feed *feed, const char *bytes, size_t len)
{
    struct scan *scan = feed->scan;

    if (scan->capture == CAPTURE_TEXT) {
        gather(scan, bytes, len);
    } else if (scan->capture == CAPTURE_PIECES && len > 0) {
        call_seen(feed, SCAN_PIECE, span_of(bytes, len), 0);
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
    capture(feed, utf8, len);
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

    if (scan->capture == CAPTURE_NOTHING) {
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

/* What stands for itself or a control character behind a backslash; 0 for nothing. */
static inline char unescape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

static inline int hex_digit(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *hex_byte(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    int digit = hex_digit(*at);

    if (digit < 0) {
        return NULL;
    }
    scan->escape = (uint16_t)(scan->escape << 4 | digit);
    if (scan->part == STRING_HEX_4) {
        scan->part = STRING_PLAIN;
        capture_unit(feed, scan->escape);
    } else {
        scan->part++;
    }
    return at + 1;
}

/* The byte behind a backslash. */
static const char *escape_byte(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    char c = unescape(*at);

    if (c != 0) {
        scan->part = STRING_PLAIN;
        drop_surrogate(feed);
        capture(feed, &c, 1);
        return at + 1;
    }
    if (*at != 'u') {
        return NULL;
    }
    scan->part = STRING_HEX_1;
    scan->escape = 0;
    return at + 1;
}

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
    capture(feed, at, 1);
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
    capture(feed, at, 1);
    return at + 1;
}

/* As far as bytes stand for themselves. */
static inline const char *plain_run(const struct feed *feed, const char *at)
{
    const struct run_stops strict = { '"', '\\', '\\', true };
    const struct run_stops tolerant = { '"', '\\', '\\', false };
    const char *end = feed->end;

    if (feed->scan->mode == SCAN_TOLERANT) {
        return run_to(at, end, tolerant);
    }
    for (;;) {
        const char *from;

        at = run_to(at, end, strict);
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
    if (scan->capture != CAPTURE_NOTHING) {
        deliver_text(feed, SCAN_STRING, span_of(scan->text, scan->text_len),
                     offset_of(feed, at + 1));
    }
    value_done(scan);
    return at + 1;
}

static const char *string_byte(const struct feed *feed, const char *at)
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
            return at + 1;
        }
        return utf8_first(feed, at);
    }
}

static const char *resume_string(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;

    while (at != NULL && at < feed->end) {
        const char *from = at;

        if (scan->part != STRING_PLAIN) {
            at = string_byte(feed, at);
            continue;
        }
        at = plain_run(feed, at);
        if (at > from) {
            drop_surrogate(feed);
            capture(feed, from, (size_t)(at - from));
        }
        if (at < feed->end) {
            if (*at == '"') {
                return end_string(feed, at);
            }
            at = string_byte(feed, at);
        }
    }
    return at;
}

/* A string that is not whole and plain in this piece; `at` is its first byte. */
static const char *gather_string(const struct feed *feed, const char *at, bool key,
                                 enum capture what)
{
    struct scan *scan = feed->scan;

    scan->state = IN_STRING;
    scan->part = STRING_PLAIN;
    scan->in_key = key;
    scan->capture = (uint8_t)what;
    scan->text_len = 0;
    scan->cut = false;
    scan->surrogate = 0;
    return resume_string(feed, at);
}

static inline const char *read_key(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *from = at + 1;
    const char *end = plain_run(feed, from);

    if (end == feed->end || *end != '"') {
        return gather_string(feed, from, true,
                             on_path(scan) ? CAPTURE_TEXT : CAPTURE_NOTHING);
    }
    scan->current = NODE_NONE;
    if (on_path(scan)) {
        match_key(feed, from, (size_t)(end - from));
    }
    scan->state = AT_COLON;
    return end + 1;
}

static const char *read_wanted_string(const struct feed *feed, const char *from,
                                      const char *end)
{
    struct scan *scan = feed->scan;
    struct span text = span_of(from, (size_t)(end - from));
    bool pieces = feed->plan->nodes[scan->current].pieces;

    if (end == feed->end || *end != '"') {
        return gather_string(feed, from, false, pieces ? CAPTURE_PIECES : CAPTURE_TEXT);
    }
    scan->cut = false;
    if (pieces) {
        if (text.len > 0) {
            call_seen(feed, SCAN_PIECE, text, 0);
        }
        text = span_of(NULL, 0);
    }
    deliver_text(feed, SCAN_STRING, text, offset_of(feed, end + 1));
    value_done(scan);
    return end + 1;
}

static inline const char *read_string(const struct feed *feed, const char *at)
{
    const char *from = at + 1;
    const char *end = plain_run(feed, from);

    if (is_wanted(feed)) {
        return read_wanted_string(feed, from, end);
    }
    if (end == feed->end || *end != '"') {
        return gather_string(feed, from, false, CAPTURE_NOTHING);
    }
    value_done(feed->scan);
    return end + 1;
}

/* ---- structure ---------------------------------------------------------------------- */

static inline const char *read_value(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;

    scan->value_begin = offset_of(feed, at);
    switch (*at) {
    case '"':
        return read_string(feed, at);
    case '{':
        return open_container(feed, at, true);
    case '[':
        return open_container(feed, at, false);
    case 'n':
        return read_literal(feed, at, SCAN_NULL);
    case 'f':
        return read_literal(feed, at, SCAN_FALSE);
    case 't':
        return read_literal(feed, at, SCAN_TRUE);
    case ']':
        return scan->state == AT_ELEMENT ? close_container(feed, at, false) : NULL;
    default:
        return is_digit(*at) || *at == '-' ? read_number(feed, at) : NULL;
    }
}

static inline const char *read_next(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;

    if (*at == ',') {
        if (scan->in_object) {
            scan->state = AT_KEY;
        } else {
            scan->state = AT_VALUE;
            expect_element(feed);
        }
        return at + 1;
    }
    if (*at == '}' || *at == ']') {
        return close_container(feed, at, *at == '}');
    }
    return NULL;
}

/* A byte order mark is passed over byte by byte; `part` counts. */
static const char *read_start(const struct feed *feed, const char *at)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct scan *scan = feed->scan;

    if (scan->mode == SCAN_TOLERANT && (scan->part > 0 || *at == mark[0])) {
        if (*at != mark[scan->part++]) {
            return NULL;
        }
        if (scan->part == sizeof(mark) - 1) {
            scan->state = AT_VALUE;
        }
        return at + 1;
    }
    scan->state = AT_VALUE;
    return at;
}

/* A token; `at` is its first byte. */
static inline const char *read_token(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;

    switch ((enum state)scan->state) {
    case AT_VALUE:
    case AT_ELEMENT:
        return read_value(feed, at);
    case AT_FIRST_KEY:
        if (*at == '}') {
            return close_container(feed, at, true);
        }
        __attribute__((fallthrough));
    case AT_KEY:
        return *at == '"' ? read_key(feed, at) : NULL;
    case AT_COLON:
        scan->state = AT_VALUE;
        return *at == ':' ? at + 1 : NULL;
    case AT_NEXT:
        return read_next(feed, at);
    case AT_START:
    case AT_END:
    case IN_STRING:
    case IN_NUMBER:
    case IN_LITERAL:
    case FAILED:
    default:
        return NULL;
    }
}

/* What the last piece left unfinished. */
static const char *resume(const struct feed *feed, const char *at)
{
    switch ((enum state)feed->scan->state) {
    case IN_STRING:
        return resume_string(feed, at);
    case IN_NUMBER:
        return resume_number(feed, at);
    case IN_LITERAL:
        return resume_literal(feed, at);
    case AT_START:
    case AT_VALUE:
    case AT_ELEMENT:
    case AT_FIRST_KEY:
    case AT_KEY:
    case AT_COLON:
    case AT_NEXT:
    case AT_END:
    case FAILED:
    default:
        return at;
    }
}

void scan_init(struct scan *scan, const struct scan_plan *plan, enum scan_mode mode)
{
    scan->plan = plan;
    scan->offset = 0;
    scan->doubled = 0;
    scan->depth = 0;
    scan->current = NODE_ROOT;
    scan->matched = 0;
    scan->state = AT_START;
    scan->part = 0;
    scan->mode = (uint8_t)mode;
    scan->in_object = false;
    scan->duplicate = false;
}

static enum scan_verdict verdict(const struct scan *scan)
{
    switch ((enum state)scan->state) {
    case AT_END:
        return SCAN_COMPLETE;
    case FAILED:
        return SCAN_MALFORMED;
    case AT_START:
    case AT_VALUE:
    case AT_ELEMENT:
    case AT_FIRST_KEY:
    case AT_KEY:
    case AT_COLON:
    case AT_NEXT:
    case IN_STRING:
    case IN_NUMBER:
    case IN_LITERAL:
    default:
        return SCAN_MORE;
    }
}

enum scan_verdict scan_feed(struct scan *scan, struct span piece, scan_seen *seen,
                            void *self)
{
    struct feed feed = { .scan = scan, .plan = scan->plan, .seen = seen, .self = self };
    const char *at = piece.at;

    if (piece.len == 0) {
        return verdict(scan);
    }
    feed.begin = piece.at;
    feed.end = piece.at + piece.len;
    while (at != NULL && at < feed.end && scan->state == AT_START) {
        at = read_start(&feed, at);
    }
    if (at != NULL) {
        at = resume(&feed, at);
    }
    while (at != NULL && (at = skip_space(at, feed.end)) < feed.end) {
        at = read_token(&feed, at);
    }
    if (at == NULL) {
        scan->state = FAILED;
    }
    scan->offset += piece.len;
    return verdict(scan);
}

enum scan_verdict scan_end(struct scan *scan, scan_seen *seen, void *self)
{
    if (scan->state == IN_NUMBER && scan->depth == 0 && number_may_end(scan->part)) {
        const struct feed feed = {
            .scan = scan, .plan = scan->plan, .seen = seen, .self = self
        };

        if (is_wanted(&feed)) {
            deliver_text(&feed, SCAN_NUMBER, span_of(scan->text, scan->text_len),
                         scan->offset);
        }
        scan->state = AT_END;
    }
    if (scan->state != AT_END) {
        scan->state = FAILED;
    }
    return verdict(scan);
}
