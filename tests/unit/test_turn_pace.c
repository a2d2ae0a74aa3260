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

/* So many, and of the rest of `calls` one in TURN_PACE_SAMPLE, give or take. */
static void assert_about(unsigned count, unsigned paced, unsigned calls)
{
    unsigned sampled = (calls - paced) / TURN_PACE_SAMPLE;

    assert_in_range(count, paced + sampled / 3, paced + sampled * 3);
}

static void test_burst_then_rate(void **state)
{
    struct turn_pace *pace = calloc(1, sizeof *pace);
    uint64_t now_ns = 5 * (uint64_t)NS_PER_S;

    (void)state;
    assert_about(taken(pace, 7, now_ns, 1000), TURN_PACE_BURST, 1000);
    assert_about(taken(pace, 7, now_ns + NS_PER_S, 1000), TURN_PACE_RATE, 1000);
    assert_about(taken(pace, 7, now_ns + NS_PER_S, 1000), 0, 1000);
    assert_about(taken(pace, 7, now_ns + 3600 * (uint64_t)NS_PER_S, 1000),
                 TURN_PACE_BURST, 1000);
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
    assert_about(taken(pace, 7, NS_PER_S, 1000), TURN_PACE_BURST, 1000);
    assert_about(taken(pace, 8, NS_PER_S, 1000), TURN_PACE_BURST, 1000);
    /* Of one place: nobody is left out for another's sake. */
    assert_int_equal(taken(pace, 7 + TURN_PACE_PLACES, NS_PER_S, 1000), 1000);
    assert_about(taken(pace, 7, NS_PER_S, 1000), 0, 1000);
    free(pace);
}

/* Whoever uses his pace up with decoys hides nothing behind them. */
static void test_a_flood_is_sampled(void **state)
{
    struct turn_pace *pace = calloc(1, sizeof *pace);
    unsigned decoys = 0, others = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000000; i++) {
        uint64_t now_ns = NS_PER_S + i * (NS_PER_S / 1000) + i * i % 977;
        bool taken = turn_pace_take(pace, 7, now_ns);

        *(i % 50 == 0 ? &decoys : &others) += taken;
    }
    assert_in_range(others, 980000 / TURN_PACE_SAMPLE / 2,
                    980000 / TURN_PACE_SAMPLE * 2 + TURN_PACE_BURST +
                        TURN_PACE_RATE * 1000);
    assert_true(others > decoys / 4);
    free(pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_agents_are_read),
        cmocka_unit_test(test_callers_are_apart),
        cmocka_unit_test(test_a_flood_is_sampled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
