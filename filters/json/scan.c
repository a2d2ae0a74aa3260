/* The structure of the text: containers, keys, and what may follow what. */
#include "filters/json/scan.h"

#include "filters/json/scan_feed.h"

_Static_assert(sizeof(struct scan) <= 448, "a scan outgrew its budget");
_Static_assert(SCAN_TEXT_MAX <= UINT8_MAX, "text_len is a byte");

static inline const char *skip_space(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at <= ' ' &&
           (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

/* ---- containers ------------------------------------------------------------------ */

/* Is the innermost container on a path of the plan? */
static inline bool on_path(const struct scan *scan)
{
    return scan->depth == scan->matched;
}

static inline void deliver(const struct feed *feed, enum scan_type type, uint64_t end)
{
    if (is_wanted(feed)) {
        feed->scan->cut = false;
        scan_call_seen(feed, type, span_of(NULL, 0), end);
    }
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

static void match_container(const struct feed *feed, enum scan_type type)
{
    struct scan *scan = feed->scan;
    unsigned level = scan->matched++;
    unsigned bit = 1U << level;

    scan->node[level] = scan->current;
    scan->seen[level] = 0;
    scan->begin[level] = scan->value_begin;
    scan->doubled =
        (uint16_t)(scan->duplicate ? scan->doubled | bit : scan->doubled & ~bit);
    deliver(feed, type, 0);
}

static const char *open_container(const struct feed *feed, const char *at, bool object)
{
    struct scan *scan = feed->scan;
    unsigned level = scan->depth;
    uint64_t bit = UINT64_C(1) << (level % 64);
    uint64_t *word = &scan->containers[level / 64];

    if (level == SCAN_DEPTH_MAX) {
        return NULL;
    }
    if (scan->current != NODE_NONE && scan->matched <= SCAN_MATCH_MAX) {
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

static void unmatch_container(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    unsigned level = --scan->matched;

    scan->current = scan->node[level];
    scan->value_begin = scan->begin[level];
    scan->duplicate = (scan->doubled >> level & 1) != 0;
    deliver(feed, SCAN_END, offset_of(feed, at + 1));
}

static const char *close_container(const struct feed *feed, const char *at, bool object)
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

/* ---- keys and values ------------------------------------------------------------- */

static inline const char *read_key(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;
    const char *from = at + 1;
    const char *end = plain_run(feed, from);

    if (end == feed->end || *end != '"') {
        return scan_gather_string(feed, from, true,
                                  on_path(scan) ? CAPTURE_TEXT : CAPTURE_NOTHING);
    }
    if (on_path(scan)) {
        match_key(feed, from, (size_t)(end - from));
    } else {
        scan->current = NODE_NONE;
        scan->free_key = true;
    }
    scan->state = AT_COLON;
    return end + 1;
}

static const char *read_wanted_string(const struct feed *feed, const char *from,
                                      const char *end)
{
    static const enum scan_capture captures[] = {
        [SCAN_WHOLE] = CAPTURE_TEXT,
        [SCAN_PIECES] = CAPTURE_PIECES,
        [SCAN_MEASURED] = CAPTURE_EXTENT,
        [SCAN_RAW] = CAPTURE_EXTENT,
    };
    struct scan *scan = feed->scan;
    struct span text = span_of(from, (size_t)(end - from));
    unsigned strings = feed->plan->nodes[scan->current].strings;
    bool raw = strings == SCAN_RAW && scan->raw;

    if (end == feed->end || *end != '"') {
        return scan_gather_string(feed, from, false,
                                  raw ? CAPTURE_RAW : captures[strings]);
    }
    scan->cut = false;
    if ((strings == SCAN_PIECES || raw) && text.len > 0) {
        scan_call_seen(feed, SCAN_PIECE, text, 0);
    }
    if (strings != SCAN_WHOLE) {
        text = span_of(NULL, 0);
    }
    scan_call_seen_text(feed, SCAN_STRING, text, offset_of(feed, end + 1));
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
        return scan_gather_string(feed, from, false, CAPTURE_NOTHING);
    }
    value_done(feed->scan);
    return end + 1;
}

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
        return scan_read_literal(feed, at, SCAN_NULL);
    case 'f':
        return scan_read_literal(feed, at, SCAN_FALSE);
    case 't':
        return scan_read_literal(feed, at, SCAN_TRUE);
    case ']':
        return scan->state == AT_ELEMENT ? close_container(feed, at, false) : NULL;
    case 'N':
    case 'I':
        return scan->mode == SCAN_TOLERANT ? scan_read_no_number(feed, at) : NULL;
    default:
        return is_digit(*at) || *at == '-' ? scan_read_number(feed, at) : NULL;
    }
}

/* ---- what may follow what -------------------------------------------------------- */

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

/* Passes over a byte order mark; `part` counts its bytes. */
static const char *read_start(const struct feed *feed, const char *at)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct scan *scan = feed->scan;

    if (scan->mode == SCAN_STRICT || (scan->part == 0 && *at != mark[0])) {
        scan->state = AT_VALUE;
        return at;
    }
    while (at < feed->end) {
        if (*at++ != mark[scan->part++]) {
            return NULL;
        }
        if (scan->part == sizeof(mark) - 1) {
            scan->state = AT_VALUE;
            break;
        }
    }
    return at;
}

/* What the last piece left within a token. */
static const char *resume(const struct feed *feed, const char *at)
{
    switch ((enum scan_state)feed->scan->state) {
    case AT_START:
        return read_start(feed, at);
    case IN_STRING:
        return scan_resume_string(feed, at);
    case IN_NUMBER:
        return scan_resume_number(feed, at);
    case IN_LITERAL:
        return scan_resume_literal(feed, at);
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

/* A token; a key takes its colon, value and comma along, which is how most of a
 * text goes by. */
static inline const char *read_token(const struct feed *feed, const char *at)
{
    struct scan *scan = feed->scan;

    switch ((enum scan_state)scan->state) {
    case AT_FIRST_KEY:
        if (*at == '}') {
            return close_container(feed, at, true);
        }
        __attribute__((fallthrough));
    case AT_KEY:
        if (*at != '"') {
            return NULL;
        }
        at = read_key(feed, at);
        if (at == NULL || at == feed->end || *at != ':') {
            return at;
        }
        __attribute__((fallthrough));
    case AT_COLON:
        if (*at != ':') {
            return NULL;
        }
        scan->state = AT_VALUE;
        at = skip_space(at + 1, feed->end);
        if (at == feed->end) {
            return at;
        }
        __attribute__((fallthrough));
    case AT_VALUE:
    case AT_ELEMENT:
        at = read_value(feed, at);
        if (at == NULL || at == feed->end || scan->state != AT_NEXT || *at != ',') {
            return at;
        }
        __attribute__((fallthrough));
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
    scan->raw = false;
    scan->free_key = false;
}

static enum scan_verdict verdict(const struct scan *scan)
{
    switch ((enum scan_state)scan->state) {
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

struct span scan_feed_one(struct scan *scan, struct span piece, scan_seen *seen,
                          void *self)
{
    struct feed feed = { .scan = scan, .plan = scan->plan, .seen = seen, .self = self };
    const char *at = piece.at;

    if (piece.len == 0) {
        return piece;
    }
    feed.begin = piece.at;
    feed.end = piece.at + piece.len;
    at = resume(&feed, at);
    while (at != NULL && (at = skip_space(at, feed.end)) < feed.end &&
           scan->state != AT_END) {
        at = read_token(&feed, at);
    }
    if (at == NULL) {
        scan->state = FAILED;
        at = feed.end;
    }
    scan->offset += (uint64_t)(at - piece.at);
    return span_after(piece, (size_t)(at - piece.at));
}

enum scan_verdict scan_feed(struct scan *scan, struct span piece, scan_seen *seen,
                            void *self)
{
    if (scan_feed_one(scan, piece, seen, self).len > 0) {
        scan->state = FAILED;
    }
    return verdict(scan);
}

enum scan_verdict scan_end(struct scan *scan, scan_seen *seen, void *self)
{
    const struct feed feed = {
        .scan = scan, .plan = scan->plan, .seen = seen, .self = self
    };
    bool complete = scan->state == AT_END;

    if (scan->state == IN_NUMBER && scan->depth == 0) {
        complete = scan_end_number(&feed);
    }
    scan->state = complete ? AT_END : FAILED;
    return verdict(scan);
}
