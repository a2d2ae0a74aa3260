#include "config/limit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void limits_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t amount;
        enum config_limit_unit unit;
    } rows[] = {
        { "20M tokens", 20000000, LIMIT_TOKENS },
        { "20 M tokens", 0, LIMIT_TOKENS },
        { "1.5k output tokens", 1500, LIMIT_OUTPUT },
        { "5M input tokens", 5000000, LIMIT_INPUT },
        { "20M weighted tokens", 20000000, LIMIT_WEIGHTED },
        { "20M weighted", 0, LIMIT_WEIGHTED },
        { "2G tokens", 2000000000, LIMIT_TOKENS },
        { "7 tokens", 7, LIMIT_TOKENS },
        { "0.5 tokens", 0, LIMIT_TOKENS },
        { "1.2345k tokens", 0, LIMIT_TOKENS },
        { "$500", 500000000000, LIMIT_NANOUSD },
        { "$0.000000001", 1, LIMIT_NANOUSD },
        { "$0.0000000001", 0, LIMIT_NANOUSD },
        { "$12.50", 12500000000, LIMIT_NANOUSD },
        { "600 requests", 600, LIMIT_REQUESTS },
        { "1 request", 1, LIMIT_REQUESTS },
        { "8 concurrent", 8, LIMIT_CONCURRENT },
        { "0 requests", 0, LIMIT_REQUESTS },
        { "-1 requests", 0, LIMIT_REQUESTS },
        { "requests", 0, LIMIT_REQUESTS },
        { "20M", 0, LIMIT_TOKENS },
        { "20M words", 0, LIMIT_TOKENS },
        { ".5M tokens", 0, LIMIT_TOKENS },
        { "1.2.3M tokens", 0, LIMIT_TOKENS },
        { "$", 0, LIMIT_NANOUSD },
        { "$5 ", 0, LIMIT_NANOUSD },
        { "99999999999999999999 tokens", 0, LIMIT_TOKENS },
        { "9999999999G tokens", 0, LIMIT_TOKENS },
        { "", 0, LIMIT_TOKENS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_limit limit = { .amount = 0 };
        bool good = limit_parse(span_text(rows[i].text), &limit);

        if (good != (rows[i].amount > 0) ||
            (good && (limit.amount != rows[i].amount || limit.unit != rows[i].unit))) {
            fail_msg("%s: %d %llu", rows[i].text, good,
                     (unsigned long long)limit.amount);
        }
    }
}

static void periods_are_read(void **state)
{
    static const struct {
        const char *text;
        enum config_period_unit unit; /* PERIOD_NONE: a mistake */
        uint32_t rolling_s;
    } rows[] = {
        { "minute", PERIOD_MINUTE, 0 },
        { "month", PERIOD_MONTH, 0 },
        { "rolling 5h", PERIOD_ROLLING, 18000 },
        { "rolling 31d", PERIOD_ROLLING, 2678400 },
        { "rolling 1m", PERIOD_ROLLING, 60 },
        { "rolling 59s", PERIOD_NONE, 0 },
        { "rolling 32d", PERIOD_NONE, 0 },
        { "rolling", PERIOD_NONE, 0 },
        { "rolling 90500ms", PERIOD_NONE, 0 },
        { "year", PERIOD_NONE, 0 },
        { "5h", PERIOD_NONE, 0 },
        { "", PERIOD_NONE, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_period period = { 0 };

        assert_int_equal(period_parse(span_text(rows[i].text), &period),
                         rows[i].unit != PERIOD_NONE);
        if (rows[i].unit != PERIOD_NONE) {
            assert_int_equal(period.unit, rows[i].unit);
            assert_int_equal(period.rolling_s, rows[i].rolling_s);
        }
    }
}

static void shares_are_read(void **state)
{
    uint32_t percent;

    (void)state;
    assert_true(share_parse(SPAN("80%"), &percent));
    assert_int_equal(percent, 80);
    assert_true(share_parse(SPAN("100%"), &percent));
    assert_false(share_parse(SPAN("101%"), &percent));
    assert_false(share_parse(SPAN("0%"), &percent));
    assert_false(share_parse(SPAN("80"), &percent));
    assert_false(share_parse(SPAN("%"), &percent));
    assert_false(share_parse(SPAN(""), &percent));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_read),
        cmocka_unit_test(periods_are_read),
        cmocka_unit_test(shares_are_read),
    };

    return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
