#include "filters/json/scan.h"
#include "filters/run.h"

#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SUITE "../shared/vectors/jsontestsuite/test_parsing"
#define BOMBS "../shared/vectors/bombs/"

/* What a scan delivered, one line per value; pieces are joined. */
struct record {
    char text[8192];
    size_t len;
    bool in_pieces;
};

static const char *const type_names[] = {
    [SCAN_NULL] = "null",     [SCAN_FALSE] = "false",   [SCAN_TRUE] = "true",
    [SCAN_NUMBER] = "number", [SCAN_STRING] = "string", [SCAN_PIECE] = "piece",
    [SCAN_OBJECT] = "object", [SCAN_ARRAY] = "array",   [SCAN_END] = "end",
};

__attribute__((format(printf, 2, 3))) static void put(struct record *record,
                                                      const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(record->text + record->len, sizeof(record->text) - record->len,
                    format, arguments);
    va_end(arguments);
    assert_true(len >= 0 && (size_t)len < sizeof(record->text) - record->len);
    record->len += (size_t)len;
}

static void put_text(struct record *record, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\n' || text.at[i] == '\0') {
            put(record, text.at[i] == '\n' ? "\\n" : "\\0");
        } else {
            put(record, "%c", text.at[i]);
        }
    }
}

static void note(void *self, const struct scan_value *value)
{
    struct record *record = self;

    if (value->type == SCAN_PIECE) {
        assert_true(value->text.len > 0);
        assert_int_equal(value->end, 0);
        if (!record->in_pieces) {
            put(record, "pieces %u %" PRIu64 " ", value->tag, value->begin);
        }
        record->in_pieces = true;
        put_text(record, value->text);
        return;
    }
    if (record->in_pieces) {
        put(record, "\n");
        record->in_pieces = false;
    }
    put(record, "%s %u %" PRIu64 "-%" PRIu64, type_names[value->type], value->tag,
        value->begin, value->end);
    put(record, "%s%s", value->cut ? " cut" : "", value->duplicate ? " duplicate" : "");
    if (value->text.len > 0) {
        put(record, " ");
        put_text(record, value->text);
    }
    put(record, "\n");
}

/* A copy of its own for every piece, so that a sanitizer sees each step beyond it. */
static enum scan_verdict feed_copy(struct scan *scan, const char *at, size_t len,
                                   struct record *record)
{
    char *copy = malloc(len);
    enum scan_verdict verdict;

    assert_true(copy != NULL || len == 0);
    if (len > 0) {
        memcpy(copy, at, len);
    }
    verdict = scan_feed(scan, span_of(copy, len), note, record);
    free(copy);
    return verdict;
}

/* Feeds `text` in three pieces and ends it. */
static enum scan_verdict scan_in_three(const struct scan_plan *plan,
                                       enum scan_mode mode, struct span text,
                                       size_t first, size_t second,
                                       struct record *record)
{
    struct scan scan;

    memset(&scan, 0xa5, sizeof(scan)); /* scan_init() must set all that counts */
    record->len = 0;
    record->text[0] = '\0';
    record->in_pieces = false;
    scan_init(&scan, plan, mode);
    scan.raw = true;
    (void)feed_copy(&scan, text.at, first, record);
    (void)feed_copy(&scan, text.at + first, second - first, record);
    (void)feed_copy(&scan, text.at + second, text.len - second, record);
    return scan_end(&scan, note, record);
}

static enum scan_verdict scan_by_bytes(const struct scan_plan *plan,
                                       enum scan_mode mode, struct span text,
                                       struct record *record)
{
    struct scan scan;

    memset(&scan, 0x5a, sizeof(scan));
    memset(record, 0, sizeof(*record));
    scan_init(&scan, plan, mode);
    scan.raw = true;
    for (size_t i = 0; i < text.len; i++) {
        (void)feed_copy(&scan, text.at + i, 1, record);
    }
    return scan_end(&scan, note, record);
}

/* Scans whole, byte by byte and at every pair of splits (every split of long texts):
 * the verdict and what is delivered must be the same. */
static enum scan_verdict scan_everyhow(const struct scan_plan *plan,
                                       enum scan_mode mode, struct span text,
                                       struct record *record)
{
    enum scan_verdict verdict = scan_in_three(plan, mode, text, 0, 0, record);
    struct record other;

    assert_int_equal(scan_by_bytes(plan, mode, text, &other), verdict);
    assert_string_equal(other.text, record->text);
    for (size_t first = 0; first <= text.len; first++) {
        size_t last = text.len <= 120 ? text.len : first;

        for (size_t second = first; second <= last; second++) {
            assert_int_equal(scan_in_three(plan, mode, text, first, second, &other),
                             verdict);
            assert_string_equal(other.text, record->text);
        }
    }
    return verdict;
}

static const struct scan_path paths[] = {
    { "model", 1, SCAN_WHOLE },
    { "usage", 2, SCAN_WHOLE },
    { "usage.prompt_tokens", 3, SCAN_WHOLE },
    { "usage.details.cached", 4, SCAN_WHOLE },
    { "choices[].delta.content", 5, SCAN_PIECES },
    { "list[]", 6, SCAN_WHOLE },
    { "deep[][].x", 7, SCAN_WHOLE },
    { "stream", 8, SCAN_WHOLE },
    { "", 9, SCAN_WHOLE },
    { "us\xc3\xa9r", 10, SCAN_WHOLE },
    { "raw[]", 11, SCAN_RAW },
    { "any.**", 12, SCAN_WHOLE },
};

static struct scan_plan *plan_of_test(void)
{
    return scan_plan_new(paths, sizeof(paths) / sizeof(paths[0]));
}

static void expect(const char *text, size_t len, enum scan_mode mode,
                   enum scan_verdict verdict, const char *values)
{
    struct scan_plan *plan = plan_of_test();
    struct record record;

    assert_int_equal(scan_everyhow(plan, mode, span_of(text, len), &record), verdict);
    if (record.in_pieces) {
        put(&record, "\n");
    }
    assert_string_equal(record.text, values);
    (void)scan_plan_free(plan);
}

#define GOOD(text, values)                                                             \
    expect(text, sizeof(text) - 1, SCAN_STRICT, SCAN_COMPLETE, values)
#define BAD(text, values)                                                              \
    expect(text, sizeof(text) - 1, SCAN_STRICT, SCAN_MALFORMED, values)
#define TOLERATED(text, values)                                                        \
    expect(text, sizeof(text) - 1, SCAN_TOLERANT, SCAN_COMPLETE, values)

static void values_come_with_their_offsets(void **state)
{
    (void)state;
    GOOD("{\"model\":\"m-1\",\"other\":[1,{\"model\":2}],\"usage\":{\"prompt_tokens\":"
         "12 }}",
         "object 9 0-0\n"
         "string 1 9-14 m-1\n"
         "object 2 47-0\n"
         "number 3 64-66 12\n"
         "end 2 47-68\n"
         "end 9 0-69\n");
}

static void scalars_at_the_root(void **state)
{
    (void)state;
    GOOD("12", "number 9 0-2 12\n");
    GOOD(" -1.5e+3 ", "number 9 1-8 -1.5e+3\n");
    GOOD("\"x\"", "string 9 0-3 x\n");
    GOOD("null", "null 9 0-4\n");
    GOOD("\ttrue\r\n", "true 9 1-5\n");
    GOOD("false", "false 9 0-5\n");
    BAD("", "");
    BAD("  ", "");
    BAD("1.", "");
    BAD("-", "");
    BAD("1e", "");
    BAD("01", "number 9 0-1 0\n");
    BAD("nul", "");
    BAD("truE", "");
    BAD("1 2", "number 9 0-1 1\n");
}

static void keys_compare_after_decoding(void **state)
{
    (void)state;
    GOOD("{\"\\u006do\\u0064el\":\"a\"}",
         "object 9 0-0\nstring 1 19-22 a\nend 9 0-23\n");
    GOOD("{\"Model\":1,\"mode\":2,\"models\":3,\"\":4}", "object 9 0-0\nend 9 0-36\n");
    GOOD("{\"us\\u00E9r\":1,\"us\xc3\xa9r\":2}",
         "object 9 0-0\nnumber 10 13-14 1\nnumber 10 23-24 duplicate 2\nend 9 0-25\n");
    GOOD("{\"model\\u0000\":1}", "object 9 0-0\nend 9 0-17\n");
}

static void duplicates_are_flagged_per_object(void **state)
{
    (void)state;
    GOOD("{\"model\":1,\"model\":\"2\",\"mod\\u0065l\":[]}",
         "object 9 0-0\n"
         "number 1 9-10 1\n"
         "string 1 19-22 duplicate 2\n"
         "array 1 36-0 duplicate\n"
         "end 1 36-38 duplicate\n"
         "end 9 0-39\n");
    GOOD("{\"usage\":{\"prompt_tokens\":1},\"usage\":{\"prompt_tokens\":2}}",
         "object 9 0-0\n"
         "object 2 9-0\n"
         "number 3 26-27 1\n"
         "end 2 9-28\n"
         "object 2 37-0 duplicate\n"
         "number 3 54-55 2\n"
         "end 2 37-56 duplicate\n"
         "end 9 0-57\n");
    GOOD("{\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}"
         "]}",
         "object 9 0-0\n"
         "pieces 5 32 a\nstring 5 32-35\n"
         "pieces 5 58 b\nstring 5 58-61\n"
         "end 9 0-65\n");
}

static void elements_match(void **state)
{
    (void)state;
    GOOD("{\"list\":[1,[2],{\"x\":3},\"4\"],\"deep\":[[{\"x\":5},6],{\"x\":7}]}",
         "object 9 0-0\n"
         "number 6 9-10 1\n"
         "array 6 11-0\nend 6 11-14\n"
         "object 6 15-0\nend 6 15-22\n"
         "string 6 23-26 4\n"
         "number 7 42-43 5\n"
         "end 9 0-57\n");
    GOOD("{\"usage\":[{\"prompt_tokens\":1}],\"list\":{\"x\":2}}",
         "object 9 0-0\narray 2 9-0\nend 2 9-30\nend 9 0-46\n");
    GOOD("{\"list\":[],\"usage\":{},\"stream\": null}",
         "object 9 0-0\nobject 2 19-0\nend 2 19-21\nnull 8 32-36\nend 9 0-37\n");
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    GOOD("{\"model\":\"a\\n\\\"\\\\\\/\\u0041\\u00e4\\u20AC\\ud83d\\ude00z\"}",
         "object 9 0-0\n"
         "string 1 9-51 a\\n\"\\/A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z\n"
         "end 9 0-52\n");
    GOOD("{\"model\":\"x\\u0000\"}", "object 9 0-0\nstring 1 9-18 x\\0\nend 9 0-19\n");
    GOOD("[\"\\b\\f\\r\\t\"]", "array 9 0-0\nend 9 0-12\n");
    BAD("\"\\x\"", "");
    BAD("\"\\u12g4\"", "");
    BAD("\"\\", "");
}

static void raw_strings_stay_as_they_stand(void **state)
{
    struct scan_plan *plan = plan_of_test();
    struct record record = { .len = 0 };
    struct scan scan;

    GOOD("{\"raw\":[\"a\\n\\u00e9\\ud800\xc3\xa9\",\"\",\"plain\",7]}",
         "object 9 0-0\n"
         "pieces 11 8 a\\n\\u00e9\\ud800\xc3\xa9\n"
         "string 11 8-27\n"
         "string 11 28-30\n"
         "pieces 11 31 plain\n"
         "string 11 31-38\n"
         "number 11 39-40 7\n"
         "end 9 0-42\n");

    (void)state;
    scan_init(&scan, plan, SCAN_STRICT);
    (void)scan_feed(&scan, SPAN("{\"raw\":[\"a\\n\"]}"), note, &record);
    assert_string_equal(record.text, "object 9 0-0\nstring 11 8-13\nend 9 0-15\n");
    (void)scan_plan_free(plan);
}

static void any_value_below(void **state)
{
    (void)state;
    GOOD("{\"any\":{\"a\":1,\"b\":{\"c\":[\"d\"]}}}", "object 9 0-0\n"
                                                      "number 12 12-13 1\n"
                                                      "object 12 18-0\n"
                                                      "array 12 23-0\n"
                                                      "string 12 24-27 d\n"
                                                      "end 12 23-28\n"
                                                      "end 12 18-29\n"
                                                      "end 9 0-31\n");
    GOOD("{\"any\":3}", "object 9 0-0\nend 9 0-9\n");
    /* seven more containers are as deep as values are followed */
    GOOD("{\"any\":{\"a\":[[[[[[[[1]]]]]]]]}}",
         "object 9 0-0\n"
         "array 12 12-0\narray 12 13-0\narray 12 14-0\narray 12 15-0\n"
         "array 12 16-0\narray 12 17-0\narray 12 18-0\n"
         "end 12 18-23\nend 12 17-24\nend 12 16-25\nend 12 15-26\n"
         "end 12 14-27\nend 12 13-28\nend 12 12-29\n"
         "end 9 0-31\n");
}

static void lone_surrogates_become_the_replacement(void **state)
{
    (void)state;
    GOOD("\"\\ud83d\"", "string 9 0-8 \xef\xbf\xbd\n");
    GOOD("\"\\ud83dx\"", "string 9 0-9 \xef\xbf\xbdx\n");
    GOOD("\"\\ude00\"", "string 9 0-8 \xef\xbf\xbd\n");
    GOOD("\"\\ud83d\\n\"", "string 9 0-10 \xef\xbf\xbd\\n\n");
    GOOD("\"\\ud83d\\ud83d\\ude00\"", "string 9 0-20 \xef\xbf\xbd\xf0\x9f\x98\x80\n");
    GOOD("\"\\ud83d\\u0041\"", "string 9 0-14 \xef\xbf\xbd"
                               "A\n");
    GOOD("\"\\ud83d\xc3\xa4\"", "string 9 0-10 \xef\xbf\xbd\xc3\xa4\n");
    GOOD("{\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}",
         "object 9 0-0\npieces 5 32 \xef\xbf\xbd\nstring 5 32-40\nend 9 0-44\n");
}

static void utf8_is_held_to_rfc_3629(void **state)
{
    static const char *const bad[] = {
        "\"\x80\"",     /* a continuation alone */
        "\"\xc3\"",     /* cut by the quote */
        "\"\xc0\xaf\"", /* overlong */
        "\"\xe0\x80\xaf\"",
        "\"\xe0\x9f\xbf\"",
        "\"\xf0\x80\x80\xaf\"",
        "\"\xf0\x8f\xbf\xbf\"",
        "\"\xed\xa0\x80\"",     /* a surrogate */
        "\"\xf4\x90\x80\x80\"", /* beyond U+10FFFF */
        "\"\xf8\x88\x80\x80\x80\"",
        "\"\xff\"",
        "\"\xe2\x82\\n\"",
    };

    (void)state;
    GOOD("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80"
         "\xf4\x8f\xbf\xbf\"",
         "string 9 0-23 \xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"
         "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\n");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect(bad[i], strlen(bad[i]), SCAN_STRICT, SCAN_MALFORMED, "");
    }
    BAD("{\"choices\":[{\"delta\":{\"content\":\"ab\xe2\x82z\"}}]}",
        "object 9 0-0\npieces 5 32 ab\xe2\x82\n");
}

static void responses_are_read_with_tolerance(void **state)
{
    (void)state;
    TOLERATED("\xef\xbb\xbf {\"model\":\"a\xff\nb\"}",
              "object 9 4-0\nstring 1 13-19 a\xff\\nb\nend 9 4-20\n");
    BAD("\xef\xbb\xbf{}", "");
    BAD("\"a\nb\"", "");
    expect("\xef\xbb", 2, SCAN_TOLERANT, SCAN_MALFORMED, "");
    expect("\xef\xbb\xbf\xef\xbb\xbf{}", 8, SCAN_TOLERANT, SCAN_MALFORMED, "");
    expect("\"a\\x\"", 5, SCAN_TOLERANT, SCAN_MALFORMED, "");
    expect("[1,]", 4, SCAN_TOLERANT, SCAN_MALFORMED, "array 9 0-0\n");
}

/* As Python writes them; where a value is wanted they are no JSON. */
static void numbers_that_are_none_are_passed_over(void **state)
{
    (void)state;
    TOLERATED("{\"a\":NaN,\"usage\":{\"x\":-Infinity},\"b\":[Infinity,-1]}",
              "object 9 0-0\nobject 2 17-0\nend 2 17-32\nend 9 0-51\n");
    expect("{\"a\":Nan}", 9, SCAN_TOLERANT, SCAN_MALFORMED, "object 9 0-0\n");
    expect("{\"a\":-Inf}", 10, SCAN_TOLERANT, SCAN_MALFORMED, "object 9 0-0\n");
    expect("{\"a\":-NaN}", 10, SCAN_TOLERANT, SCAN_MALFORMED, "object 9 0-0\n");
    expect("{\"a\":1Infinity}", 15, SCAN_TOLERANT, SCAN_MALFORMED, "object 9 0-0\n");
    expect("{\"model\":NaN}", 13, SCAN_TOLERANT, SCAN_MALFORMED, "object 9 0-0\n");
    expect("{\"model\":-Infinity}", 19, SCAN_TOLERANT, SCAN_MALFORMED,
           "object 9 0-0\n");
    expect("Infinity", 8, SCAN_TOLERANT, SCAN_MALFORMED, "");
    BAD("{\"a\":NaN}", "object 9 0-0\n");
    BAD("{\"a\":-Infinity}", "object 9 0-0\n");
}

/* {"model":"<len bytes>"} */
static void expect_front(const char *unit, unsigned units, size_t shown, bool cut)
{
    struct scan_plan *plan = plan_of_test();
    struct record record;
    char text[1024], value[1024];
    size_t len = 0, value_len = 0;

    len += (size_t)sprintf(text, "{\"model\":\"");
    for (unsigned i = 0; i < units; i++) {
        len += (size_t)sprintf(text + len, "%s", unit);
    }
    value_len = (size_t)sprintf(value, "object 9 0-0\nstring 1 9-%zu%s ", len + 1,
                                cut ? " cut" : "");
    memcpy(value + value_len, text + 10, shown);
    len += (size_t)sprintf(text + len, "\"}");
    (void)sprintf(value + value_len + shown, "\nend 9 0-%zu\n", len);
    assert_int_equal(scan_everyhow(plan, SCAN_STRICT, span_of(text, len), &record),
                     SCAN_COMPLETE);
    assert_string_equal(record.text, value);
    (void)scan_plan_free(plan);
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    expect_front("x", SCAN_TEXT_MAX, SCAN_TEXT_MAX, false);
    expect_front("x", SCAN_TEXT_MAX + 1, SCAN_TEXT_MAX, true);
    expect_front("\xe2\x82\xac", 53, 159, false);
    expect_front("\xe2\x82\xac", 54, 159, true);
    expect_front("\xf0\x9f\x98\x80", 40, 160, false);
    expect_front("\xf0\x9f\x98\x80", 41, 160, true);
    expect_front("\xc3\xa4", 81, 160, true);
}

static void depth_is_bounded(void **state)
{
    struct scan_plan *plan = plan_of_test();
    struct scan scan;
    struct record record = { .len = 0 };

    (void)state;
    scan_init(&scan, plan, SCAN_STRICT);
    for (unsigned i = 0; i < SCAN_DEPTH_MAX; i++) {
        assert_int_equal(scan_feed(&scan, SPAN("["), note, &record), SCAN_MORE);
    }
    for (unsigned i = 0; i < SCAN_DEPTH_MAX - 1; i++) {
        assert_int_equal(scan_feed(&scan, SPAN("]"), note, &record), SCAN_MORE);
    }
    assert_int_equal(scan_feed(&scan, SPAN("]"), note, &record), SCAN_COMPLETE);

    scan_init(&scan, plan, SCAN_STRICT);
    for (unsigned i = 0; i < SCAN_DEPTH_MAX; i++) {
        assert_int_equal(scan_feed(&scan, SPAN("{\"a\":"), note, &record), SCAN_MORE);
    }
    assert_int_equal(scan_feed(&scan, SPAN("{"), note, &record), SCAN_MALFORMED);
    assert_int_equal(scan_feed(&scan, SPAN(" "), note, &record), SCAN_MALFORMED);
    assert_int_equal(scan_end(&scan, note, &record), SCAN_MALFORMED);
    (void)scan_plan_free(plan);
}

static void brackets_must_match(void **state)
{
    (void)state;
    BAD("[}", "array 9 0-0\n");
    BAD("{]", "object 9 0-0\n");
    BAD("[[1}]", "array 9 0-0\n");
    BAD("{\"a\":1]", "object 9 0-0\n");
    BAD("{\"a\" 1}", "object 9 0-0\n");
    BAD("{\"a\":1,}", "object 9 0-0\n");
    BAD("{,}", "object 9 0-0\n");
    BAD("[1,]", "array 9 0-0\n");
    BAD("[]]", "array 9 0-0\nend 9 0-2\n");
    BAD("[1", "array 9 0-0\n");
}

static void verdicts_along_the_way(void **state)
{
    struct scan_plan *plan = scan_plan_new(NULL, 0);
    struct scan scan;

    (void)state;
    scan_init(&scan, plan, SCAN_STRICT);
    assert_int_equal(scan_feed(&scan, span_of(NULL, 0), note, NULL), SCAN_MORE);
    assert_int_equal(scan_feed(&scan, SPAN(" {"), note, NULL), SCAN_MORE);
    assert_int_equal(scan_feed(&scan, SPAN("}"), note, NULL), SCAN_COMPLETE);
    assert_int_equal(scan_feed(&scan, SPAN(" \n"), note, NULL), SCAN_COMPLETE);
    assert_int_equal(scan_feed(&scan, SPAN("x"), note, NULL), SCAN_MALFORMED);
    (void)scan_plan_free(plan);
}

static void one_text_is_read_of_several(void **state)
{
    struct scan_plan *plan = scan_plan_new(NULL, 0);
    struct span texts = SPAN("{\"a\":[1]} \n {}x");
    struct scan scan;

    (void)state;
    for (size_t size = 1; size < texts.len; size++) {
        struct span rest = span_of(texts.at, size);

        scan_init(&scan, plan, SCAN_STRICT);
        rest = scan_feed_one(&scan, rest, note, NULL);
        if (rest.len == 0) {
            rest = scan_feed_one(&scan, span_after(texts, size), note, NULL);
            assert_true(span_equal(rest, SPAN("{}x")));
        }
        assert_int_equal(rest.at[0], '{');
        assert_int_equal(scan_end(&scan, note, NULL), SCAN_COMPLETE);
    }
    scan_init(&scan, plan, SCAN_STRICT);
    assert_int_equal(scan_feed_one(&scan, SPAN("x{}"), note, NULL).len, 0);
    assert_int_equal(scan_end(&scan, note, NULL), SCAN_MALFORMED);
    (void)scan_plan_free(plan);
}

static void counts_are_exact(void **state)
{
    static const struct {
        const char *number;
        uint64_t count;
    } good[] = {
        { "0", 0 },
        { "-0", 0 },
        { "-0.0e5", 0 },
        { "0e99999999999999999999", 0 },
        { "12", 12 },
        { "12.0", 12 },
        { "12.5e1", 125 },
        { "1.2E+3", 1200 },
        { "1200e-2", 12 },
        { "0.0012e4", 12 },
        { "9223372036854775807", INT64_MAX },
        { "9223372036854775807.000", INT64_MAX },
        { "922337203685477580.7e1", INT64_MAX },
        { "1e18", UINT64_C(1000000000000000000) },
        { "1000000000000000000000000e-20", 10000 },
    };
    static const char *const bad[] = {
        "",
        "-",
        "-1",
        "1.5",
        "1e-1",
        "9223372036854775808",
        "9999999999999999999",
        "1e19",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "1 ",
        "0x1",
        "NaN",
        "18446744073709551616",
        "-0.1",
    };
    uint64_t count;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        count = 77;
        assert_true(scan_count(span_text(good[i].number), &count));
        assert_int_equal(count, good[i].count);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(scan_count(span_text(bad[i]), &count));
    }
}

static void expect_stops(const char *text, size_t len, struct run_stops stops)
{
    const char *want = run_bytes(text, text + len, stops);

    assert_ptr_equal(run_to(text, text + len, stops), want);
    if (len >= 8) {
        const char *block = run_bytes(text, text + 8, stops);

        assert_int_equal(run_block_portable(text, stops), block - text);
    }
}

static void all_loops_stop_at_the_same_byte(void **state)
{
    char text[200];
    unsigned seed = 1;

    (void)state;
    for (unsigned turn = 0; turn < 20000; turn++) {
        size_t len = turn % sizeof(text);

        for (size_t i = 0; i < len; i++) {
            seed = seed * 1103515245 + 12345;
            text[i] =
                seed >> 24 < 8 ? (char)(seed >> 16) : (char)('a' + (seed >> 16) % 26);
        }
        expect_stops(text, len, (struct run_stops){ '"', '\\', 'z', RUN_PLAIN });
        expect_stops(text, len, (struct run_stops){ '\n', '\r', '\r', RUN_ANY });
        expect_stops(text, len, (struct run_stops){ '"', '\\', '\\', RUN_CONTROL });
    }
}

/* ---- the shared vectors ---------------------------------------------------------- */

static char *read_whole(const char *folder, const char *name, size_t *len)
{
    char path[512];
    FILE *file;
    char *text;
    long size;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    rewind(file);
    text = malloc((size_t)size + 1);
    assert_non_null(text);
    *len = fread(text, 1, (size_t)size, file);
    assert_int_equal(*len, size);
    assert_int_equal(fclose(file), 0);
    return text;
}

/* The i_ cases that we accept: numbers of any size are legal, and so are lone surrogate
 * escapes and 500 levels. The others are not UTF-8 or begin with a byte order mark. */
static bool is_accepted(const char *name)
{
    static const char *const accepted[] = {
        "i_number_double_huge_neg_exp.json",
        "i_number_huge_exp.json",
        "i_number_neg_int_huge_exp.json",
        "i_number_pos_double_huge_exp.json",
        "i_number_real_neg_overflow.json",
        "i_number_real_pos_overflow.json",
        "i_number_real_underflow.json",
        "i_number_too_big_neg_int.json",
        "i_number_too_big_pos_int.json",
        "i_number_very_big_negative_int.json",
        "i_object_key_lone_2nd_surrogate.json",
        "i_string_1st_surrogate_but_2nd_missing.json",
        "i_string_1st_valid_surrogate_2nd_invalid.json",
        "i_string_incomplete_surrogate_and_escape_valid.json",
        "i_string_incomplete_surrogate_pair.json",
        "i_string_incomplete_surrogates_escape_valid.json",
        "i_string_invalid_lonely_surrogate.json",
        "i_string_invalid_surrogate.json",
        "i_string_inverted_surrogates_U+1D11E.json",
        "i_string_lone_second_surrogate.json",
        "i_structure_500_nested_arrays.json",
    };

    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        if (strcmp(name, accepted[i]) == 0) {
            return true;
        }
    }
    return name[0] == 'y';
}

static void agrees_with_the_rfc_on_318_cases(void **state)
{
    DIR *folder = opendir(SUITE);
    struct scan_plan *plan = plan_of_test();
    struct dirent *entry;
    unsigned cases = 0;

    (void)state;
    if (folder == NULL) {
        print_message("skipped: no %s\n", SUITE);
        (void)scan_plan_free(plan);
        skip();
    }
    while ((entry = readdir(folder)) != NULL) {
        struct record record;
        enum scan_verdict verdict;
        size_t len;
        char *text;

        if (entry->d_name[0] == '.') {
            continue;
        }
        text = read_whole(SUITE, entry->d_name, &len);
        if (len < 4096) {
            verdict = scan_everyhow(plan, SCAN_STRICT, span_of(text, len), &record);
        } else {
            verdict = scan_by_bytes(plan, SCAN_STRICT, span_of(text, len), &record);
        }
        if (verdict != (is_accepted(entry->d_name) ? SCAN_COMPLETE : SCAN_MALFORMED)) {
            fail_msg("%s: verdict %u", entry->d_name, (unsigned)verdict);
        }
        if (entry->d_name[0] == 'y') {
            assert_int_equal(scan_in_three(plan, SCAN_TOLERANT, span_of(text, len), 0,
                                           0, &record),
                             SCAN_COMPLETE);
        }
        free(text);
        cases++;
    }
    assert_int_equal(cases, 318);
    (void)closedir(folder);
    (void)scan_plan_free(plan);
}

struct tallies {
    unsigned models;
    unsigned duplicates;
    unsigned cuts;
};

static void tally(void *self, const struct scan_value *value)
{
    struct tallies *tallies = self;

    tallies->models += value->tag == 1;
    tallies->duplicates += value->duplicate;
    tallies->cuts += value->cut;
}

static void bombs_are_only_bytes(void **state)
{
    static const struct {
        const char *name;
        enum scan_verdict verdict;
    } bombs[] = {
        { "json-1M-keys.json", SCAN_COMPLETE },
        { "json-dup-keys-100k.json", SCAN_COMPLETE },
        { "json-depth-100k.json", SCAN_MALFORMED },
        { "json-depth-1M-obj.json", SCAN_MALFORMED },
        { "json-longnum.json", SCAN_COMPLETE },
    };
    static const struct scan_path wanted[] = { { "model", 1, SCAN_WHOLE },
                                               { "max_tokens", 2, SCAN_WHOLE } };
    struct scan_plan *plan = scan_plan_new(wanted, 2);
    DIR *folder = opendir(BOMBS);

    (void)state;
    if (folder == NULL) {
        print_message("skipped: no %s\n", BOMBS);
        (void)scan_plan_free(plan);
        skip();
    }
    (void)closedir(folder);
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        struct tallies tallies = { 0, 0, 0 };
        struct scan scan;
        size_t len;
        char *text = read_whole(BOMBS, bombs[i].name, &len);

        scan_init(&scan, plan, SCAN_STRICT);
        (void)scan_feed(&scan, span_of(text, len), tally, &tallies);
        assert_int_equal(scan_end(&scan, tally, &tallies), bombs[i].verdict);
        if (i == 1) {
            assert_int_equal(tallies.models, 100000);
            assert_int_equal(tallies.duplicates, 99999);
        }
        assert_int_equal(tallies.cuts, i == 4);
        free(text);
    }
    (void)scan_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_with_their_offsets),
        cmocka_unit_test(scalars_at_the_root),
        cmocka_unit_test(keys_compare_after_decoding),
        cmocka_unit_test(duplicates_are_flagged_per_object),
        cmocka_unit_test(elements_match),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(raw_strings_stay_as_they_stand),
        cmocka_unit_test(any_value_below),
        cmocka_unit_test(lone_surrogates_become_the_replacement),
        cmocka_unit_test(utf8_is_held_to_rfc_3629),
        cmocka_unit_test(responses_are_read_with_tolerance),
        cmocka_unit_test(numbers_that_are_none_are_passed_over),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(brackets_must_match),
        cmocka_unit_test(verdicts_along_the_way),
        cmocka_unit_test(one_text_is_read_of_several),
        cmocka_unit_test(counts_are_exact),
        cmocka_unit_test(all_loops_stop_at_the_same_byte),
        cmocka_unit_test(agrees_with_the_rfc_on_318_cases),
        cmocka_unit_test(bombs_are_only_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
