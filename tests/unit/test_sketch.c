#include "filters/turn/sketch.h"
#include "filters/turn/words.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sketch_key key;
static struct prompt_sketcher sketcher;

static int set_key(void **unused)
{
    (void)unused;
    sketch_key_init(&key, SPAN("thirty-two bytes of a test's key"));
    return 0;
}

static struct prompt_sketch sketch_of(const char *text, size_t step)
{
    struct span rest = span_text(text);
    struct prompt_sketch sketch;

    sketch_prompt_begin(&sketcher, &key);
    while (rest.len > 0) {
        size_t len = rest.len < step ? rest.len : step;

        sketch_prompt_feed(&sketcher, span_of(rest.at, len));
        rest = span_after(rest, len);
    }
    sketch_prompt_end(&sketcher, &sketch);
    return sketch;
}

static struct response_sketch response_of(const char *text, size_t step)
{
    struct span rest = span_text(text);
    struct response_sketcher response;
    struct response_sketch sketch;

    sketch_response_begin(&response, &key);
    while (rest.len > 0) {
        size_t len = rest.len < step ? rest.len : step;

        sketch_response_feed(&response, span_of(rest.at, len));
        rest = span_after(rest, len);
    }
    sketch_response_end(&response, &sketch);
    return sketch;
}

static void assert_same(const struct prompt_sketch *a, const struct prompt_sketch *b)
{
    assert_true(a->whole == b->whole && a->shape == b->shape &&
                a->similar == b->similar);
    assert_int_equal(a->characters, b->characters);
    assert_int_equal(a->bottom_count, b->bottom_count);
    assert_memory_equal(a->bottom, b->bottom, sizeof(a->bottom));
    assert_int_equal(a->sample_count, b->sample_count);
    assert_memory_equal(a->samples, b->samples, sizeof(a->samples));
    assert_int_equal(a->has_words, b->has_words);
    assert_memory_equal(a->words, b->words, sizeof(a->words));
}

static const char *const texts[] = {
    "",
    "yes",
    "Fix  the test in src/http/parser.c line 42:\n\"bad length\", see "
    "https://example.org/i/7",
    "Caf\xc3\xa9 \xe2\x82\xac 5 \xf0\x9f\x98\x80 na\xc3\xafve \xff\xe2\x82 end",
    "\xe4\xbb\x8a\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94\xe5\xbe\x88\xe5\xa5\xbd "
    "\xe8\xaf\xb7\xe5\x86\x99\xe4\xb8\x80\xe9\xa6\x96\xe8\xaf\x97",
    " \t a long prompt that goes on and on, with many words in it, 'a quotation', a "
    "path/of/some/length.c and another/path, 12 numbers 34 and nothing else to say \n ",
};

static void any_split_gives_the_same(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct prompt_sketch whole = sketch_of(texts[i], SIZE_MAX);
        struct response_sketch response = response_of(texts[i], SIZE_MAX);

        for (size_t step = 1; step < 12; step++) {
            struct prompt_sketch split = sketch_of(texts[i], step);
            struct response_sketch piece = response_of(texts[i], step);

            assert_same(&whole, &split);
            assert_int_equal(response.count, piece.count);
            assert_memory_equal(response.samples, piece.samples, sizeof(piece.samples));
        }
    }
}

/* ---- runs and single characters -------------------------------------------------- */

enum { MANY_WORDS = 512, MIXED_SIZE = 400 };

struct words_heard {
    uint64_t hashes[MANY_WORDS];
    size_t count;
};

static void hear(void *self, const struct word *word)
{
    struct words_heard *heard = self;

    assert_true(heard->count < MANY_WORDS);
    heard->hashes[heard->count++] = word->hash + word->content;
}

/* With runs: as much at once as words_put_plain() takes. */
static void hear_all(struct span text, bool runs, struct words_heard *heard)
{
    struct words words;

    heard->count = 0;
    words_init(&words, &key, hear, heard);
    words.tell_content = true;
    while (text.len > 0) {
        size_t len = runs ? words_put_plain(&words, text) : 0;

        if (len == 0) {
            len = 1;
            words_put(&words, character_lower((unsigned char)text.at[0]));
        }
        text = span_after(text, len);
    }
    words_end(&words);
}

static void runs_are_the_words_of_their_characters(void **unused)
{
    static const char *const pieces[] = { "a", "Zb", "the", "0", "42", "_",
                                          " ", "  ", ",",   ";", "\n" };
    static struct words_heard one_by_one, in_runs;
    unsigned random = 1;

    (void)unused;
    for (unsigned round = 0; round < 500; round++) {
        char text[MIXED_SIZE];
        size_t len = 0;

        while (len + 4 < sizeof(text)) {
            random = random * 1103515245U + 12345U;
            /* Now and then a word that is longer than a chunk. */
            const char *piece = round % 10 == 0 && len < 300
                                    ? pieces[round % 20 / 10 * 3]
                                    : pieces[(random >> 16) % 11];

            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", piece);
        }
        hear_all(span_of(text, len), false, &one_by_one);
        hear_all(span_of(text, len), true, &in_runs);
        assert_int_equal(in_runs.count, one_by_one.count);
        assert_memory_equal(in_runs.hashes, one_by_one.hashes,
                            in_runs.count * sizeof(*in_runs.hashes));
    }
}

static void normalisation_ignores_case_and_space(void **unused)
{
    struct prompt_sketch a = sketch_of("Fix the\tTEST \xc3\x84", SIZE_MAX);
    struct prompt_sketch b = sketch_of("  fix  the test\n\xc3\xa4  ", SIZE_MAX);
    struct prompt_sketch c = sketch_of("fix the tests \xc3\xa4", SIZE_MAX);

    (void)unused;
    assert_true(a.whole == b.whole && a.shape == b.shape);
    assert_memory_equal(a.bottom, b.bottom, sizeof(a.bottom));
    assert_int_equal(a.characters, 14);
    assert_int_equal(b.characters, 19);
    assert_true(a.whole != c.whole && a.shape != c.shape);
}

static void slots_keep_the_template(void **unused)
{
    struct prompt_sketch a = sketch_of("Ticket 17: read src/a/b.c", SIZE_MAX);
    struct prompt_sketch b = sketch_of("Ticket 4: read lib/x.py", SIZE_MAX);

    (void)unused;
    assert_true(a.whole != b.whole);
    assert_true(a.shape == b.shape);
}

static void another_key_changes_every_hash(void **unused)
{
    struct prompt_sketch a = sketch_of(texts[2], SIZE_MAX), b;

    (void)unused;
    sketch_key_init(&key, SPAN("another key of thirty-two bytes."));
    b = sketch_of(texts[2], SIZE_MAX);
    (void)set_key(NULL);
    assert_true(a.whole != b.whole && a.shape != b.shape && a.similar != b.similar);
    for (unsigned i = 0; i < a.bottom_count; i++) {
        for (unsigned j = 0; j < b.bottom_count; j++) {
            assert_true(a.bottom[i] != b.bottom[j]);
        }
    }
    assert_int_equal(a.characters, b.characters);
    assert_int_equal(a.bottom_count, b.bottom_count);
}

/* Letters, digits and other characters are tokens; a short text is one shingle. */
static void tokens_are_those_of_the_record_format(void **unused)
{
    struct prompt_sketch sketch = sketch_of("a b c d e", SIZE_MAX);

    (void)unused;
    assert_int_equal(sketch.bottom_count, 3);
    assert_int_equal(sketch_of("a1-b", SIZE_MAX).bottom_count, 2);
    assert_int_equal(sketch_of("a b", SIZE_MAX).bottom_count, 1);
    assert_int_equal(sketch_of("", SIZE_MAX).bottom_count, 0);
    assert_int_equal(sketch_of("a a a a a a", SIZE_MAX).bottom_count, 1);
    assert_true(sketch_of("a b", SIZE_MAX).bottom[0] !=
                sketch_of("b a", SIZE_MAX).bottom[0]);
}

static void resemblance_survives_a_change(void **unused)
{
    struct prompt_sketch a = sketch_of("please review the parser of the http layer and "
                                       "list every possible problem in it",
                                       SIZE_MAX);
    struct prompt_sketch b = sketch_of("please review the parser of the json layer and "
                                       "list every possible problem in it",
                                       SIZE_MAX);
    unsigned both = 0;

    (void)unused;
    for (unsigned i = 0; i < SKETCH_BOTTOM; i++) {
        for (unsigned j = 0; j < SKETCH_BOTTOM; j++) {
            both += a.bottom[i] == b.bottom[j];
        }
    }
    assert_true(both >= 4);
}

static void scripts_without_spaces_have_shingles(void **unused)
{
    struct prompt_sketch sketch = sketch_of(texts[4], SIZE_MAX);

    (void)unused;
    assert_int_equal(sketch.bottom_count, SKETCH_BOTTOM);
    assert_true(sketch.has_words);
}

static void stop_words_are_no_content(void **unused)
{
    double sum = 0;
    struct prompt_sketch sketch = sketch_of("Parser, please", SIZE_MAX);

    (void)unused;
    assert_false(sketch_of("the a of in and 1 2 x", SIZE_MAX).has_words);
    assert_true(sketch.has_words);
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        sum += sketch.words[i] * sketch.words[i];
    }
    assert_true(fabs(sqrt(sum) - 127) < 1);
}

/* The response that comes back as a prompt shares its samples. */
static void an_echo_is_seen(void **unused)
{
    char text[8192] = "";
    struct prompt_sketch prompt;
    struct response_sketch response;
    unsigned found = 0;

    (void)unused;
    for (unsigned i = 0; i < 400; i++) {
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "w%c%c ",
                       'a' + (int)(i % 26), 'a' + (int)(i / 26));
    }
    prompt = sketch_of(text, SIZE_MAX);
    response = response_of(text, SIZE_MAX);
    assert_int_equal(response.count, SKETCH_RESPONSE);
    for (unsigned i = 0; i < response.count; i++) {
        found += prompt.samples[i] == response.samples[i];
    }
    assert_int_equal(found, SKETCH_RESPONSE);
}

static void long_texts_are_read_so_far_and_counted_whole(void **unused)
{
    size_t size = 100000;
    char *text = malloc(size + 1);
    struct prompt_sketch a, b;

    (void)unused;
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        text[i] = i % 7 == 0 ? ' ' : (char)('a' + i % 13);
    }
    text[size] = '\0';
    a = sketch_of(text, 1000);
    text[size - 1] = 'z';
    b = sketch_of(text, SIZE_MAX);
    free(text);
    assert_int_equal(a.characters, size);
    assert_true(a.whole != b.whole);
    assert_memory_equal(a.bottom, b.bottom, sizeof(a.bottom));
}

static void nothing_of_the_text_stays(void **unused)
{
    static const struct prompt_sketcher wiped;

    (void)unused;
    (void)sketch_of("a secret plan", SIZE_MAX);
    assert_memory_equal(&sketcher, &wiped, sizeof(wiped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_gives_the_same),
        cmocka_unit_test(runs_are_the_words_of_their_characters),
        cmocka_unit_test(normalisation_ignores_case_and_space),
        cmocka_unit_test(slots_keep_the_template),
        cmocka_unit_test(another_key_changes_every_hash),
        cmocka_unit_test(tokens_are_those_of_the_record_format),
        cmocka_unit_test(resemblance_survives_a_change),
        cmocka_unit_test(scripts_without_spaces_have_shingles),
        cmocka_unit_test(stop_words_are_no_content),
        cmocka_unit_test(an_echo_is_seen),
        cmocka_unit_test(long_texts_are_read_so_far_and_counted_whole),
        cmocka_unit_test(nothing_of_the_text_stays),
    };

    return cmocka_run_group_tests(tests, set_key, NULL);
}
