#include "proxy/base/span.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_equal(void **state)
{
    (void)state;
    assert_true(span_equal(SPAN("abc"), SPAN("abc")));
    assert_false(span_equal(SPAN("abc"), SPAN("abd")));
    assert_false(span_equal(SPAN("abc"), SPAN("abcd")));
    assert_true(span_equal(span_of(NULL, 0), SPAN("")));
    assert_true(span_equal(span_text(NULL), span_text("")));
}

/* Every pair of bytes, alone and within a word of eight, against the C library. */
static void test_nocase_of_all_bytes(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char one[11], other[11];
            bool letters = a < 128 && b < 128;
            bool same = a == b || (letters && tolower(a) == tolower(b));

            memset(one, a, sizeof one);
            memset(other, a, sizeof other);
            other[(a + b) % (int)sizeof other] = (char)b;
            assert_int_equal(span_equal_nocase(span_of(one, sizeof one),
                                               span_of(other, sizeof other)),
                             same);
        }
    }
}

static void test_nocase(void **state)
{
    (void)state;
    assert_true(span_equal_nocase(SPAN("Content-Length"), SPAN("cONTENT-lENGTH")));
    assert_false(span_equal_nocase(SPAN("@"), SPAN("`")));
    assert_false(span_equal_nocase(SPAN("["), SPAN("{")));
    assert_true(span_starts_nocase(SPAN("Bearer x"), SPAN("bEARER ")));
    assert_false(span_starts_nocase(SPAN("Bear"), SPAN("bearer")));
    assert_true(span_begins_nocase(SPAN("Bearer x"), "bEARER "));
    assert_true(span_begins_nocase(SPAN("x"), ""));
    assert_false(span_begins_nocase(SPAN("Bear"), "bearer"));
}

static void test_starts_and_ends(void **state)
{
    (void)state;
    assert_true(span_starts(SPAN("/v1/chat"), SPAN("/v1/")));
    assert_true(span_starts(SPAN("x"), SPAN("")));
    assert_false(span_starts(SPAN("/v"), SPAN("/v1")));
    assert_true(span_ends(SPAN("data.json"), SPAN(".json")));
    assert_false(span_ends(SPAN("son"), SPAN(".json")));
    assert_true(span_ends(span_of(NULL, 0), SPAN("")));
}

static void test_trim(void **state)
{
    (void)state;
    assert_true(span_equal(span_trim(SPAN(" \ta b\t ")), SPAN("a b")));
    assert_int_equal(span_trim(SPAN(" \t ")).len, 0);
    assert_int_equal(span_trim(span_of(NULL, 0)).len, 0);
    assert_true(span_equal(span_trim(SPAN("\r\n")), SPAN("\r\n")));
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(span_find(SPAN("a:b:c"), ':'), 1);
    assert_int_equal(span_find(SPAN("abc"), ':'), 3);
    assert_int_equal(span_find(span_of(NULL, 0), ':'), 0);
}

static void test_next(void **state)
{
    struct span rest = SPAN("a,,b");
    struct span piece;

    (void)state;
    assert_true(span_next(&rest, ',', &piece));
    assert_true(span_equal(piece, SPAN("a")));
    assert_true(span_next(&rest, ',', &piece));
    assert_int_equal(piece.len, 0);
    assert_true(span_next(&rest, ',', &piece));
    assert_true(span_equal(piece, SPAN("b")));
    assert_false(span_next(&rest, ',', &piece));
}

static void test_next_of_a_trailing_separator(void **state)
{
    struct span rest = SPAN("a,");
    struct span piece;

    (void)state;
    assert_true(span_next(&rest, ',', &piece));
    assert_true(span_next(&rest, ',', &piece));
    assert_int_equal(piece.len, 0);
    assert_false(span_next(&rest, ',', &piece));
}

static void test_decimal(void **state)
{
    uint64_t value = 7;

    (void)state;
    assert_true(span_decimal(SPAN("0"), &value));
    assert_int_equal(value, 0);
    assert_true(span_decimal(SPAN("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    value = 7;
    assert_false(span_decimal(SPAN("18446744073709551616"), &value));
    assert_false(span_decimal(SPAN("99999999999999999999"), &value));
    assert_false(span_decimal(SPAN(""), &value));
    assert_false(span_decimal(SPAN("-1"), &value));
    assert_false(span_decimal(SPAN("+1"), &value));
    assert_false(span_decimal(SPAN("1 "), &value));
    assert_false(span_decimal(SPAN("0x1"), &value));
    assert_int_equal(value, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_nocase),
        cmocka_unit_test(test_nocase_of_all_bytes),
        cmocka_unit_test(test_starts_and_ends),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_next_of_a_trailing_separator),
        cmocka_unit_test(test_decimal),
    };

    return cmocka_run_group_tests_name("span", tests, NULL, NULL);
}
