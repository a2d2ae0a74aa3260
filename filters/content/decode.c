#include "filters/content/decode.h"

#include "filters/content/coding.h"
#include "proxy/base/text.h"
#include "proxy/base/wipe.h"

#include <stdlib.h>

enum {
    CODINGS_MAX = 3,             /* one upon another; nobody sends more than one */
    PIECE_MAX = 16 * 1024,       /* decoded bytes that come out at once */
    RATIO_FREE_BYTES = 64 * 1024 /* a short text may be as repetitive as it likes */
};

static const struct coding *const codings[] = { &coding_gzip, &coding_deflate,
                                                &coding_br, &coding_zstd };

enum { CODINGS = sizeof(codings) / sizeof(codings[0]) };

struct stage {
    const struct coding *coding;
    void *state;
    bool fed;      /* a byte has come */
    uint64_t made; /* bytes */
    char piece[PIECE_MAX];
};

/* stages[0] undoes what was applied last. */
struct decode {
    struct decode_limits limits;
    enum decode_verdict verdict;
    uint64_t encoded; /* bytes that came in */
    void (*out)(void *self, struct span piece);
    void *self;
    size_t count;
    struct stage stages[];
};

static const struct coding *find_coding(struct span name)
{
    for (size_t i = 0; i < CODINGS; i++) {
        if (span_equal_nocase(name, span_text(codings[i]->name)) ||
            (codings[i]->alias != NULL &&
             span_equal_nocase(name, span_text(codings[i]->alias)))) {
            return codings[i];
        }
    }
    return NULL;
}

static bool is_identity(struct span name)
{
    return name.len == 0 || span_equal_nocase(name, SPAN("identity"));
}

/* The codings of a Content-Encoding in the order they were applied; false if one is not
 * known or they are too many. */
static bool list_codings(struct span content_encoding,
                         const struct coding *list[CODINGS_MAX], size_t *count)
{
    struct span name;

    *count = 0;
    while (span_next(&content_encoding, ',', &name)) {
        const struct coding *coding;

        name = span_trim(name);
        if (is_identity(name)) {
            continue;
        }
        coding = find_coding(name);
        if (coding == NULL || *count == CODINGS_MAX) {
            return false;
        }
        list[(*count)++] = coding;
    }
    return true;
}

bool decode_known(struct span content_encoding)
{
    const struct coding *list[CODINGS_MAX];
    size_t count;

    return list_codings(content_encoding, list, &count);
}

bool decode_needed(struct span content_encoding)
{
    const struct coding *list[CODINGS_MAX];
    size_t count;

    return !list_codings(content_encoding, list, &count) || count > 0;
}

struct decode *decode_new(struct span content_encoding, struct decode_limits limits)
{
    const struct coding *list[CODINGS_MAX];
    struct decode *decode;
    size_t count;

    CHECK(list_codings(content_encoding, list, &count));
    CHECK(limits.ratio > 0);
    decode = malloc(sizeof(*decode) + count * sizeof(decode->stages[0]));
    if (decode == NULL) {
        return NULL;
    }
    *decode = (struct decode){ .limits = limits, .verdict = DECODE_OK };
    for (size_t i = 0; i < count; i++) {
        struct stage *stage = &decode->stages[i];

        stage->coding = list[count - 1 - i];
        stage->fed = false;
        stage->made = 0;
        stage->state = stage->coding->open();
        if (stage->state == NULL) {
            return decode_free(decode);
        }
        decode->count++;
    }
    return decode;
}

struct decode *decode_free(struct decode *decode)
{
    if (decode != NULL) {
        for (size_t i = 0; i < decode->count; i++) {
            decode->stages[i].coding->close(decode->stages[i].state);
        }
        wipe_free(decode);
    }
    return NULL;
}

/* Holds for every stage, so that a bomb within a bomb, or one of empty frames, is
 * caught where it grows. */
static bool is_over_limit(const struct decode *decode, const struct stage *stage)
{
    return stage->made > decode->limits.bytes ||
           (stage->made > RATIO_FREE_BYTES &&
            stage->made / decode->limits.ratio > decode->encoded);
}

/* Calls itself for the next stage: CODINGS_MAX deep. */
static enum decode_verdict feed_stage(struct decode *decode, size_t index,
                                      struct span in)
{
    struct stage *stage = &decode->stages[index];
    enum decode_verdict verdict = DECODE_OK;
    struct room room;

    if (index == decode->count) {
        decode->out(decode->self, in);
        return DECODE_OK;
    }
    stage->fed = true;
    do {
        room = (struct room){ stage->piece, PIECE_MAX, 0 };
        verdict = stage->coding->step(stage->state, &in, &room);
        stage->made += room.used;
        if (is_over_limit(decode, stage)) {
            return DECODE_OVER_LIMIT;
        }
        if (room.used > 0) {
            enum decode_verdict next =
                feed_stage(decode, index + 1, span_of(room.at, room.used));

            verdict = next == DECODE_OK ? verdict : next;
        }
    } while (verdict == DECODE_OK && (in.len > 0 || room.used == room.size));
    return verdict;
}

enum decode_verdict decode_feed(struct decode *decode, struct span piece,
                                void (*out)(void *self, struct span piece), void *self)
{
    if (decode->verdict == DECODE_OK && piece.len > 0) {
        decode->encoded += piece.len;
        decode->out = out;
        decode->self = self;
        decode->verdict = feed_stage(decode, 0, piece);
    }
    return decode->verdict;
}

enum decode_verdict decode_end(struct decode *decode)
{
    for (size_t i = 0; i < decode->count && decode->verdict == DECODE_OK; i++) {
        const struct stage *stage = &decode->stages[i];

        if (stage->fed && !stage->coding->whole(stage->state)) {
            decode->verdict = DECODE_CORRUPT;
        }
    }
    return decode->verdict;
}

/* ---- Accept-Encoding (RFC 9110, section 12.5.3) ---------------------------------- */

/* Cuts "br;q=0.5" into its name and ";q=0.5". */
static struct span accept_name(struct span element, struct span *weight)
{
    size_t at = span_find(element, ';');

    *weight = span_after(element, at);
    return span_trim(span_of(element.at, at));
}

static bool is_zero_weight(struct span weight)
{
    size_t at = span_find(weight, '=');
    struct span value =
        at == weight.len ? weight : span_trim(span_after(weight, at + 1));

    if (value.len == 0 || value.at[0] != '0') {
        return false;
    }
    for (size_t i = 1; i < value.len; i++) {
        if (value.at[i] != '0' && value.at[i] != '.') {
            return false;
        }
    }
    return true;
}

static bool accept_names(struct span accept_encoding, const struct coding *coding)
{
    struct span element, weight;

    while (span_next(&accept_encoding, ',', &element)) {
        if (find_coding(accept_name(element, &weight)) == coding) {
            return true;
        }
    }
    return false;
}

static void put_element(struct text *out, size_t begin, struct span name,
                        struct span weight)
{
    if (out->len > begin) {
        text_put(out, SPAN(", "));
    }
    text_put(out, name);
    text_put(out, weight);
}

/* "*" may not stay as it is: it would also accept what we cannot undo. */
static void put_any(struct text *out, size_t begin, struct span accept_encoding,
                    struct span weight)
{
    for (size_t i = 0; i < CODINGS; i++) {
        if (!accept_names(accept_encoding, codings[i])) {
            put_element(out, begin, span_text(codings[i]->name), weight);
        }
    }
}

void decode_accept(struct span accept_encoding, struct text *out)
{
    struct span rest = accept_encoding;
    size_t begin = out->len;
    struct span element;

    while (span_next(&rest, ',', &element)) {
        struct span weight;
        struct span name = accept_name(span_trim(element), &weight);

        if (span_equal(name, SPAN("*")) && !is_zero_weight(weight)) {
            put_any(out, begin, accept_encoding, weight);
        } else if (name.len > 0 && (span_equal(name, SPAN("*")) || is_identity(name) ||
                                    find_coding(name) != NULL)) {
            put_element(out, begin, name, weight);
        }
    }
    if (out->len == begin) {
        text_put(out, SPAN("identity"));
    }
}
