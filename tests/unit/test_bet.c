#include "filters/detect/bet.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_near(double a, double b)
{
    assert_true(fabs(a - b) < 1e-4);
}

static void wins_and_losses_are_the_likelihood_ratio(void **unused)
{
    struct yes_no_bet bet = { 0 };

    (void)unused;
    yes_no_observe(&bet, .15, .60, true, 7);
    assert_near((double)bet.nats, log(4));
    yes_no_observe(&bet, .15, .60, false, 8);
    assert_near((double)bet.nats, log(4) + log(.40 / .85));
    assert_int_equal(bet.n, 2);
    assert_int_equal(bet.k, 1);
    assert_int_equal(bet.since, 7);
}

static void a_lost_bet_begins_again(void **unused)
{
    struct yes_no_bet bet = { 0 };

    (void)unused;
    yes_no_observe(&bet, .15, .60, true, 1);
    yes_no_observe(&bet, .15, .60, false, 2);
    yes_no_observe(&bet, .15, .60, false, 3);
    assert_true(bet.nats <= 0);
    yes_no_observe(&bet, .15, .60, true, 4);
    assert_int_equal(bet.n, 1);
    assert_int_equal(bet.k, 1);
    assert_int_equal(bet.since, 4);
}

static void counts_stop_instead_of_wrapping(void **unused)
{
    struct yes_no_bet bet = { .nats = 5, .n = UINT16_MAX, .k = 9 };

    (void)unused;
    yes_no_observe(&bet, .15, .60, true, 1);
    assert_int_equal(bet.n, UINT16_MAX);
    assert_int_equal(bet.k, 9);
}

static void a_histogram_bets_as_krichevsky_and_trofimov(void **unused)
{
    static const float null_shares[] = { .5F, .25F, .25F };
    struct histogram_bet bet = { 0 };
    uint8_t counts[3] = { 0 };

    (void)unused;
    histogram_observe(&bet, counts, 3, null_shares, 1);
    assert_near((double)bet.nats, log(.1 + .9 * (.5 / 1.5) / .25));
    histogram_observe(&bet, counts, 3, null_shares, 1);
    assert_near((double)bet.nats,
                log(.1 + .9 * (.5 / 1.5) / .25) + log(.1 + .9 * (1.5 / 2.5) / .25));
    assert_int_equal(counts[1], 2);
    assert_int_equal(histogram_fullest(counts, 3), 1);
}

static void one_update_costs_at_most_ln_10(void **unused)
{
    static const float null_shares[] = { .5F, .5F };
    struct histogram_bet bet = { 0 };
    uint8_t counts[2] = { 0 };
    float before;

    (void)unused;
    for (unsigned i = 0; i < 90; i++) {
        histogram_observe(&bet, counts, 2, null_shares, 0);
    }
    before = bet.nats;
    histogram_observe(&bet, counts, 2, null_shares, 1);
    assert_true((double)(before - bet.nats) <= log(10) + 1e-6);
}

static void a_full_histogram_is_halved(void **unused)
{
    static const float null_shares[] = { .5F, .5F };
    struct histogram_bet bet = { 0 };
    uint8_t counts[2] = { 0 };

    (void)unused;
    for (unsigned i = 0; i < 96; i++) {
        histogram_observe(&bet, counts, 2, null_shares, i % 3 == 0);
    }
    assert_int_equal(counts[0], 32);
    assert_int_equal(counts[1], 16);
    assert_int_equal(bet.total, 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wins_and_losses_are_the_likelihood_ratio),
        cmocka_unit_test(a_lost_bet_begins_again),
        cmocka_unit_test(counts_stop_instead_of_wrapping),
        cmocka_unit_test(a_histogram_bets_as_krichevsky_and_trofimov),
        cmocka_unit_test(one_update_costs_at_most_ln_10),
        cmocka_unit_test(a_full_histogram_is_halved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
