/* What the parts of the scanner share: the states, one piece on its way through, and
 * how values are delivered. Private to the scanner.
 *
 * Functions that read take a position in the piece and return the one behind what they
 * have read, with the state set for what comes next; NULL if the text is malformed. */
#ifndef ASSAY_FILTERS_JSON_SCAN_FEED_H
#define ASSAY_FILTERS_JSON_SCAN_FEED_H

#include "filters/json/scan_plan.h"

/* What comes next. */
enum scan_state {
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

enum scan_capture {
    CAPTURE_NOTHING,
    CAPTURE_TEXT,
    CAPTURE_PIECES,
    CAPTURE_EXTENT,
    CAPTURE_RAW
};

/* One piece on its way through. Read-only, so that the compiler keeps
 * it in registers. */
struct feed {
    struct scan *scan;
    const struct scan_plan *plan;
    const char *begin;
    const char *end;
    scan_seen *seen;
    void *self;
};

static inline uint64_t offset_of(const struct feed *feed, const char *at)
{
    return feed->scan->offset + (uint64_t)(at - feed->begin);
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_wanted(const struct feed *feed)
{
    return feed->plan->nodes[feed->scan->current].wanted;
}

static inline void value_done(struct scan *scan)
{
    scan->state = scan->depth == 0 ? AT_END : AT_NEXT;
}

/* The key of the next value is known, in a container on a path: where does the value
 * stand in the plan? */
static inline void match_key(const struct feed *feed, const char *key, size_t len)
{
    struct scan *scan = feed->scan;
    unsigned level = scan->matched - 1U;
    const struct scan_slot *slot =
        scan_plan_find(feed->plan, scan->node[level], key, len);

    if (slot == NULL) {
        scan->current = feed->plan->nodes[scan->node[level]].any;
        scan->duplicate = false;
        scan->free_key |= scan->current != NODE_NONE;
    } else {
        uint64_t bit = UINT64_C(1) << slot->ordinal;

        scan->current = slot->child;
        scan->duplicate = (scan->seen[level] & bit) != 0;
        scan->seen[level] |= bit;
    }
}

/* What ends the plain bytes of a string. */
#define STOPS_STRICT   ((struct run_stops){ '"', '\\', '\\', RUN_PLAIN })
#define STOPS_TOLERANT ((struct run_stops){ '"', '\\', '\\', RUN_ANY })

/* As far as the bytes of a string stand for themselves (scan_string.c). */
const char *scan_plain_run(const struct feed *feed, const char *at);

/* The same; most strings end within a block. */
static inline const char *plain_run(const struct feed *feed, const char *at)
{
    if (feed->end - at >= RUN_BLOCK) {
        size_t len = feed->scan->mode == SCAN_TOLERANT ? run_block(at, STOPS_TOLERANT)
                                                       : run_block(at, STOPS_STRICT);

        if (len < RUN_BLOCK && at[len] == '"') {
            return at + len;
        }
    }
    return scan_plain_run(feed, at);
}

/* scan_value.c */

/* Calls `seen` for the current value, which is wanted. */
void scan_call_seen(const struct feed *feed, enum scan_type type, struct span text,
                    uint64_t end);

/* The same for a string or number: a text that is too long is cut. One that was
 * gathered is cut already. */
void scan_call_seen_text(const struct feed *feed, enum scan_type type, struct span text,
                         uint64_t end);

/* Adds to the gathered text, as far as there is room. */
void scan_gather(struct scan *scan, struct span bytes);

/* A number, and a literal (null, false, true), from its first byte or where the
 * last piece ended. */
const char *scan_read_number(const struct feed *feed, const char *at);
const char *scan_resume_number(const struct feed *feed, const char *at);
bool scan_end_number(const struct feed *feed);
const char *scan_read_literal(const struct feed *feed, const char *at,
                              enum scan_type type);
const char *scan_resume_literal(const struct feed *feed, const char *at);

/* NaN or Infinity, where nobody wants a value. */
const char *scan_read_no_number(const struct feed *feed, const char *at);

/* scan_string.c */

/* A string that is not whole and plain in this piece; `at` is its first byte. */
const char *scan_gather_string(const struct feed *feed, const char *at, bool key,
                               enum scan_capture capture);
const char *scan_resume_string(const struct feed *feed, const char *at);

/* Delivers what is gathered of a string in pieces. */
void scan_flush_piece(const struct feed *feed);

#endif
