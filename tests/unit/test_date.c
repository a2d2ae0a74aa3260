#include "proxy/base/date.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void dates_are_numbers(void **state)
{
    struct date date;

    (void)state;
    assert_int_equal(date_days(&(struct date){ 1970, 1, 1 }), 0);
    assert_int_equal(date_days(&(struct date){ 2000, 3, 1 }), 11017);
    assert_int_equal(date_weekday(0), 4);
    assert_int_equal(date_weekday(-4), 0);
    assert_int_equal(date_weekday(date_days(&(struct date){ 2026, 11, 21 })), 6);
    for (int64_t days = -200000; days < 200000; days++) {
        date = date_of_days(days);
        assert_int_equal(date_days(&date), days);
    }
}

static void dates_are_shown(void **state)
{
    const int64_t at = INT64_C(1795215600) - 54000; /* 2026-11-20T08:00:00Z */
    char memory[128];
    struct text text = text_over(memory, sizeof memory);

    (void)state;
    date_put(&text, 0, 0);
    date_put(&text, at, at + 3600);
    date_put(&text, at, at - 5400);
    assert_true(span_equal(text_span(&text),
                           SPAN("1970-01-01T00:00:00Z2026-11-20T09:00:00+01:00"
                                "2026-11-20T06:30:00-01:30")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_numbers),
        cmocka_unit_test(dates_are_shown),
    };

    return cmocka_run_group_tests_name("date", tests, NULL, NULL);
}
