/* JSON of arbitrary bytes: every split delivers the same values, what is accepted
 * strictly is accepted tolerantly with the same values, and by cJSON; a text whose
 * shape is known delivers what it delivered before. */
#include "filters/json/shape.h"

#include <cjson/cJSON.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct scan_path paths[] = {
    { "", 1, SCAN_WHOLE },          { "a", 2, SCAN_WHOLE },
    { "a.b", 3, SCAN_WHOLE },       { "model", 4, SCAN_WHOLE },
    { "list[]", 5, SCAN_PIECES },   { "deep[][].x", 6, SCAN_WHOLE },
    { "a.b.c.d.e", 7, SCAN_WHOLE }, { "text", 8, SCAN_PIECES },
    { "[].a", 9, SCAN_WHOLE },      { "usage.input", 10, SCAN_WHOLE },
    { "raw[]", 11, SCAN_RAW },      { "any.**", 12, SCAN_PIECES },
};

/* A digest of what came; pieces of one string count as their bytes. */
struct digest {
    uint64_t sum;
    bool in_string;
    size_t size; /* of the text, for checking offsets */
};

static void add(struct digest *digest, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++) {
        digest->sum = (digest->sum ^ at[i]) * 0x100000001b3;
    }
}

static void note(void *self, const struct scan_value *value)
{
    struct digest *digest = self;
    uint64_t count;

    CHECK(value->begin < digest->size && value->end <= digest->size);
    if (value->type != SCAN_PIECE || !digest->in_string) {
        const uint64_t facts[] = { value->tag,       value->type,  value->cut,
                                   value->duplicate, value->begin, value->end };

        add(digest, facts, sizeof(facts));
    }
    digest->in_string = value->type == SCAN_PIECE;
    CHECK(digest->in_string || value->text.len <= SCAN_TEXT_MAX);
    CHECK(!digest->in_string || value->text.len > 0);
    add(digest, value->text.at, value->text.len);
    if (value->type == SCAN_NUMBER && scan_count(value->text, &count)) {
        CHECK(count <= INT64_MAX);
    }
}

static enum scan_verdict scan_text(const struct scan_plan *plan, enum scan_mode mode,
                                   struct span text, size_t step, struct digest *digest)
{
    struct scan scan;

    *digest = (struct digest){ .size = text.len };
    scan_init(&scan, plan, mode);
    scan.raw = true;
    while (text.len > 0) {
        size_t len = text.len < step ? text.len : step;

        (void)scan_feed(&scan, span_of(text.at, len), note, digest);
        text = span_after(text, len);
    }
    return scan_end(&scan, note, digest);
}

/* cJSON refuses lone surrogates and NULs, and reads no number beyond 63 bytes. */
static bool suits_cjson(struct span text)
{
    size_t digits = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool in_number = strchr("0123456789.+-eE", text.at[i]) != NULL;

        digits = in_number ? digits + 1 : 0;
        if (digits > 60 ||
            (text.at[i] == '\\' && i + 1 < text.len && text.at[i + 1] == 'u')) {
            return false;
        }
    }
    return true;
}

static void compare_with_cjson(struct span text)
{
    cJSON *tree;

    if (suits_cjson(text)) {
        tree = cJSON_ParseWithLength(text.at, text.len);
        CHECK(tree != NULL);
        cJSON_Delete(tree);
    }
}

static enum scan_verdict scan_everyhow(const struct scan_plan *plan,
                                       enum scan_mode mode, struct span text,
                                       uint64_t *sum)
{
    struct digest whole, split;
    enum scan_verdict verdict = scan_text(plan, mode, text, SIZE_MAX, &whole);

    for (size_t step = 1; step < 200; step = step * 3 + 1) {
        CHECK(scan_text(plan, mode, text, step, &split) == verdict);
        CHECK(split.sum == whole.sum);
    }
    *sum = whole.sum;
    return verdict;
}

/* NULL for shapes: it is scanned. */
static enum scan_verdict read_one(struct shapes *shapes, const struct scan_plan *plan,
                                  struct span text, struct digest *digest)
{
    struct scan scan;

    *digest = (struct digest){ .size = text.len };
    scan_init(&scan, plan, SCAN_TOLERANT);
    if (shapes == NULL) {
        (void)scan_feed_one(&scan, text, note, digest);
    } else {
        (void)shapes_feed_one(shapes, &scan, text, note, digest);
    }
    return scan_end(&scan, note, digest);
}

static void compare_with_shape(const struct scan_plan *plan, struct span text)
{
    static struct shapes shapes;
    struct digest scanned, shaped;
    enum scan_verdict verdict = read_one(NULL, plan, text, &scanned);

    shapes = (struct shapes){ .misses = 0 };
    for (int i = 0; i < 2; i++) {
        CHECK(read_one(&shapes, plan, text, &shaped) == verdict);
        CHECK(shaped.sum == scanned.sum);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct scan_plan *plan;
    struct span text = span_of((const char *)bytes, size);
    uint64_t strict_sum, tolerant_sum;
    enum scan_verdict strict, tolerant;

    if (plan == NULL) {
        plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    }
    strict = scan_everyhow(plan, SCAN_STRICT, text, &strict_sum);
    tolerant = scan_everyhow(plan, SCAN_TOLERANT, text, &tolerant_sum);
    compare_with_shape(plan, text);
    if (strict == SCAN_COMPLETE) {
        CHECK(tolerant == SCAN_COMPLETE && tolerant_sum == strict_sum);
        compare_with_cjson(text);
    }
    return 0;
}
