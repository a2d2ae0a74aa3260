#include "proxy/base/date.h"
#include "proxy/base/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static int64_t moment(int64_t year, unsigned month, unsigned day, int64_t seconds)
{
    return date_days(&(struct date){ year, month, day }) * DATE_DAY_S + seconds;
}

/* Against the C library, which reads the same files with other code. */
static void wall_clocks_agree_with_libc(void **state)
{
    static const char *const names[] = { "Europe/Berlin",       "America/New_York",
                                         "Australia/Lord_Howe", "Asia/Kolkata",
                                         "America/Sao_Paulo",   "Africa/Casablanca",
                                         "Asia/Beirut",         "Pacific/Apia",
                                         "America/St_Johns",    "Etc/UTC" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct zone *zone = zone_load(names[i]);

        assert_non_null(zone);
        setenv("TZ", names[i], 1);
        tzset();
        /* An odd step meets every time of day. */
        for (time_t at = -500000000; at < 5000000000; at += 40009) {
            struct tm tm;

            localtime_r(&at, &tm);
            if (zone_local(zone, at) != at + tm.tm_gmtoff) {
                fail_msg("%s at %lld: %lld, libc %ld", names[i], (long long)at,
                         (long long)(zone_local(zone, at) - at), tm.tm_gmtoff);
            }
        }
        zone_free(zone);
    }
}

static void moments_are_reached_once(void **state)
{
    struct zone *berlin = zone_load("Europe/Berlin");
    struct zone *beirut = zone_load("Asia/Beirut");

    (void)state;
    /* 2026-03-29 02:30 does not exist, 2026-10-25 02:30 does twice. */
    assert_int_equal(zone_reach(berlin, moment(2026, 3, 29, 9000)),
                     moment(2026, 3, 29, 3600));
    assert_int_equal(zone_reach(berlin, moment(2026, 10, 25, 9000)),
                     moment(2026, 10, 25, 1800));
    /* Midnight itself is skipped: the day begins at one o'clock. */
    assert_int_equal(zone_reach(beirut, moment(2026, 3, 29, 0)),
                     moment(2026, 3, 28, 22 * 3600));
    assert_int_equal(zone_local(beirut, moment(2026, 3, 28, 22 * 3600)),
                     moment(2026, 3, 29, 3600));
    for (int64_t local = moment(2020, 1, 1, 0); local < moment(2060, 1, 1, 0);
         local += 1799) {
        int64_t at = zone_reach(berlin, local);

        assert_true(zone_local(berlin, at) >= local);
        assert_true(zone_local(berlin, at - 1) < local);
    }
    zone_free(berlin);
    zone_free(beirut);
}

static void other_names_are_no_zones(void **state)
{
    static const char *const names[] = {
        "",       "Europe/Berln", "../../../etc/passwd", "/etc/localtime",
        "Europe", "tzdata.zi",    "leapseconds"
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_null(zone_load(names[i]));
    }
}

static void utc_needs_no_file(void **state)
{
    struct zone *utc = zone_load("UTC");

    (void)state;
    assert_int_equal(zone_local(utc, 12345), 12345);
    assert_int_equal(zone_reach(utc, -12345), -12345);
    assert_null(zone_free(utc));
    assert_null(zone_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wall_clocks_agree_with_libc),
        cmocka_unit_test(moments_are_reached_once),
        cmocka_unit_test(other_names_are_no_zones),
        cmocka_unit_test(utc_needs_no_file),
    };

    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
