#include "filters/count/bpe.h"
#include "tests/support/count_in_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the reference, tiktoken 1.0.22, counts. */
static const struct {
    const char *text;
    unsigned o200k;
    unsigned cl100k;
} vectors[] = {
    { "", 0, 0 },
    { "hello", 1, 1 },
    { "hello world", 2, 2 },
    { "The quick brown fox jumps over the lazy dog.", 10, 10 },
    { "don't DON'T you'Re it'\u017F", 7, 10 },
    { "camelCaseWord HTTPServer XMLHttpRequest snake_case", 9, 8 },
    { "1234567 3.14159 \u0663\u0664\u0665\u0666", 13, 17 },
    { "  leading and trailing  ", 5, 5 },
    { "a\n\n\n  b\r\n\tc \n", 7, 7 },
    { "    if (x == 0) {\n        return;\n    }\n", 14, 14 },
    { "https://example.org/a/b//\n/c", 9, 8 },
    { "\u4F60\u597D\uFF0C\u4E16\u754C\u3002\u5317\u4EACABC\u5F69\u7968", 7, 12 },
    { "\u304A\u306F\u3088\u3046 \uC548\uB155\uD558\uC138\uC694", 5, 8 },
    { "\u041F\u0440\u0438\u0432\u0435\u0442, \u043C\u0438\u0440! "
      "\u03B3\u03B5\u03B9\u03B1",
      7, 11 },
    { "\u0645\u0631\u062D\u0628\u0627 \u0928\u092E\u0938\u094D\u0924\u0947 "
      "\u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35",
      9, 19 },
    { "\uFEFFtext \uFEFF", 3, 3 },
    { "a\302\205b \302\205 c\u00A0d\u3000e", 11, 11 },
    { "e\u0301a\u0301 \u0301A\u0301BC \u0301", 11, 11 },
    { "\U0001F469\u200D\U0001F4BB \U0001F44D\U0001F3FD \u2764\uFE0F", 9, 14 },
    { "<|endoftext|>", 7, 7 },
    { "\u01C5a \u01C4\u01C5\u01C6 \u02B0A", 14, 14 },
    { "antidisestablishmentarianism", 6, 6 },
    { "--------------------------------================", 2, 2 },
    { "\uD7FF\uE000\uFFFD", 6, 7 },
};

static uint64_t count_text(enum encoding encoding, const char *text)
{
    return bpe_count(encoding, span_text(text));
}

static void counts_as_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const char *text = vectors[i].text;

        assert_int_equal(count_text(ENCODING_O200K_BASE, text), vectors[i].o200k);
        assert_int_equal(count_text(ENCODING_O200K_HARMONY, text), vectors[i].o200k);
        assert_int_equal(count_text(ENCODING_CL100K_BASE, text), vectors[i].cl100k);
    }
}

static void an_unknown_encoding_counts_nothing(void **state)
{
    struct bpe_stream stream;

    (void)state;
    assert_int_equal(count_text(ENCODING_UNKNOWN, "hello"), 0);
    bpe_stream_init(&stream, ENCODING_UNKNOWN);
    bpe_stream_feed(&stream, SPAN("hello"));
    assert_int_equal(bpe_stream_end(&stream), 0);
}

/* Bytes that are not UTF-8, and what a JSON decoder makes of them. */
static void broken_bytes_are_replacement_characters(void **state)
{
    static const struct {
        struct span bytes;
        const char *decoded;
    } cases[] = {
        { { "a\xff z", 4 }, "a\uFFFD z" },
        { { "\xe4\xb8", 2 }, "\uFFFD" },
        { { "\xe4\xb8 x", 4 }, "\uFFFD x" },
        { { "\xe4\xb8\xe4\xb8\xad", 5 }, "\uFFFD\u4E2D" },
        { { "\xed\xa0\x80", 3 }, "\uFFFD\uFFFD\uFFFD" },
        { { "\xf0\x9f\x98", 3 }, "\uFFFD" },
        { { "\xf4\x90\x80\x80", 4 }, "\uFFFD\uFFFD\uFFFD\uFFFD" },
        { { "\xc0\xaf", 2 }, "\uFFFD\uFFFD" },
        { { "one two\x80three", 13 }, "one two\uFFFDthree" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(bpe_count(ENCODING_O200K_BASE, cases[i].bytes),
                         count_text(ENCODING_O200K_BASE, cases[i].decoded));
    }
}

static void every_split_counts_as_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct span text = span_text(vectors[i].text);

        for (size_t at = 0; at <= text.len; at++) {
            struct bpe_stream stream;

            bpe_stream_init(&stream, ENCODING_O200K_BASE);
            bpe_stream_feed(&stream, span_of(text.at, at));
            bpe_stream_feed(&stream, span_after(text, at));
            assert_int_equal(bpe_stream_end(&stream), vectors[i].o200k);
        }
        assert_int_equal(count_in_steps(ENCODING_CL100K_BASE, text, 1),
                         vectors[i].cl100k);
    }
}

static void a_stream_is_used_again(void **state)
{
    struct bpe_stream stream;

    (void)state;
    bpe_stream_init(&stream, ENCODING_O200K_BASE);
    for (unsigned i = 0; i < 3; i++) {
        bpe_stream_feed(&stream, SPAN("hello wor"));
        bpe_stream_feed(&stream, SPAN("ld"));
        assert_int_equal(bpe_stream_end(&stream), 2);
    }
}

/* A text of `len` bytes that repeats a pattern; the caller frees it. */
static struct span repeated(const char *pattern, size_t len)
{
    char *text = malloc(len);
    size_t width = strlen(pattern);

    assert_non_null(text);
    for (size_t i = 0; i < len; i++) {
        text[i] = pattern[i % width];
    }
    return span_of(text, len);
}

static void free_text(struct span text)
{
    free((void *)(uintptr_t)text.at);
}

/* One piece of a megabyte: tokens of eight letters, or of 128 spaces. */
static void long_pieces_take_no_square(void **state)
{
    struct span letters = repeated("a", BPE_PIECE_MAX);
    struct span spaces = repeated(" ", BPE_PIECE_MAX / 4);

    (void)state;
    assert_int_equal(bpe_count(ENCODING_O200K_BASE, letters), BPE_PIECE_MAX / 8);
    assert_int_equal(bpe_count(ENCODING_CL100K_BASE, spaces), BPE_PIECE_MAX / 4 / 128);
    free_text(letters);
    free_text(spaces);
}

static void pieces_beyond_the_limit_are_cut_alike(void **state)
{
    static const char *const patterns[] = { "\n ", "!a\u4E2D", "\u4E2D", "a\xff" };

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct span text = repeated(patterns[i], BPE_PIECE_MAX + 12345);
        uint64_t whole = bpe_count(ENCODING_O200K_BASE, text);

        assert_true(whole > 0 && whole <= 3 * text.len);
        assert_int_equal(count_in_steps(ENCODING_O200K_BASE, text, 100003), whole);
        free_text(text);
    }
}

static void models_have_encodings(void **state)
{
    static const struct {
        const char *model;
        enum encoding encoding;
    } models[] = {
        { "gpt-4", ENCODING_CL100K_BASE },
        { "gpt-4-turbo-2024-04-09", ENCODING_CL100K_BASE },
        { "gpt-4.1-mini", ENCODING_O200K_BASE },
        { "gpt-4.5-preview", ENCODING_O200K_BASE },
        { "gpt-4o-mini", ENCODING_O200K_BASE },
        { "chatgpt-4o-latest", ENCODING_O200K_BASE },
        { "gpt-3.5-turbo", ENCODING_CL100K_BASE },
        { "gpt-35-turbo", ENCODING_CL100K_BASE },
        { "gpt-5.1-codex", ENCODING_O200K_BASE },
        { "gpt-oss-120b", ENCODING_O200K_HARMONY },
        { "o3-mini", ENCODING_O200K_BASE },
        { "openai/gpt-4o", ENCODING_O200K_BASE },
        { "openrouter/openai/gpt-oss-20b", ENCODING_O200K_HARMONY },
        { "ft:gpt-3.5-turbo:acme::x", ENCODING_CL100K_BASE },
        { "text-embedding-3-small", ENCODING_CL100K_BASE },
        { "text-embedding-ada-002", ENCODING_CL100K_BASE },
        { "claude-sonnet-5", ENCODING_UNKNOWN },
        { "gemini-3-pro", ENCODING_UNKNOWN },
        { "gpt", ENCODING_UNKNOWN },
        { "", ENCODING_UNKNOWN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        assert_int_equal(bpe_encoding_for_model(span_text(models[i].model)),
                         models[i].encoding);
    }
}

static void encodings_have_names(void **state)
{
    static const enum encoding encodings[] = { ENCODING_CL100K_BASE,
                                               ENCODING_O200K_BASE,
                                               ENCODING_O200K_HARMONY };

    (void)state;
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        const char *name = bpe_encoding_name(encodings[i]);

        assert_int_equal(bpe_encoding_named(span_text(name)), encodings[i]);
    }
    assert_null(bpe_encoding_name(ENCODING_UNKNOWN));
    assert_int_equal(bpe_encoding_named(SPAN("p50k_base")), ENCODING_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_as_the_reference),
        cmocka_unit_test(an_unknown_encoding_counts_nothing),
        cmocka_unit_test(broken_bytes_are_replacement_characters),
        cmocka_unit_test(every_split_counts_as_the_whole),
        cmocka_unit_test(a_stream_is_used_again),
        cmocka_unit_test(long_pieces_take_no_square),
        cmocka_unit_test(pieces_beyond_the_limit_are_cut_alike),
        cmocka_unit_test(models_have_encodings),
        cmocka_unit_test(encodings_have_names),
    };

    return cmocka_run_group_tests_name("bpe", tests, NULL, NULL);
}
