#include "proxy/cli/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NOW = 1000000000, DAY = 86400 };

static void dates_and_durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ahead; /* 0: refused */
        int64_t ago;
    } cases[] = {
        { "2027-01-31", 1801353600, 1801353600 },
        { "2027-01-31T15:04:05Z", 1801407845, 1801407845 },
        { "2028-02-29", 1835395200, 1835395200 },
        { "9999-12-31T23:59:59Z", 253402300799, 253402300799 },
        { "90d", NOW + 90 * DAY, NOW - 90 * DAY },
        { "12h", NOW + DAY / 2, NOW - DAY / 2 },
        { "0", NOW, NOW },
        { "2027-02-29", 0, 0 },
        { "2027-02-31", 0, 0 },
        { "2027-13-01", 0, 0 },
        { "2027-1-31", 0, 0 },
        { " 2027-01-31", 0, 0 },
        { "2027-01-31 ", 0, 0 },
        { "2027-01-31T15:04:05", 0, 0 },
        { "2027-01-31T25:04:05Z", 0, 0 },
        { "2027-01-31T15:04:05+01:00", 0, 0 },
        { "10000-01-01", 0, 0 },
        { "1970-01-01", 0, 0 },
        { "1969-12-31", 0, 0 },
        { "90", 0, 0 },
        { "d", 0, 0 },
        { "-1d", 0, 0 },
        { "999999999999999999d", 0, 0 },
        { "", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t moment = -1;

        assert_int_equal(moment_parse(cases[i].text, NOW, MOMENT_AHEAD, &moment),
                         cases[i].ahead != 0);
        assert_true(cases[i].ahead == 0 || moment == cases[i].ahead);
        assert_int_equal(moment_parse(cases[i].text, NOW, MOMENT_AGO, &moment),
                         cases[i].ago != 0);
        assert_true(cases[i].ago == 0 || moment == cases[i].ago);
    }
}

static void nothing_before_1970_is_reached(void **state)
{
    int64_t moment;

    (void)state;
    assert_false(moment_parse("2d", DAY, MOMENT_AGO, &moment));
}

static void moments_are_printed_in_utc(void **state)
{
    char text[MOMENT_TEXT_SIZE];

    (void)state;
    moment_print(1801407845, text);
    assert_string_equal(text, "2027-01-31T15:04:05Z");
    moment_print(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    moment_print(INT64_MIN, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_and_durations_are_read),
        cmocka_unit_test(nothing_before_1970_is_reached),
        cmocka_unit_test(moments_are_printed_in_utc),
    };

    return cmocka_run_group_tests_name("moment", tests, NULL, NULL);
}
