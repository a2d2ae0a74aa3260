#include "proxy/meter/calibration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void few_calls_teach_nothing(void **state)
{
    struct calibration *calibration = calibration_new();
    uint32_t error;

    (void)state;
    assert_int_equal(calibration_of(calibration, "m", &error), 0);
    calibration_learn(calibration, "m", 200, 100);
    calibration_learn(calibration, "m", 200, 100);
    for (int i = 0; i < 9; i++) {
        calibration_learn(calibration, "m", 8, 4); /* too small */
    }
    assert_int_equal(calibration_of(calibration, "m", &error), 0);
    calibration_learn(calibration, "m", 200, 100);
    assert_int_equal(calibration_of(calibration, "m", &error), 2000);
    assert_int_equal(error, 0);
    assert_int_equal(calibration_of(calibration, "other", &error), 0);
    calibration_free(calibration);
}

static void the_error_is_told(void **state)
{
    struct calibration *calibration = calibration_new();
    uint32_t error;

    (void)state;
    for (int i = 0; i < 400; i++) {
        calibration_learn(calibration, "m", i % 2 == 0 ? 1100 : 1300, 1000);
    }
    assert_in_range(calibration_of(calibration, "m", &error), 1180, 1220);
    assert_in_range(error, 80, 120);
    calibration_free(calibration);
}

/* A model that changes is followed; a report that cannot be is bounded. */
static void averages_forget(void **state)
{
    struct calibration *calibration = calibration_new();
    uint32_t error;

    (void)state;
    for (int i = 0; i < 100; i++) {
        calibration_learn(calibration, "m", 1000, 1000);
    }
    for (int i = 0; i < 200; i++) {
        calibration_learn(calibration, "m", 1500, 1000);
    }
    assert_in_range(calibration_of(calibration, "m", &error), 1450, 1500);
    for (int i = 0; i < 400; i++) {
        calibration_learn(calibration, "m", UINT32_MAX, 1000);
    }
    assert_in_range(calibration_of(calibration, "m", &error), 3900, 4000);
    calibration_free(calibration);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_calls_teach_nothing),
        cmocka_unit_test(the_error_is_told),
        cmocka_unit_test(averages_forget),
    };

    return cmocka_run_group_tests_name("calibration", tests, NULL, NULL);
}
