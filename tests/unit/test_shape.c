/* A text delivers the same, whether it is scanned or has a known shape. */
#include "filters/json/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LOG_MAX = 16 * 1024, TEXT_MAX = 8192 };

static const struct scan_path paths[] = {
    { "", 1, SCAN_WHOLE },
    { "id", 2, SCAN_WHOLE },
    { "type", 3, SCAN_WHOLE },
    { "created", 4, SCAN_WHOLE },
    { "choices", 5, SCAN_WHOLE },
    { "choices[].delta.content", 6, SCAN_PIECES },
    { "choices[].finish_reason", 7, SCAN_WHOLE },
    { "choices[].index", 8, SCAN_WHOLE },
    { "usage", 9, SCAN_WHOLE },
    { "usage.prompt_tokens", 10, SCAN_WHOLE },
    { "text", 11, SCAN_MEASURED },
    { "input.**", 12, SCAN_PIECES },
};

static const char *const texts[] = {
    "{\"id\":\"c-1\",\"created\":17,\"choices\":[{\"index\":0,\"delta\":{\"content\":"
    "\" a "
    "word\"},\"finish_reason\":null}],\"usage\":null}",
    "{ \"type\" : \"delta\" , \"other\":[1,[2.5e3,\"x\"],{}],\"text\": \"measured\" }",
    "{\"id\":\"\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"more\":{\"id\":3}}}",
    "{\"input\":{\"a\":\"b\",\"c\":[1,true,null,\"d\"],\"e\":{\"f\":-1}},\"id\":7}",
    "[\"a\",\"b\",1]",
    "\"alone\"",
    "12",
    "{\"id\":\"a\",\"id\":\"b\"}",
};

struct log {
    char text[LOG_MAX];
    size_t len;
};

static void put(void *self, const struct scan_value *value)
{
    struct log *log = self;
    int len = snprintf(log->text + log->len, LOG_MAX - log->len,
                       "%u %d %d%d %ju-%ju %.*s\n", value->tag, (int)value->type,
                       value->cut, value->duplicate, (uintmax_t)value->begin,
                       (uintmax_t)value->end, (int)value->text.len, value->text.at);

    assert_true(len > 0 && (size_t)len < LOG_MAX - log->len);
    log->len += (size_t)len;
}

/* The rest that is not of the text, and the verdict, belong to what is compared. */
static void read_text(struct shapes *shapes, const struct scan_plan *plan,
                      struct span text, struct log *log)
{
    char *copy =
        malloc(text.len + 1); /* so that a sanitizer sees each step beyond it */
    struct scan scan;
    struct span rest;

    assert_non_null(copy);
    memcpy(copy, text.at, text.len);
    log->len = 0;
    scan_init(&scan, plan, SCAN_TOLERANT);
    rest = shapes == NULL
               ? scan_feed_one(&scan, span_of(copy, text.len), put, log)
               : shapes_feed_one(shapes, &scan, span_of(copy, text.len), put, log);
    log->len += (size_t)snprintf(log->text + log->len, LOG_MAX - log->len, "rest %zu",
                                 rest.len);
    log->len +=
        (size_t)snprintf(log->text + log->len, LOG_MAX - log->len,
                         " verdict %d offset %ju", (int)scan_end(&scan, put, log),
                         (uintmax_t)scan.offset);
    free(copy);
}

static void expect_same(struct shapes *shapes, const struct scan_plan *plan,
                        struct span text)
{
    static struct log scanned, shaped;

    read_text(NULL, plan, text, &scanned);
    read_text(shapes, plan, text, &shaped);
    if (scanned.len != shaped.len ||
        memcmp(scanned.text, shaped.text, scanned.len) != 0) {
        fail_msg("%.*s\nis scanned as\n%s\nand with shapes as\n%s", (int)text.len,
                 text.at, scanned.text, shaped.text);
    }
}

/* The shape is known, and not because the text was seen before. */
static void learn(struct shapes *shapes, const struct scan_plan *plan, const char *text)
{
    static struct log log;

    *shapes = (struct shapes){ .misses = 0 };
    read_text(shapes, plan, span_text(text), &log);
}

static void values_may_differ(void **state)
{
    static const char other[] =
        "{\"id\":\"longer than it "
        "was\",\"created\":1,\"choices\":[{\"index\":12,\"delta\":{"
        "\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}";
    struct scan_plan *plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    struct shapes *shapes = calloc(1, sizeof(*shapes));

    (void)state;
    assert_non_null(shapes);
    learn(shapes, plan, texts[0]);
    assert_int_equal(shapes->misses, 1);
    expect_same(shapes, plan, span_text(texts[0]));
    expect_same(shapes, plan, span_text(other));
    assert_int_equal(shapes->misses, 1); /* both had the shape */
    scan_plan_free(plan);
    free(shapes);
}

/* Every text with every byte replaced, left out, and put before another. */
static void whatever_differs_is_scanned(void **state)
{
    static const char bytes[] = "\"\\{}[]:, 0129-.eEtnf\n\x80x";
    struct scan_plan *plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    struct shapes *shapes = calloc(1, sizeof(*shapes));
    char text[512];

    (void)state;
    assert_non_null(shapes);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len = strlen(texts[i]);

        learn(shapes, plan, texts[i]);
        for (size_t at = 0; at < len; at++) {
            for (size_t c = 0; c + 1 < sizeof(bytes); c++) {
                memcpy(text, texts[i], len);
                text[at] = bytes[c];
                expect_same(shapes, plan, span_of(text, len));
                memcpy(text + at + 1, texts[i] + at, len - at);
                expect_same(shapes, plan, span_of(text, len + 1));
            }
            memcpy(text, texts[i], at);
            memcpy(text + at, texts[i] + at + 1, len - at - 1);
            expect_same(shapes, plan, span_of(text, len - 1));
            expect_same(shapes, plan, span_of(texts[i], at));
        }
        expect_same(shapes, plan, span_text(texts[i]));
    }
    scan_plan_free(plan);
    free(shapes);
}

/* What is taken delivers as the same line scanned; nothing is seen of what is not. */
static bool expect_line(struct shapes *shapes, const struct scan_plan *plan,
                        struct span text)
{
    static struct log scanned, taken;
    size_t line = strcspn(text.at, "\r\n"), len;
    char *copy = malloc(text.len);
    struct scan scan;

    assert_non_null(copy);
    memcpy(copy, text.at, text.len);
    scanned.len = 0;
    taken.len = 0;
    len = shapes_take_line(shapes, plan, span_of(copy, text.len), put, &taken);
    free(copy);
    if (len == 0) {
        assert_int_equal(taken.len, 0);
        return false;
    }
    assert_int_equal(len, line);
    assert_true(len < text.len);
    scan_init(&scan, plan, SCAN_TOLERANT);
    assert_int_equal(scan_feed_one(&scan, span_of(text.at, len), put, &scanned).len, 0);
    assert_int_equal(scan_end(&scan, put, &scanned), SCAN_COMPLETE);
    assert_int_equal(scanned.len, taken.len);
    assert_memory_equal(scanned.text, taken.text, taken.len);
    return true;
}

/* A text of a known shape with its line end, cut short, and with every byte
 * replaced. */
static void known_lines_are_taken(void **state)
{
    const char *const lines[] = {
        texts[0],
        "{\"id\":\"\",\"choices\":[],\"usage\":{\"prompt_tokens\":12}}",
    };
    static const char bytes[] = "\"\\{}[], 0-e\n\r\t\x80x";
    struct scan_plan *plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    struct shapes *shapes = calloc(1, sizeof(*shapes));

    (void)state;
    assert_non_null(shapes);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[512];
        int len = snprintf(text, sizeof(text), "%s\n\ndata: {", lines[i]);

        learn(shapes, plan, lines[i]);
        assert_true(expect_line(shapes, plan, span_of(text, (size_t)len)));
        for (size_t at = 0; at < strlen(lines[i]); at++) {
            char was = text[at];

            assert_false(expect_line(shapes, plan, span_of(text, at)));
            for (size_t c = 0; c + 1 < sizeof(bytes); c++) {
                text[at] = bytes[c];
                (void)expect_line(shapes, plan, span_of(text, (size_t)len));
            }
            text[at] = was;
        }
        assert_false(expect_line(shapes, plan, span_of(text, strlen(lines[i]))));
    }
    scan_plan_free(plan);
    free(shapes);
}

/* Its line ends would be those of the stream. */
static void texts_of_several_lines_are_not_taken(void **state)
{
    static const char *const lines[] = { "{\n\"id\":\"a\"}\n",
                                         "{\"id\":\"a\",\r\"x\":1}\n" };
    struct scan_plan *plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    struct shapes *shapes = calloc(1, sizeof(*shapes));

    (void)state;
    assert_non_null(shapes);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[64];

        snprintf(text, sizeof(text), "%.*s", (int)strlen(lines[i]) - 1, lines[i]);
        learn(shapes, plan, text);
        assert_non_null(shapes->known[0]);
        assert_false(expect_line(shapes, plan, span_text(lines[i])));
    }
    scan_plan_free(plan);
    free(shapes);
}

/* Strings and numbers of any length, where some are cut. */
static void long_values_are_cut_alike(void **state)
{
    struct scan_plan *plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    struct shapes *shapes = calloc(1, sizeof(*shapes));
    static char text[TEXT_MAX];
    char filler[SCAN_TEXT_MAX + 8];

    (void)state;
    assert_non_null(shapes);
    learn(shapes, plan, texts[0]);
    memset(filler, '1', sizeof(filler));
    for (int len = 0; len < (int)sizeof(filler); len++) {
        for (int which = 0; which < 4; which++) {
            int size =
                snprintf(text, sizeof(text),
                         "{\"id\":\"%.*s\",\"created\":1%.*s,\"choices\":[{\"index\":"
                         "0,\"delta\":{\"content\":\"%.*s\"},\"finish_reason\":"
                         "null}],\"usage\":null}",
                         which == 0 ? len : 1, filler, which == 1 ? len : 1, filler,
                         which == 2 ? len : 1, filler);

            expect_same(shapes, plan, span_of(text, (size_t)size));
        }
    }
    scan_plan_free(plan);
    free(shapes);
}

/* More values, steps or bytes than a shape has room for, and more shapes
 * than are kept. */
static void bounds_hold(void **state)
{
    struct scan_plan *plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    struct shapes *shapes = calloc(1, sizeof(*shapes));
    static char text[TEXT_MAX];

    (void)state;
    assert_non_null(shapes);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned items = 0; items < 300; items++) {
            size_t len = 0;

            text[len++] = '[';
            for (unsigned i = 0; i < items; i++) {
                static const char *const kinds[] = { "1", "\"x\"", "{\"key\":null}" };

                len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
                                        i > 0 ? "," : "", kinds[(i + round) % 3]);
            }
            text[len++] = ']';
            expect_same(shapes, plan, span_of(text, len));
            expect_same(shapes, plan, span_of(text, len));
            shapes->misses = 0; /* the next one is learnt */
        }
    }
    scan_plan_free(plan);
    free(shapes);
}

/* What stands between values is kept, but not keys that may be anything. */
static void free_keys_are_not_kept(void **state)
{
    static const char *const words[] = {
        "{\"id\":1,\"input\":{\"secret\":\"b\"}}",
        "{\"id\":1,\"metadata\":{\"secret\":2}}",
        "{\"id\":1,\"choices\":[{\"extra\":[{\"secret\":2}]}]}",
    };
    struct scan_plan *plan = scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
    struct shapes *shapes = calloc(1, sizeof(*shapes));

    (void)state;
    assert_non_null(shapes);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        learn(shapes, plan, words[i]);
        assert_null(memmem(shapes, sizeof(*shapes), "secret", 6));
        assert_null(shapes->known[0]);
    }
    learn(shapes, plan, "{\"id\":1,\"usage\":{\"unheard_of\":2}}");
    assert_non_null(shapes->known[0]);
    scan_plan_free(plan);
    free(shapes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_may_differ),
        cmocka_unit_test(whatever_differs_is_scanned),
        cmocka_unit_test(known_lines_are_taken),
        cmocka_unit_test(texts_of_several_lines_are_not_taken),
        cmocka_unit_test(long_values_are_cut_alike),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(free_keys_are_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
