#include "filters/dialect/anthropic_shape.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void put(struct tally *tally, enum count count, uint64_t value)
{
    tally->value[count] = value;
    tally->seen |= UINT32_C(1) << count;
}

static void the_cache_stands_beside_the_input(void **state)
{
    struct tally tally = { .seen = 0 };
    struct usage usage = { .reported_nanousd = -1 };

    (void)state;
    put(&tally, COUNT_INPUT, 3);
    put(&tally, COUNT_CACHED, 100);
    put(&tally, COUNT_CACHE_WRITE, 20);
    put(&tally, COUNT_WRITE_5M, 12);
    put(&tally, COUNT_WRITE_1H, 0);
    put(&tally, COUNT_OUTPUT, 50);
    put(&tally, COUNT_REASONING, 30);
    anthropic_balance(&tally, &usage);
    assert_int_equal(usage_input(&usage), 123);
    assert_int_equal(usage.tokens[TOKENS_INPUT], 3);
    assert_int_equal(usage.tokens[TOKENS_OUTPUT], 20);
    assert_int_equal(usage.tokens[TOKENS_REASONING], 30);
    assert_int_equal(usage.cache_write[LIFETIME_5M], 12);
    assert_int_equal(usage.known_lifetimes, 1 << LIFETIME_5M | 1 << LIFETIME_1H);
    assert_int_equal(usage.flags, 0);
}

static void what_is_not_said_is_unknown(void **state)
{
    struct tally tally = { .seen = 0 };
    struct usage usage = { .reported_nanousd = -1 };

    (void)state;
    put(&tally, COUNT_INPUT, 3);
    put(&tally, COUNT_OUTPUT_START, 1);
    anthropic_balance(&tally, &usage);
    assert_int_equal(usage.known_tokens, 1 << TOKENS_INPUT);
}

static void contradictions_are_flagged(void **state)
{
    struct tally tally = { .seen = 0 };
    struct usage usage = { .reported_nanousd = -1 };

    (void)state;
    put(&tally, COUNT_OUTPUT, 5);
    put(&tally, COUNT_REASONING, 8);
    anthropic_balance(&tally, &usage);
    assert_int_equal(usage_output(&usage), 5);
    assert_int_equal(usage.flags, USAGE_ANOMALY);

    usage = (struct usage){ .reported_nanousd = -1 };
    tally = (struct tally){ .seen = 0 };
    put(&tally, COUNT_CACHE_WRITE, 5);
    put(&tally, COUNT_WRITE_5M, 8);
    anthropic_balance(&tally, &usage);
    assert_int_equal(usage.tokens[TOKENS_CACHE_WRITE], 5);
    assert_int_equal(usage.flags, USAGE_ANOMALY);
}

static void refusals_raise_the_right_exception(void **state)
{
    static const struct {
        int status;
        const char *type;
    } rows[] = {
        { 400, "invalid_request_error" }, { 401, "authentication_error" },
        { 403, "permission_error" },      { 404, "not_found_error" },
        { 413, "request_too_large" },     { 415, "invalid_request_error" },
        { 429, "rate_limit_error" },      { 502, "api_error" },
        { 503, "overloaded_error" },      { 504, "timeout_error" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line_bytes[128], body_bytes[512], want_bytes[512];
        struct text lines = text_over(line_bytes, sizeof(line_bytes));
        struct text body = text_over(body_bytes, sizeof(body_bytes));
        struct text want = text_over(want_bytes, sizeof(want_bytes));
        struct refusal refusal = { .status = rows[i].status,
                                   .words = SPAN("no"),
                                   .id = SPAN("ax-1") };

        anthropic_refuse(&refusal, &lines, &body);
        text_printf(&want,
                    "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"no\"}"
                    ","
                    "\"request_id\":\"ax-1\"}",
                    rows[i].type);
        assert_true(span_equal(text_span(&lines), SPAN("request-id: ax-1\r\n")));
        assert_true(span_equal(text_span(&body), text_span(&want)));
    }
}

static void a_refusal_before_there_is_an_id_has_none(void **state)
{
    char line_bytes[128], body_bytes[512];
    struct text lines = text_over(line_bytes, sizeof(line_bytes));
    struct text body = text_over(body_bytes, sizeof(body_bytes));
    const struct refusal refusal = { .status = 401, .words = SPAN("no") };

    (void)state;
    anthropic_refuse(&refusal, &lines, &body);
    assert_int_equal(lines.len, 0);
    assert_true(span_equal(text_span(&body),
                           SPAN("{\"type\":\"error\",\"error\":{\"type\":"
                                "\"authentication_error\",\"message\":\"no\"},"
                                "\"request_id\":null}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cache_stands_beside_the_input),
        cmocka_unit_test(what_is_not_said_is_unknown),
        cmocka_unit_test(contradictions_are_flagged),
        cmocka_unit_test(refusals_raise_the_right_exception),
        cmocka_unit_test(a_refusal_before_there_is_an_id_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
