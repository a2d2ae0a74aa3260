#include "proxy/base/clock.h"
#include "proxy/engine/turn_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned taken(struct turn_pace *pace, uint64_t identity, uint64_t now_ns,
                      unsigned calls)
{
    unsigned count = 0;

    while (calls-- > 0) {
        count += turn_pace_take(pace, identity, now_ns);
    }
    return count;
}

static void test_burst_then_rate(void **state)
{
    struct turn_pace *pace = calloc(1, sizeof *pace);
    uint64_t now_ns = 5 * (uint64_t)NS_PER_S;

    (void)state;
    assert_int_equal(taken(pace, 7, now_ns, 1000), TURN_PACE_BURST);
    assert_int_equal(taken(pace, 7, now_ns + NS_PER_S, 1000), TURN_PACE_RATE);
    assert_int_equal(taken(pace, 7, now_ns + NS_PER_S, 1000), 0);
    assert_int_equal(taken(pace, 7, now_ns + 3600 * (uint64_t)NS_PER_S, 1000),
                     TURN_PACE_BURST);
    free(pace);
}

/* A person's agents, ten calls a second for an hour, are read whole. */
static void test_agents_are_read(void **state)
{
    struct turn_pace *pace = calloc(1, sizeof *pace);

    (void)state;
    for (uint64_t i = 0; i < 36000; i++) {
        assert_true(turn_pace_take(pace, 7, NS_PER_S + i * NS_PER_S / 10));
    }
    free(pace);
}

static void test_callers_are_apart(void **state)
{
    struct turn_pace *pace = calloc(1, sizeof *pace);

    (void)state;
    assert_int_equal(taken(pace, 7, NS_PER_S, 1000), TURN_PACE_BURST);
    assert_int_equal(taken(pace, 8, NS_PER_S, 1000), TURN_PACE_BURST);
    /* Of one place: nobody is left out for another's sake. */
    assert_int_equal(taken(pace, 7 + TURN_PACE_PLACES, NS_PER_S, 1000), 1000);
    assert_int_equal(taken(pace, 7, NS_PER_S, 10), 0);
    free(pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_agents_are_read),
        cmocka_unit_test(test_callers_are_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
