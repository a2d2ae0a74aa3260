#include "proxy/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void test_monotonic_never_steps_back(void **state)
{
    uint64_t before = clock_monotonic_ns();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_monotonic_ns();

        assert_true(now >= before);
        before = now;
    }
}

static void test_unix_time(void **state)
{
    uint64_t low = (uint64_t)time(NULL);
    uint64_t now = clock_unix_ns() / NS_PER_S;

    (void)state;
    /* time() may lag by the length of a tick. */
    assert_true(now >= low && now <= low + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic_never_steps_back),
        cmocka_unit_test(test_unix_time),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
