#include "filters/count/tokens.h"
#include "tests/unit/tables.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t left_behind; /* bytes of freed memory that were not wiped */

static void *cleared(size_t size)
{
    return calloc(1, size);
}

static void look_and_free(void *memory)
{
    const char *bytes = memory;

    for (size_t i = 0; bytes != NULL && i < malloc_usable_size(memory); i++) {
        left_behind += bytes[i] != 0;
    }
    free(memory);
}

#define malloc(size) cleared(size)
#define free(memory) look_and_free(memory)
#include "filters/count/sample.c"
#undef malloc
#undef free

static const char prose[] = "Nothing is kept of what was said; only how much it was. ";
enum { PROSE = sizeof prose - 1 };

static void put_prose(struct sample *sample, size_t times, size_t piece)
{
    size_t at = 0, all = times * PROSE;

    while (at < all) {
        size_t from = at % PROSE, len = PROSE - from;

        len = len < piece ? len : piece;
        sample_put(sample, span_of(prose + from, len));
        at += len;
    }
}

static uint64_t tokens_of(size_t times, size_t piece)
{
    static struct sample sample;

    sample_begin(&sample);
    put_prose(&sample, times, piece);
    assert_int_equal(sample.bytes, times * PROSE);
    return sample_tokens(&sample, ENCODING_O200K_BASE);
}

static void short_texts_are_exact(void **state)
{
    char whole[100 * PROSE];

    (void)state;
    wait_for_tables();
    for (size_t i = 0; i < 100; i++) {
        memcpy(whole + i * PROSE, prose, PROSE);
    }
    for (size_t piece = 1; piece <= PROSE; piece++) {
        assert_int_equal(tokens_of(100, piece),
                         bpe_count(ENCODING_O200K_BASE, span_of(whole, sizeof whole)));
    }
}

/* Characters of three bytes that chunks cut into, under each of
 * their three alignments. */
static void cut_characters_do_not_count(void **state)
{
    static const char words[] =
        "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c"
        "\xe3\x80\x82";
    static struct sample sample;
    char hundred[100 * (sizeof words - 1)];
    uint64_t each, wanted;

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        memcpy(hundred + i * (sizeof words - 1), words, sizeof words - 1);
    }
    each = bpe_count(ENCODING_O200K_BASE, span_of(hundred, sizeof hundred));
    for (size_t shift = 0; shift < 3; shift++) {
        sample_begin(&sample);
        sample_put(&sample, span_of("abc", shift));
        for (size_t i = 0; i < 50; i++) {
            sample_put(&sample, span_of(hundred, sizeof hundred));
        }
        wanted = 50 * each;
        assert_in_range(sample_tokens(&sample, ENCODING_O200K_BASE), wanted * 93 / 100,
                        wanted * 107 / 100);
        sample_wipe(&sample);
    }
}

/* Whatever its length, and however it comes. That of a sentence again and again is the
 * worst: chunks may hit the same words each time. */
static void long_texts_are_sampled(void **state)
{
    uint64_t each = tokens_of(100, PROSE);

    (void)state;
    for (size_t times = 200; times <= 51200; times *= 4) {
        uint64_t wanted = each * times / 100;

        for (size_t piece = 3; piece <= PROSE; piece += 13) {
            assert_in_range(tokens_of(times, piece), wanted * 93 / 100,
                            wanted * 107 / 100);
        }
    }
}

static void nothing_is_left_of_a_text(void **state)
{
    static struct sample sample;

    (void)state;
    for (size_t times = 1; times < 1000; times *= 7) {
        sample_begin(&sample);
        put_prose(&sample, times, PROSE);
        sample_begin(&sample);
        put_prose(&sample, 1, PROSE);
        sample_wipe(&sample);
        assert_int_equal(left_behind, 0);
        assert_int_equal(sample_tokens(&sample, ENCODING_O200K_BASE), 0);
    }
}

static void a_cleared_sample_keeps_room_but_no_text(void **state)
{
    static struct sample sample;
    char *room = NULL;

    (void)state;
    for (size_t times = 1; times < 4; times++) {
        put_prose(&sample, 1, PROSE);
        assert_true(room == NULL || sample.text == room);
        room = sample.text;
        sample_clear(&sample);
        assert_ptr_equal(sample.text, room);
        for (size_t i = 0; i < sample.room; i++) {
            assert_int_equal(sample.text[i], 0);
        }
        assert_int_equal(sample_tokens(&sample, ENCODING_O200K_BASE), 0);
    }
    put_prose(&sample, SAMPLE_SPARE / PROSE + 1, PROSE);
    sample_clear(&sample);
    assert_null(sample.text);
    assert_int_equal(left_behind, 0);
}

static void families_scale_what_is_counted(void **state)
{
    static struct sample sample;
    uint64_t plain;

    (void)state;
    sample_begin(&sample);
    assert_int_equal(tokens_count(SPAN("gpt-4o"), &sample, 0, false), 0);
    put_prose(&sample, 10, PROSE);
    plain = sample_tokens(&sample, ENCODING_O200K_BASE);
    assert_int_equal(tokens_count(SPAN("gpt-4o"), &sample, 0, false), plain);
    assert_int_equal(tokens_count(SPAN("openai/gpt-4o-mini"), &sample, 1, false),
                     plain + 7);
    assert_int_equal(tokens_count(SPAN("gpt-4o"), &sample, 2, false), plain + 28);
    assert_in_range(tokens_count(SPAN("claude-sonnet-4"), &sample, 0, false),
                    plain * 11 / 10, plain * 13 / 10);
    assert_int_equal(tokens_count(SPAN("us.anthropic.claude-sonnet-4-x"), &sample, 0,
                                  false),
                     tokens_count(SPAN("claude-sonnet-4"), &sample, 0, false));
    assert_true(tokens_count(SPAN("claude-opus-5"), &sample, 0, false) >
                tokens_count(SPAN("claude-sonnet-4"), &sample, 0, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_texts_are_exact),
        cmocka_unit_test(cut_characters_do_not_count),
        cmocka_unit_test(long_texts_are_sampled),
        cmocka_unit_test(nothing_is_left_of_a_text),
        cmocka_unit_test(a_cleared_sample_keeps_room_but_no_text),
        cmocka_unit_test(families_scale_what_is_counted),
    };

    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
