/* Texts of arbitrary bytes: every split gives the same sketch, which
 * keeps its promises. */
#include "filters/turn/sketch.h"
#include "proxy/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct sketch_key key;

static struct prompt_sketch prompt_of(struct span text, size_t step)
{
    static struct prompt_sketcher sketcher;
    struct prompt_sketch sketch;

    sketch_prompt_begin(&sketcher, &key);
    while (text.len > 0) {
        size_t len = text.len < step ? text.len : step;

        sketch_prompt_feed(&sketcher, span_of(text.at, len));
        text = span_after(text, len);
    }
    sketch_prompt_end(&sketcher, &sketch);
    return sketch;
}

static struct response_sketch response_of(struct span text, size_t step)
{
    struct response_sketcher sketcher;
    struct response_sketch sketch;

    sketch_response_begin(&sketcher, &key);
    while (text.len > 0) {
        size_t len = text.len < step ? text.len : step;

        sketch_response_feed(&sketcher, span_of(text.at, len));
        text = span_after(text, len);
    }
    sketch_response_end(&sketcher, &sketch);
    return sketch;
}

static void check_same(const struct prompt_sketch *a, const struct prompt_sketch *b)
{
    CHECK(a->whole == b->whole && a->shape == b->shape && a->similar == b->similar);
    CHECK(a->characters == b->characters && a->has_words == b->has_words);
    CHECK(a->bottom_count == b->bottom_count && a->sample_count == b->sample_count);
    CHECK(memcmp(a->bottom, b->bottom, sizeof(a->bottom)) == 0);
    CHECK(memcmp(a->samples, b->samples, sizeof(a->samples)) == 0);
    CHECK(memcmp(a->words, b->words, sizeof(a->words)) == 0);
}

static void check_sane(const struct prompt_sketch *sketch, size_t size)
{
    CHECK(sketch->characters <= size);
    CHECK(sketch->bottom_count <= SKETCH_BOTTOM &&
          sketch->sample_count <= SKETCH_PROMPT);
    for (unsigned i = 1; i < sketch->bottom_count; i++) {
        CHECK(sketch->bottom[i - 1] < sketch->bottom[i]);
    }
    for (unsigned i = 1; i < sketch->sample_count; i++) {
        CHECK(sketch->samples[i - 1] < sketch->samples[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span text = span_of((const char *)bytes, size);
    struct prompt_sketch prompt;
    struct response_sketch response;

    sketch_key_init(&key, SPAN("a key for fuzzing"));
    prompt = prompt_of(text, SIZE_MAX);
    response = response_of(text, SIZE_MAX);
    check_sane(&prompt, size);
    CHECK(response.count <= SKETCH_RESPONSE);
    for (size_t step = 1; step < 600; step = step * 5 + 2) {
        struct prompt_sketch split = prompt_of(text, step);
        struct response_sketch piece = response_of(text, step);

        check_same(&prompt, &split);
        CHECK(piece.count == response.count &&
              memcmp(piece.samples, response.samples, sizeof(piece.samples)) == 0);
    }
    return 0;
}
