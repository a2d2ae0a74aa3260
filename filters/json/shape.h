/* Texts of one shape: the events of a stream repeat each other but for a few
 * values. What stands between the values (keys, brackets, null) is compared with
 * that of an earlier text instead of being read again; whatever differs in more
 * than its values is scanned.
 *
 * Of a text only what stands between its values is kept, and nothing of one with keys
 * in places of which the plan does not know the keys: they may be anybody's words. One
 * thread's; shared by its texts. */
#ifndef ASSAY_FILTERS_JSON_SHAPE_H
#define ASSAY_FILTERS_JSON_SHAPE_H

#include "filters/json/scan.h"

enum {
    SHAPES_MAX = 4,
    SHAPE_TEXT_MAX = 4096, /* longer texts are not looked at */
    SHAPE_FIXED_MAX = 512, /* bytes between values */
    SHAPE_STEPS_MAX = 40,
    SHAPE_CALLS_MAX = 32
};

/* Bytes between values, and what follows them. */
struct shape_step {
    uint16_t len;  /* in `fixed`, behind those of the step before */
    uint16_t most; /* bytes of the value: one that is delivered whole must be short */
    uint8_t value; /* enum: a string, a number, or the text's end */
};

/* A place in a text: so many bytes behind the beginning of a step's bytes. */
struct shape_place {
    uint16_t step, offset;
};

/* A value that is delivered. */
struct shape_call {
    uint16_t tag;
    uint8_t type;    /* enum scan_type */
    uint8_t strings; /* enum scan_strings */
    struct shape_place begin, end;
};

struct shape {
    const struct scan_plan *plan; /* NULL: none */
    uint16_t step_count;
    uint16_t call_count;
    uint16_t fixed_len;
    bool one_line; /* no line end stands between the values */
    struct shape_step steps[SHAPE_STEPS_MAX];
    struct shape_call calls[SHAPE_CALLS_MAX];
    char fixed[SHAPE_FIXED_MAX];
};

/* All zero at first. */
struct shapes {
    struct shape *known[SHAPES_MAX]; /* the one that fitted last is first */
    struct shape memory[SHAPES_MAX];
    uint32_t misses;
};

/* A text of a known shape stands at the front of `rest`, and the first line end there
 * stands behind it: its values are seen. Returns its length; 0 if it is none. */
size_t shapes_take_line(struct shapes *shapes, const struct scan_plan *plan,
                        struct span rest, scan_seen *seen, void *self);

/* As scan_feed_one(), with the same values. */
struct span shapes_feed_one(struct shapes *shapes, struct scan *scan, struct span piece,
                            scan_seen *seen, void *self);

#endif
