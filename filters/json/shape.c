#include "filters/json/shape.h"

#include "filters/json/scan_feed.h"

enum value { VALUE_STRING, VALUE_NUMBER, VALUE_END };

enum { LEARN_EVERY = 8 }; /* misses: texts that have no shape in common cost little */

/* ---- a text of a known shape ----------------------------------------------------- */

/* Where the steps of a text begin. */
struct places {
    const char *steps[SHAPE_STEPS_MAX];
};

/* Behind the digits of a plain count; NULL if it is none. */
static const char *pass_number(const char *at, const char *end)
{
    const char *from = at;

    while (at < end && is_digit(*at)) {
        at++;
    }
    return at == from || (*from == '0' && at - from > 1) ? NULL : at;
}

/* At the closing quote; NULL if something in the string is to be undone. */
RUN_INLINE const char *pass_string(const char *at, const char *end,
                                   struct run_stops stops)
{
    at = run_to(at, end, stops);
    return at < end && *at == '"' ? at : NULL;
}

/* Behind the text of this shape at the front of `text`; NULL if there is none. */
RUN_INLINE const char *pass_text(const struct shape *shape, struct span text,
                                 struct places *places, struct run_stops stops)
{
    const char *at = text.at, *end = text.at + text.len, *fixed = shape->fixed;
    const char **place = places->steps;

    for (const struct shape_step *step = shape->steps;; step++) {
        const char *from;

        *place++ = at;
        if (end - at < step->len || !run_equal(at, fixed, step->len)) {
            return NULL;
        }
        at += step->len;
        fixed += step->len;
        if (step->value == VALUE_END) {
            return at;
        }
        from = at;
        at = step->value == VALUE_STRING ? pass_string(at, end, stops)
                                         : pass_number(at, end);
        if (at == NULL || at - from > step->most) {
            return NULL;
        }
    }
}

/* Out of line: a loop of its own has the registers it needs. */
__attribute__((noinline)) static const char *pass_whole(const struct shape *shape,
                                                        struct span text,
                                                        struct places *places)
{
    return pass_text(shape, text, places, STOPS_TOLERANT);
}

/* The same for a text in which no line ends. */
__attribute__((noinline)) static const char *pass_line(const struct shape *shape,
                                                       struct span text,
                                                       struct places *places)
{
    const struct run_stops stops = { '"', '\\', '\\', RUN_CONTROL };

    return pass_text(shape, text, places, stops);
}

static const char *place_of(const struct places *places, struct shape_place place)
{
    return places->steps[place.step] + place.offset;
}

static void deliver_piece(struct scan_value value, scan_seen *seen, void *self)
{
    if (value.text.len > 0) {
        value.type = SCAN_PIECE;
        value.end = 0;
        seen(self, &value);
    }
}

static void deliver(const struct shape_call *call, const struct places *places,
                    const char *text, scan_seen *seen, void *self)
{
    const char *begin = place_of(places, call->begin);
    const char *end = place_of(places, call->end);
    struct scan_value value = { .tag = call->tag,
                                .type = (enum scan_type)call->type,
                                .begin = (uint64_t)(begin - text),
                                .end = (uint64_t)(end - text) };

    if (value.type == SCAN_NUMBER) {
        value.text = span_of(begin, (size_t)(end - begin));
    } else if (value.type == SCAN_STRING && call->strings <= SCAN_PIECES) {
        value.text = span_of(begin + 1, (size_t)(end - begin) - 2);
        if (call->strings == SCAN_PIECES) {
            deliver_piece(value, seen, self);
            value.text = span_of(NULL, 0);
        }
    }
    seen(self, &value);
}

/* Does what is behind a text begin with a line end? */
static bool at_line_end(const char *at, const char *end)
{
    return at < end && (*at == '\n' || *at == '\r');
}

/* The known shape of the text, or if `line`, of the text that is the line at its front;
 * it becomes the first of the known. NULL if it has none. */
static const struct shape *find(struct shapes *shapes, const struct scan_plan *plan,
                                struct span text, bool line, struct places *places)
{
    for (unsigned i = 0; i < SHAPES_MAX && shapes->known[i] != NULL; i++) {
        struct shape *shape = shapes->known[i];
        const char *end = text.at + text.len, *behind;

        if (shape->plan != plan || (line && !shape->one_line)) {
            continue;
        }
        behind =
            line ? pass_line(shape, text, places) : pass_whole(shape, text, places);
        if (behind != NULL && (line ? at_line_end(behind, end) : behind == end)) {
            memmove(&shapes->known[1], &shapes->known[0], i * sizeof(struct shape *));
            shapes->known[0] = shape;
            return shape;
        }
    }
    return NULL;
}

/* ---- a new shape ----------------------------------------------------------------- */

/* A text that is only a number has no shape. */
static bool add_step(struct shape *shape, struct span fixed, enum value value)
{
    if (shape->step_count == SHAPE_STEPS_MAX || fixed.len == 0 ||
        fixed.len > (size_t)SHAPE_FIXED_MAX - shape->fixed_len) {
        return false;
    }
    memcpy(shape->fixed + shape->fixed_len, fixed.at, fixed.len);
    shape->fixed_len = (uint16_t)(shape->fixed_len + fixed.len);
    shape->one_line &=
        run_to(fixed.at, fixed.at + fixed.len,
               (struct run_stops){ '\n', '\r', '\r', RUN_ANY }) == fixed.at + fixed.len;
    shape->steps[shape->step_count++] = (struct shape_step){ .len = (uint16_t)fixed.len,
                                                             .most = SHAPE_TEXT_MAX,
                                                             .value = (uint8_t)value };
    return true;
}

static const char *pass_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    return at;
}

static bool is_of_number(char c)
{
    return is_digit(c) || c == '-' || c == '+' || c == '.' || (c | 0x20) == 'e';
}

/* Cuts a text, which is good JSON, into steps. */
static bool cut(struct shape *shape, struct span text, struct places *places)
{
    const char *at = text.at, *end = text.at + text.len, *from = at;

    while (at < end) {
        bool string = *at == '"', number = is_digit(*at) || *at == '-';
        const char *value = string ? at + 1 : at;

        if (!string && !number) {
            at++;
            continue;
        }
        if (string) {
            at = pass_string(value, end, STOPS_TOLERANT);
            if (at == NULL) {
                return false;
            }
            if (pass_space(at + 1, end) < end && *pass_space(at + 1, end) == ':') {
                at++; /* a key */
                continue;
            }
        } else {
            while (at < end && is_of_number(*at)) {
                at++;
            }
        }
        if (!add_step(shape, span_of(from, (size_t)(value - from)),
                      string ? VALUE_STRING : VALUE_NUMBER)) {
            return false;
        }
        places->steps[shape->step_count - 1] = from;
        from = at;
        at += string;
    }
    if (!add_step(shape, span_of(from, (size_t)(end - from)), VALUE_END)) {
        return false;
    }
    places->steps[shape->step_count - 1] = from;
    return true;
}

/* The place of an offset of the text, in the last step that begins before
 * it or there. */
static struct shape_place place_at(const struct shape *shape,
                                   const struct places *places, const char *at)
{
    unsigned step = shape->step_count - 1U;

    while (step > 0 && places->steps[step] > at) {
        step--;
    }
    return (struct shape_place){ (uint16_t)step, (uint16_t)(at - places->steps[step]) };
}

/* What a scan delivers, noted on its way. */
struct notes {
    const struct scan *scan;
    scan_seen *seen;
    void *self;
    bool odd; /* something that no shape can repeat */
    unsigned count;
    struct {
        uint64_t begin, end;
        uint16_t node;
        uint8_t type;
    } values[SHAPE_CALLS_MAX];
};

static void note(void *self, const struct scan_value *value)
{
    struct notes *notes = self;

    if (value->type != SCAN_PIECE) {
        if (notes->count == SHAPE_CALLS_MAX) {
            notes->odd = true;
        } else {
            notes->values[notes->count].begin = value->begin;
            notes->values[notes->count].end = value->end;
            notes->values[notes->count].node = notes->scan->current;
            notes->values[notes->count].type = (uint8_t)value->type;
            notes->count++;
        }
    }
    notes->odd |= value->duplicate || value->cut;
    notes->seen(notes->self, value);
}

static bool note_calls(struct shape *shape, const struct notes *notes,
                       const struct places *places, const char *text)
{
    for (unsigned i = 0; i < notes->count; i++) {
        const struct scan_node *node = &shape->plan->nodes[notes->values[i].node];
        struct shape_call *call = &shape->calls[shape->call_count++];

        if (node->strings == SCAN_RAW) {
            return false;
        }
        *call = (struct shape_call){
            .tag = node->tag,
            .type = notes->values[i].type,
            .strings = node->strings,
            .begin = place_at(shape, places, text + notes->values[i].begin),
            .end = place_at(shape, places, text + notes->values[i].end),
        };
        if (call->type == SCAN_NUMBER ||
            (call->type == SCAN_STRING && node->strings == SCAN_WHOLE)) {
            shape->steps[call->begin.step].most = SCAN_TEXT_MAX;
        }
    }
    return true;
}

/* In place of the one that did not fit for longest. */
static void learn(struct shapes *shapes, const struct notes *notes, struct span text)
{
    unsigned at = 0;
    SCRATCH struct places places;
    struct shape *shape;

    while (at < SHAPES_MAX - 1 && shapes->known[at] != NULL) {
        at++;
    }
    shape = shapes->known[at] != NULL ? shapes->known[at] : &shapes->memory[at];
    shape->plan = notes->scan->plan;
    shape->step_count = 0;
    shape->call_count = 0;
    shape->fixed_len = 0;
    shape->one_line = true;
    if (cut(shape, text, &places) && note_calls(shape, notes, &places, text.at)) {
        memmove(&shapes->known[1], &shapes->known[0], at * sizeof(struct shape *));
        shapes->known[0] = shape;
    } else {
        shape->plan = NULL; /* it fits nothing */
    }
}

static struct span feed_and_learn(struct shapes *shapes, struct scan *scan,
                                  struct span text, scan_seen *seen, void *self)
{
    SCRATCH struct notes notes;
    struct span rest;

    notes.scan = scan;
    notes.seen = seen;
    notes.self = self;
    notes.odd = false;
    notes.count = 0;
    rest = scan_feed_one(scan, text, note, &notes);

    if (scan->state == AT_END && rest.len == 0 && !notes.odd && !scan->free_key) {
        learn(shapes, &notes, text);
    }
    return rest;
}

/* The text's values; returns its length. */
static size_t deliver_all(const struct shape *shape, const struct places *places,
                          scan_seen *seen, void *self)
{
    const char *text = places->steps[0];
    unsigned last = shape->step_count - 1U;

    for (unsigned i = 0; i < shape->call_count; i++) {
        deliver(&shape->calls[i], places, text, seen, self);
    }
    return (size_t)(places->steps[last] + shape->steps[last].len - text);
}

size_t shapes_take_line(struct shapes *shapes, const struct scan_plan *plan,
                        struct span rest, scan_seen *seen, void *self)
{
    SCRATCH struct places places;
    const struct shape *shape = find(shapes, plan, rest, true, &places);

    return shape == NULL ? 0 : deliver_all(shape, &places, seen, self);
}

struct span shapes_feed_one(struct shapes *shapes, struct scan *scan, struct span piece,
                            scan_seen *seen, void *self)
{
    const struct shape *shape;
    SCRATCH struct places places;

    if (scan->state != AT_START || scan->offset > 0 || scan->mode != SCAN_TOLERANT ||
        piece.len == 0 || piece.len > SHAPE_TEXT_MAX) {
        return scan_feed_one(scan, piece, seen, self);
    }
    shape = find(shapes, scan->plan, piece, false, &places);
    if (shape == NULL) {
        return shapes->misses++ % LEARN_EVERY == 0
                   ? feed_and_learn(shapes, scan, piece, seen, self)
                   : scan_feed_one(scan, piece, seen, self);
    }
    scan->offset = deliver_all(shape, &places, seen, self);
    scan->state = AT_END;
    return span_after(piece, piece.len);
}
