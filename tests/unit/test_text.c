#include "proxy/base/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define assert_text(text, wanted) assert_true(span_equal(text_span(text), SPAN(wanted)))

static void test_pieces(void **state)
{
    char memory[64];
    struct text text = text_over(memory, sizeof memory);

    (void)state;
    text_put(&text, SPAN("n="));
    text_put_u64(&text, UINT64_MAX);
    text_put_char(&text, ' ');
    text_put_i64(&text, INT64_MIN);
    text_put_char(&text, ' ');
    text_put_i64(&text, 0);
    assert_text(&text, "n=18446744073709551615 -9223372036854775808 0");
    assert_false(text.full);
}

static void test_hex(void **state)
{
    char memory[64];
    struct text text = text_over(memory, sizeof memory);

    (void)state;
    text_put_hex(&text, 0xBEEF, 8);
    text_put_char(&text, ' ');
    text_put_hex(&text, 0xBEEF, 2);
    text_put_char(&text, ' ');
    text_put_hex(&text, UINT64_MAX, 16);
    text_put_hex(&text, 1, 0);
    assert_text(&text, "0000beef ef ffffffffffffffff");
}

static void test_words_to_choose_from(void **state)
{
    static const char *const one[] = { "one", NULL };
    static const char *const two[] = { "one", "two", NULL };
    static const char *const three[] = { "one", "two", "three", NULL };
    char memory[64];
    struct text text = text_over(memory, sizeof memory);

    (void)state;
    text_put_choice(&text, one);
    text_put_char(&text, '/');
    text_put_choice(&text, two);
    text_put_char(&text, '/');
    text_put_choice(&text, three);
    assert_text(&text, "one/one or two/one, two or three");
}

static void test_printf(void **state)
{
    char memory[8];
    struct text text = text_over(memory, sizeof memory);

    (void)state;
    text_printf(&text, "%d-%s", 12, "ab");
    assert_text(&text, "12-ab");
    text_printf(&text, "%s", "xyz");
    assert_true(text.full);
    assert_text(&text, "12-ab");
    text_printf(&text, "%s", "xy");
    assert_text(&text, "12-abxy");
}

static void test_a_piece_is_whole_or_left_out(void **state)
{
    char memory[4];
    struct text text = text_over(memory, sizeof memory);

    (void)state;
    text_put(&text, SPAN("abc"));
    text_put(&text, SPAN("de"));
    assert_true(text.full);
    assert_text(&text, "abc");
    text_put_char(&text, 'd');
    assert_text(&text, "abcd");
    text_put_u64(&text, 1);
    assert_text(&text, "abcd");
    text_put(&text, SPAN(""));
    assert_text(&text, "abcd");
}

static void json_is(struct span value, struct span wanted)
{
    char memory[256];
    struct text text = text_over(memory, sizeof memory);

    text_put_json(&text, value);
    assert_true(span_equal(text_span(&text), wanted));
    assert_false(text.full);
}

static void test_json_escapes(void **state)
{
    (void)state;
    json_is(SPAN(""), SPAN("\"\""));
    json_is(span_of(NULL, 0), SPAN("\"\""));
    json_is(SPAN("a\"b\\c/d"), SPAN("\"a\\\"b\\\\c/d\""));
    json_is(SPAN("\b\f\n\r\t"), SPAN("\"\\b\\f\\n\\r\\t\""));
    json_is(SPAN("a\0b\x1f\x7f"), SPAN("\"a\\u0000b\\u001f\\u007f\""));
}

static void test_json_keeps_well_formed_utf8(void **state)
{
    (void)state;
    json_is(SPAN("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
            SPAN("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""));
    json_is(SPAN("\xF4\x8F\xBF\xBF\xED\x9F\xBF\xE0\xA0\x80"),
            SPAN("\"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xE0\xA0\x80\""));
}

#define BAD "\xEF\xBF\xBD"

static void test_json_replaces_what_is_not_utf8(void **state)
{
    (void)state;
    json_is(SPAN("a\xFFz"), SPAN("\"a" BAD "z\""));
    json_is(SPAN("\x80"), SPAN("\"" BAD "\""));
    json_is(SPAN("\xC0\xAF"), SPAN("\"" BAD BAD "\""));         /* overlong */
    json_is(SPAN("\xE0\x9F\xBF"), SPAN("\"" BAD BAD BAD "\"")); /* overlong */
    json_is(SPAN("\xED\xA0\x80"), SPAN("\"" BAD BAD BAD "\"")); /* surrogate */
    json_is(SPAN("\xF0\x8F\xBF\xBF"), SPAN("\"" BAD BAD BAD BAD "\""));
    json_is(SPAN("\xF4\x90\x80\x80"), SPAN("\"" BAD BAD BAD BAD "\"")); /* > 10FFFF */
    json_is(SPAN("\xE2\x82"), SPAN("\"" BAD BAD "\""));                 /* cut */
    json_is(SPAN("\xC3(\xC3"), SPAN("\"" BAD "(" BAD "\""));
}

static void test_json_that_does_not_fit_leaves_nothing(void **state)
{
    char memory[16];

    (void)state;
    for (size_t cap = 0; cap < sizeof memory; cap++) {
        struct text text = text_over(memory, cap);

        text_put_json(&text, SPAN("a\n\x01"));
        assert_int_equal(text.len, cap >= 11 ? 11 : 0);
        assert_int_equal(text.full, cap < 11);
    }
}

static void test_store(void **state)
{
    char array[4];

    (void)state;
    assert_true(text_store(array, sizeof array, SPAN("abc")));
    assert_string_equal(array, "abc");
    assert_false(text_store(array, sizeof array, SPAN("abcd")));
    assert_string_equal(array, "abc");
    assert_true(text_store(array, sizeof array, span_of(NULL, 0)));
    assert_string_equal(array, "");
    assert_false(text_store(array, sizeof array, SPAN("a\0b")));
    assert_string_equal(array, "a");
    assert_false(text_store(array, 1, SPAN("a")));
    assert_string_equal(array, "");
}

static void test_store_cuts_between_characters(void **state)
{
    const struct span euro = SPAN("a\xE2\x82\xAC"
                                  "b");
    char array[8];

    (void)state;
    assert_false(text_store(array, 3, euro));
    assert_string_equal(array, "a");
    assert_false(text_store(array, 4, euro));
    assert_string_equal(array, "a");
    assert_false(text_store(array, 5, euro));
    assert_string_equal(array, "a\xE2\x82\xAC");
    assert_true(text_store(array, 6, euro));
    assert_false(text_store(array, 5, SPAN("\x80\x80\x80\x80\x80\x80")));
    assert_string_equal(array, "\x80\x80\x80\x80");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_words_to_choose_from),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_a_piece_is_whole_or_left_out),
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_json_keeps_well_formed_utf8),
        cmocka_unit_test(test_json_replaces_what_is_not_utf8),
        cmocka_unit_test(test_json_that_does_not_fit_leaves_nothing),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_store_cuts_between_characters),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
