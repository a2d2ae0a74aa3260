#include "proxy/meter/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_known(void **state)
{
    struct usage usage = { 0 };

    (void)state;
    assert_false(usage_knows(&usage, TOKENS_CACHE_READ));
    usage_set(&usage, TOKENS_CACHE_READ, 0);
    assert_true(usage_knows(&usage, TOKENS_CACHE_READ));
    assert_false(usage_knows(&usage, TOKENS_INPUT));
    assert_false(usage_knows(&usage, TOKENS_REASONING));
    assert_int_equal(usage_total(&usage), 0);
}

static void test_sums(void **state)
{
    struct usage usage = { 0 };

    (void)state;
    usage_set(&usage, TOKENS_INPUT, 1);
    usage_set(&usage, TOKENS_CACHE_READ, 20);
    usage_set(&usage, TOKENS_CACHE_WRITE, 300);
    usage_set(&usage, TOKENS_OUTPUT, 4000);
    usage_set(&usage, TOKENS_REASONING, 50000);
    assert_int_equal(usage_input(&usage), 321);
    assert_int_equal(usage_output(&usage), 54000);
    assert_int_equal(usage_total(&usage), 54321);
}

static void test_sums_saturate(void **state)
{
    struct usage usage = { 0 };

    (void)state;
    usage_set(&usage, TOKENS_INPUT, UINT64_MAX);
    usage_set(&usage, TOKENS_CACHE_WRITE, 1);
    usage_set(&usage, TOKENS_OUTPUT, UINT64_MAX);
    assert_true(usage_input(&usage) == UINT64_MAX);
    assert_true(usage_total(&usage) == UINT64_MAX);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(token_class_name(TOKENS_CACHE_READ), "cache_read");
    assert_string_equal(cache_lifetime_name(LIFETIME_5M), "5m");
    assert_string_equal(cache_lifetime_name(LIFETIME_12H), "12h");
    assert_string_equal(modality_name(MODALITY_INPUT_AUDIO), "input_audio");
    assert_string_equal(usage_source_name(USAGE_PARTIAL), "partial");
    assert_string_equal(outcome_name(OUTCOME_CLIENT_ABORT), "client_abort");
    for (unsigned bit = 0; bit < USAGE_FLAGS; bit++) {
        assert_non_null(usage_flag_name(bit));
    }
    assert_int_equal(1U << (USAGE_FLAGS - 1), USAGE_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sums_saturate),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
