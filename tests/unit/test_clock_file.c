/* The clock as the program with ASSAY_TEST_CLOCK has it. */
#define ASSAY_TEST_CLOCK
#include "proxy/base/clock.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char path[] = "/tmp/assay-test-clock-XXXXXX";

static void set_time(int file, uint64_t steady_ns, uint64_t wall_ns)
{
    const uint64_t times[] = { steady_ns, wall_ns };

    assert_int_equal(pwrite(file, times, sizeof times, 0), sizeof times);
}

static void test_time_is_what_the_file_says(void **state)
{
    int file = mkstemp(path);

    (void)state;
    assert_true(file >= 0);
    set_time(file, 5, 1234567890 * (uint64_t)NS_PER_S);
    assert_int_equal(setenv("ASSAY_TEST_CLOCK_FILE", path, 1), 0);
    assert_true(clock_unix_ns() == 1234567890 * (uint64_t)NS_PER_S);
    assert_true(clock_monotonic_ns() == 5);
    set_time(file, 6, 7);
    assert_true(clock_monotonic_ns() == 6);
    assert_true(clock_unix_ns() == 7);
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_is_what_the_file_says),
    };

    return cmocka_run_group_tests_name("clock_file", tests, NULL, NULL);
}
