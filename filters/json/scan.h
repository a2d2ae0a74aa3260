/* Paths out of a JSON text as it streams past, in constant memory: no tree, no
 * recursion, any split of the bytes gives the same values.
 *
 * A plan is a set of paths, compiled once: "usage.prompt_tokens",
 * "choices[].delta.content", "[].usageMetadata.totalTokenCount" ("[]" is every element
 * of an array). Keys compare after decoding: "us\u0061ge" is "usage". Case matters. The
 * path "" is the text's own outermost value. A last step "**" is every value below, as
 * deep as SCAN_MATCH_MAX steps go. Lone surrogate escapes are legal and become
 * U+FFFD. */
#ifndef ASSAY_FILTERS_JSON_SCAN_H
#define ASSAY_FILTERS_JSON_SCAN_H

#include "proxy/base/check.h"
#include "proxy/base/span.h"

enum {
    SCAN_TEXT_MAX = 160,  /* bytes of a string or number that are delivered whole */
    SCAN_DEPTH_MAX = 512, /* containers within containers; deeper texts are refused */
    SCAN_MATCH_MAX = 8    /* steps of a path */
};

enum scan_type {
    SCAN_NULL,
    SCAN_FALSE,
    SCAN_TRUE,
    SCAN_NUMBER, /* text: the token as it stands */
    SCAN_STRING, /* text: decoded; empty for a path that takes no whole strings */
    SCAN_PIECE,  /* text: the next piece of a string, before its SCAN_STRING */
    SCAN_OBJECT, /* an object begins */
    SCAN_ARRAY,  /* an array begins */
    SCAN_END     /* the object or array ends */
};

struct scan_value {
    unsigned tag; /* of the path that matched */
    enum scan_type type;
    bool cut;            /* the text was longer than SCAN_TEXT_MAX; its front is here */
    bool duplicate;      /* this key stood in the same object before */
    struct span text;    /* lives during the call */
    uint64_t begin, end; /* the value's raw bytes are [begin, end) of the text; end is 0
                            for SCAN_OBJECT, SCAN_ARRAY and SCAN_PIECE */
};

/* How the strings on a path are delivered. */
enum scan_strings {
    SCAN_WHOLE,    /* decoded, as far as SCAN_TEXT_MAX goes */
    SCAN_PIECES,   /* decoded, in pieces of any length */
    SCAN_MEASURED, /* only where they begin and end: without decoding, so much cheaper */
    SCAN_RAW /* the same, with pieces as they stand, escapes and all, of strings that
                      begin while scan.raw is set */
};

/* A row of a plan. */
struct scan_path {
    const char *path;
    unsigned tag; /* at most 65535 */
    enum scan_strings strings;
};

/* Bytes between the quotes of a string, as they stand in the text; 0
 * for other values. */
static inline uint64_t scan_string_bytes(const struct scan_value *value)
{
    return value->type == SCAN_STRING ? value->end - value->begin - 2 : 0;
}

struct scan_plan;

/* Compiles paths; CHECKs that they are well formed and distinct. Immutable afterwards
 * and shared by all threads. */
struct scan_plan *scan_plan_new(const struct scan_path *paths, size_t count);
struct scan_plan *scan_plan_free(struct scan_plan *plan);

typedef void scan_seen(void *self, const struct scan_value *value);

enum scan_mode {
    SCAN_STRICT, /* RFC 8259 to the letter, UTF-8 included: for requests */
    SCAN_TOLERANT /* a byte order mark, raw control characters and bad UTF-8 in strings, and
                     off all paths what Python writes for numbers that are none (NaN,
                     Infinity, -Infinity) pass: for responses */
};

enum scan_verdict {
    SCAN_MORE,     /* a legal beginning */
    SCAN_COMPLETE, /* one whole value, perhaps white space behind it */
    SCAN_MALFORMED /* not JSON, or too deep; nothing is delivered from here on */
};

/* The state between two pieces; plain data, no ownership. At most 448 bytes, of which
 * scan_init() writes the few that count. Containers on a path are "matched"; they are
 * the outermost ones of those that are open, so that two depths tell which. */
struct scan {
    const struct scan_plan *plan;
    uint64_t offset;                    /* bytes of the text before the next piece */
    uint64_t value_begin;               /* of the value being read */
    uint64_t begin[SCAN_MATCH_MAX + 1]; /* per matched container */
    uint64_t seen[SCAN_MATCH_MAX + 1];  /* ... the keys that came, a bit each */
    uint16_t node[SCAN_MATCH_MAX + 1];  /* ... where in the plan */
    uint16_t doubled;                   /* ... a bit: its own key came before */
    uint64_t containers[SCAN_DEPTH_MAX / 64]; /* a bit per level: it is an object */
    uint16_t depth;
    uint16_t current;   /* plan node of the value being read */
    uint16_t escape;    /* digits of a \u escape so far */
    uint16_t surrogate; /* the first half of a pair, waiting for the second */
    uint8_t matched;
    uint8_t state;
    uint8_t part; /* where within a string, number, literal or byte order mark */
    uint8_t mode;
    uint8_t capture;
    uint8_t text_len;
    uint8_t utf8_left; /* bytes of a character to come, and bounds of the next one */
    uint8_t utf8_low, utf8_high;
    bool in_object;
    bool in_key;
    bool duplicate;
    bool cut;
    bool raw;      /* are strings of SCAN_RAW wanted? For the user to set, any time */
    bool free_key; /* one came where any key may stand: it may be anybody's word */
    char text[SCAN_TEXT_MAX];
};

void scan_init(struct scan *scan, const struct scan_plan *plan, enum scan_mode mode);

/* Reads the next piece and calls `seen` for every value on a path of the plan. */
enum scan_verdict scan_feed(struct scan *scan, struct span piece, scan_seen *seen,
                            void *self);

/* The same for a piece that may hold more than one text: reads no further than to
 * the end of this one and the white space behind it. Returns what is left, empty
 * if nothing is. */
struct span scan_feed_one(struct scan *scan, struct span piece, scan_seen *seen,
                          void *self);

/* The text has ended: SCAN_COMPLETE or SCAN_MALFORMED. Delivers a last number. */
enum scan_verdict scan_end(struct scan *scan, scan_seen *seen, void *self);

/* Reads a JSON number as a count. Integers, fractions of zero ("12.0") and exponents
 * that give an integer are exact; false for negatives (but "-0" is 0), other fractions,
 * and anything above 2^63-1. */
bool scan_count_decimal(struct span number, uint64_t *count);

/* The same: nearly every count is a few digits and nothing else. */
static inline bool scan_count(struct span number, uint64_t *count)
{
    enum { PLAIN_DIGITS_MAX = 18 };
    uint64_t value = 0;

    if (number.len - 1 >= PLAIN_DIGITS_MAX || (number.len > 1 && number.at[0] == '0')) {
        return scan_count_decimal(number, count);
    }
    for (size_t i = 0; i < number.len; i++) {
        unsigned digit = (unsigned char)number.at[i] - (unsigned)'0';

        if (digit > 9) {
            return scan_count_decimal(number, count);
        }
        value = value * 10 + digit;
    }
    *count = value;
    return true;
}

#endif
