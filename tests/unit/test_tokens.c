#include "filters/count/tokens.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void families_differ(void **state)
{
    (void)state;
    assert_int_equal(tokens_estimate(SPAN("gpt-4o-mini"), 4600), 1000);
    assert_int_equal(tokens_estimate(SPAN("openai/gpt-4o-mini"), 4600), 1000);
    assert_int_equal(tokens_estimate(SPAN("gpt-5.1"), 4200), 1000);
    assert_int_equal(tokens_estimate(SPAN("claude-3-5-haiku"), 3300), 1000);
    assert_int_equal(tokens_estimate(SPAN("claude-sonnet-5"), 2500), 1000);
    assert_int_equal(tokens_estimate(SPAN("llama-3"), 4000), 1000);
    assert_int_equal(tokens_estimate(SPAN(""), 4000), 1000);
}

static void vendors_and_regions_do_not_matter(void **state)
{
    (void)state;
    assert_int_equal(tokens_estimate(SPAN("us.anthropic.claude-sonnet-5-v1:0"), 2500),
                     1000);
    assert_int_equal(tokens_estimate(SPAN("Mistral/Mistral-Tiny"), 3600), 1000);
    assert_int_equal(tokens_estimate(SPAN("anthropic/claude-4.5-sonnet"), 3300), 1000);
    assert_int_equal(tokens_estimate(SPAN("."), 4000), 1000);
    assert_int_equal(tokens_estimate(SPAN("us."), 4000), 1000);
}

static void only_nothing_is_nothing(void **state)
{
    (void)state;
    assert_int_equal(tokens_estimate(SPAN("gpt-4o"), 0), 0);
    assert_int_equal(tokens_estimate(SPAN("gpt-4o"), 1), 1);
    assert_int_equal(tokens_estimate(SPAN("gpt-4o"), 5), 2);
}

static void huge_texts_do_not_wrap(void **state)
{
    (void)state;
    assert_true(tokens_estimate(SPAN("gpt-4o"), UINT64_MAX) > UINT64_MAX / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_differ),
        cmocka_unit_test(vendors_and_regions_do_not_matter),
        cmocka_unit_test(only_nothing_is_nothing),
        cmocka_unit_test(huge_texts_do_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
