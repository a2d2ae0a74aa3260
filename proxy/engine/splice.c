#include "proxy/engine/splice.h"

#include "filters/frame/sse.h"
#include "filters/json/scan.h"
#include "proxy/base/wipe.h"

#include <stdlib.h>

/* ---- into the request ------------------------------------------------------------ */

struct splice splice_plan(const struct facts *facts)
{
    if (facts->options_end == 0) {
        return (struct splice){
            .at = facts->body_open,
            .insert = facts->body_empty
                          ? SPAN("\"stream_options\":{\"include_usage\":true}")
                          : SPAN("\"stream_options\":{\"include_usage\":true},"),
        };
    }
    if (!facts->options_object) {
        return (struct splice){
            .at = facts->options_begin,
            .remove = facts->options_end - facts->options_begin,
            .insert = SPAN("{\"include_usage\":true}"),
        };
    }
    if (facts->include_end != 0) {
        return (struct splice){
            .at = facts->include_begin,
            .remove = facts->include_end - facts->include_begin,
            .insert = SPAN("true"),
        };
    }
    return (struct splice){
        .at = facts->options_begin + 1,
        .insert = facts->options_empty ? SPAN("\"include_usage\":true")
                                       : SPAN("\"include_usage\":true,"),
    };
}

/* Moves the first n bytes of one queue to the end of another. */
static bool queue_move(struct block_queue *from, struct block_queue *to,
                       struct block_pool *pool, uint64_t n)
{
    while (n > 0) {
        struct span front = block_front(from);

        if (front.len > n) {
            front.len = (size_t)n;
        }
        if (front.len == 0 || !block_put(to, pool, front)) {
            return false;
        }
        n -= front.len;
        block_drop(from, pool, front.len);
    }
    return true;
}

bool splice_apply(const struct splice *splice, struct block_queue *body,
                  struct block_pool *pool)
{
    struct block_queue spliced = { 0 };
    bool whole;

    CHECK(splice->at + splice->remove <= body->bytes);
    whole = queue_move(body, &spliced, pool, splice->at);
    if (whole) {
        block_drop(body, pool, (size_t)splice->remove);
        whole = block_put(&spliced, pool, splice->insert) &&
                queue_move(body, &spliced, pool, body->bytes);
    }
    block_clear(body, pool);
    *body = spliced;
    return whole;
}

/* ---- out of the response --------------------------------------------------------- */

enum {
    EVENT_MAX = 32 * 1024, /* a longer event is not the usage chunk */
    TAG_CHOICES = 1,
    TAG_CHOICE,
    TAG_USAGE
};

struct strip {
    char *held; /* the front of an incomplete event; EVENT_MAX */
    size_t held_len;
    bool line_empty; /* nothing on the current line yet */
    bool after_cr;   /* the last byte was a CR: an LF belongs to it */
    bool too_long;   /* the event's front is out already */
    bool done;       /* the chunk is out, or there will be none */
};

static const struct scan_plan *usage_chunk_plan(void)
{
    static const struct scan_path paths[] = {
        { "choices", TAG_CHOICES, SCAN_WHOLE },
        { "choices[]", TAG_CHOICE, SCAN_WHOLE },
        { "usage", TAG_USAGE, SCAN_WHOLE },
    };
    static struct scan_plan *shared;
    struct scan_plan *plan = __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
    struct scan_plan *expected = NULL;

    if (plan != NULL) {
        return plan;
    }
    plan = scan_plan_new(paths, sizeof paths / sizeof paths[0]);
    if (!__atomic_compare_exchange_n(&shared, &expected, plan, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        scan_plan_free(plan);
        plan = expected;
    }
    return plan;
}

struct strip *strip_new(void)
{
    struct strip *strip = calloc(1, sizeof *strip);

    if (strip != NULL) {
        strip->line_empty = true;
    }
    return strip;
}

struct strip *strip_free(struct strip *strip)
{
    if (strip != NULL) {
        wipe_free(strip->held);
        free(strip);
    }
    return NULL;
}

struct chunk_marks {
    bool no_choice;
    bool usage;
};

static void chunk_seen(void *self, const struct scan_value *value)
{
    struct chunk_marks *marks = self;

    if (value->tag == TAG_CHOICES) {
        marks->no_choice |= value->type == SCAN_ARRAY;
    } else if (value->tag == TAG_CHOICE) {
        marks->no_choice = false;
    } else if (value->type == SCAN_OBJECT) {
        marks->usage = true;
    }
}

/* Is there a [] in it? Most chunks are told from the usage chunk by this alone. */
static bool has_empty_array(struct span text)
{
    for (size_t at = 0; (at += span_find(span_after(text, at), ']')) < text.len; at++) {
        size_t open = at;

        while (open > 0 && (unsigned char)text.at[open - 1] <= ' ') {
            open--;
        }
        if (open > 0 && text.at[open - 1] == '[') {
            return true;
        }
    }
    return false;
}

/* Does this whole event say {"choices":[], "usage":{...}}? */
static bool is_usage_chunk(struct span event)
{
    const struct span data = SPAN("data:");
    struct chunk_marks marks = { 0 };
    struct scan scan;

    if (event.len > EVENT_MAX || !span_starts(event, data) || !has_empty_array(event) ||
        memmem(event.at, event.len, "\"usage\"", 7) == NULL) {
        return false;
    }
    scan_init(&scan, usage_chunk_plan(), SCAN_TOLERANT);
    scan_feed(&scan, span_after(event, data.len), chunk_seen, &marks);
    if (scan_end(&scan, chunk_seen, &marks) != SCAN_COMPLETE) {
        return false;
    }
    return marks.no_choice && marks.usage;
}

/* The offset behind the line end at `at`. A CRLF counts as one, if its LF has come. */
static size_t behind_line_end(struct strip *strip, struct span piece, size_t at)
{
    bool cr = piece.at[at] == '\r';

    at++;
    strip->after_cr = cr && at == piece.len;
    return cr && at < piece.len && piece.at[at] == '\n' ? at + 1 : at;
}

/* Length up to and with the blank line that ends the running event; 0: it goes on. */
static size_t event_end(struct strip *strip, struct span piece)
{
    size_t at = strip->after_cr && piece.at[0] == '\n'; /* the line ended at its CR */

    strip->after_cr = false;
    while (at < piece.len) {
        size_t end = at + sse_line_end(span_after(piece, at));
        bool blank = strip->line_empty && end == at;

        strip->line_empty = end < piece.len;
        if (end == piece.len) {
            break;
        }
        at = behind_line_end(strip, piece, end);
        if (blank) {
            return at;
        }
    }
    return 0;
}

/* Keeps an event's front; false when it is too long for the chunk that
 * is looked for. */
static bool front_keep(struct strip *strip, struct span piece)
{
    if (strip->too_long || piece.len > EVENT_MAX - strip->held_len) {
        return false;
    }
    if (strip->held == NULL) {
        strip->held = malloc(EVENT_MAX);
        if (strip->held == NULL) {
            return false;
        }
    }
    memcpy(strip->held + strip->held_len, piece.at, piece.len);
    strip->held_len += piece.len;
    return true;
}

static void front_release(struct strip *strip,
                          void (*out)(void *self, struct span bytes), void *self)
{
    if (strip->held_len > 0) {
        out(self, span_of(strip->held, strip->held_len));
        strip->held_len = 0;
    }
}

static void event_over(struct strip *strip, struct span rest,
                       void (*out)(void *self, struct span bytes), void *self)
{
    if (strip->held_len == 0) {
        if (!strip->too_long && is_usage_chunk(rest)) {
            strip->done = true;
        } else {
            out(self, rest);
        }
    } else if (!front_keep(strip, rest)) {
        front_release(strip, out, self);
        out(self, rest);
    } else if (is_usage_chunk(span_of(strip->held, strip->held_len))) {
        strip->done = true;
        strip->held_len = 0;
    } else {
        front_release(strip, out, self);
    }
    strip->too_long = false;
}

/* Takes the LF of a blank line whose CR ended the piece before: it goes where its event
 * went. */
static struct span late_lf(struct strip *strip, struct span piece,
                           void (*out)(void *self, struct span bytes), void *self)
{
    bool between = strip->held_len == 0 && !strip->too_long;

    if (!strip->after_cr || !between || piece.len == 0) {
        return piece;
    }
    strip->after_cr = false;
    if (piece.at[0] != '\n') {
        return piece;
    }
    if (!strip->done) {
        out(self, span_of(piece.at, 1));
    }
    return span_after(piece, 1);
}

void strip_feed(struct strip *strip, struct span piece,
                void (*out)(void *self, struct span bytes), void *self)
{
    piece = late_lf(strip, piece, out, self);
    while (piece.len > 0 && !strip->done) {
        size_t end = event_end(strip, piece);

        if (end == 0) {
            if (!front_keep(strip, piece)) {
                front_release(strip, out, self);
                out(self, piece);
                strip->too_long = true;
            }
            return;
        }
        event_over(strip, span_of(piece.at, end), out, self);
        piece = span_after(piece, end);
    }
    if (piece.len > 0) {
        strip->after_cr = false;
        out(self, piece);
    }
}

void strip_end(struct strip *strip, void (*out)(void *self, struct span bytes),
               void *self)
{
    if (strip->held_len > 0 && is_usage_chunk(span_of(strip->held, strip->held_len))) {
        strip->held_len = 0;
    }
    front_release(strip, out, self);
}
