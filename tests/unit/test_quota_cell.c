#include "proxy/base/text.h"
#include "proxy/meter/quota_cells.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HOUR = 60 * 60 };

static const struct quota_window some_window = { 1000, 2000 };
static const struct quota_window no_window = { 0, 0 };

static struct quota_policy policy_of(uint32_t number, uint32_t step_s)
{
    return (struct quota_policy){ .number = number, .step_s = step_s };
}

static struct quota_cell *must_take(struct quota_cells *cells,
                                    const struct quota_policy *policy,
                                    const struct quota_window *window,
                                    const char *subject)
{
    struct quota_cell *cell =
        quota_cells_take(cells, policy, window, span_text(subject));

    assert_non_null(cell);
    return cell;
}

static void keys_have_cells_of_their_own(void **state)
{
    struct quota_cells *cells = quota_cells_new();
    struct quota_policy one = policy_of(1, 0), other = policy_of(2, 0);
    const struct quota_window later = { 2000, 3000 };
    struct quota_cell *cell = must_take(cells, &one, &some_window, "ana");

    (void)state;
    assert_ptr_equal(must_take(cells, &one, &some_window, "ana"), cell);
    assert_ptr_not_equal(must_take(cells, &one, &some_window, "bo"), cell);
    assert_ptr_not_equal(must_take(cells, &other, &some_window, "ana"), cell);
    assert_ptr_not_equal(must_take(cells, &one, &later, "ana"), cell);
    assert_int_equal(quota_cells_count(cells), 4);
    assert_string_equal(cell->subject, "ana");
    quota_cells_free(cells);
}

static void what_is_held_is_bounded(void **state)
{
    struct quota_cells *cells = quota_cells_new();
    struct quota_policy policy = policy_of(1, 0);
    struct quota_cell *cell = must_take(cells, &policy, &some_window, "");

    (void)state;
    assert_true(quota_cell_hold(cell, 60, 100));
    assert_false(quota_cell_hold(cell, 41, 100));
    assert_true(quota_cell_hold(cell, 40, 100));
    assert_false(quota_cell_hold(cell, 1, 100));
    assert_true(quota_cell_hold(cell, 0, 100));
    quota_cell_settle(cell, 60, 10, 0, 0);
    assert_int_equal(quota_cell_held(cell), 50);
    assert_int_equal(quota_cell_used(cell), 10);
    quota_cell_settle(cell, 40, 400, 0, 0); /* more than it said */
    assert_int_equal(quota_cell_held(cell), 410);
    assert_false(quota_cell_hold(cell, 0, 100));
    assert_false(quota_cell_hold(cell, UINT64_MAX, 100));
    quota_cell_settle(cell, 0, UINT64_MAX, 0, 0);
    quota_cell_settle(cell, 0, UINT64_MAX, 0, 0);
    assert_false(quota_cell_hold(cell, 1, 100));
    quota_cells_free(cells);
}

static void rolling_periods_look_back(void **state)
{
    struct quota_cells *cells = quota_cells_new();
    struct quota_policy policy = policy_of(1, 10); /* 200 s */
    struct quota_cell *cell = must_take(cells, &policy, &no_window, "");

    (void)state;
    quota_cell_settle(cell, 0, 5, 1000, 1000);
    quota_cell_settle(cell, 0, 7, 1100, 1100);
    assert_int_equal(quota_cell_used(cell), 12);
    assert_int_equal(quota_cell_frees_at(cell), 1210);
    quota_cell_expire(cell, 1209);
    assert_int_equal(quota_cell_used(cell), 12);
    quota_cell_expire(cell, 1210);
    assert_int_equal(quota_cell_used(cell), 7);
    assert_int_equal(quota_cell_held(cell), 7);
    assert_int_equal(quota_cell_frees_at(cell), 1310);

    /* A call that began so long ago releases what it reserved and adds nothing. */
    assert_true(quota_cell_hold(cell, 50, 100));
    quota_cell_settle(cell, 50, 40, 1000, 1300);
    assert_int_equal(quota_cell_held(cell), 7);

    /* The place of the first step again, a period and a step later. */
    quota_cell_settle(cell, 0, 9, 1000 + 210, 1300);
    assert_int_equal(quota_cell_used(cell), 16);
    quota_cell_expire(cell, 1310);
    assert_int_equal(quota_cell_used(cell), 9);
    quota_cell_expire(cell, 1000000);
    assert_int_equal(quota_cell_used(cell), 0);
    assert_int_equal(quota_cell_held(cell), 0);
    assert_int_equal(quota_cell_frees_at(cell), 0);
    quota_cells_free(cells);
}

static void refunds_go_where_the_charge_stands(void **state)
{
    struct quota_cells *cells = quota_cells_new();
    struct quota_policy daily = policy_of(1, 0), rolling = policy_of(2, 900);
    struct quota_cell *cell = must_take(cells, &daily, &some_window, "x");

    (void)state;
    quota_cell_settle(cell, 0, 50, 0, 0);
    quota_cell_refund(cell, 20, 0, 0);
    assert_int_equal(quota_cell_used(cell), 30);
    assert_int_equal(quota_cell_held(cell), 30);
    quota_cell_refund(cell, 40, 0, 0); /* never below nothing */
    assert_int_equal(quota_cell_used(cell), 0);
    cell = must_take(cells, &rolling, &no_window, "x");
    quota_cell_settle(cell, 0, 50, 900000, 900000);
    quota_cell_settle(cell, 0, 7, 901000, 901000);
    quota_cell_refund(cell, 20, 900000, 901000);
    assert_int_equal(quota_cell_used(cell), 37);
    quota_cell_refund(cell, 99, 901000, 902000); /* no other step's */
    assert_int_equal(quota_cell_used(cell), 30);
    quota_cell_expire(cell, 900000 + 21 * 900);
    assert_int_equal(quota_cell_used(cell), 0);
    assert_int_equal(quota_cell_held(cell), 0);
    quota_cell_settle(cell, 0, 5, 930000, 930000);
    quota_cell_refund(cell, 5, 900000, 930000); /* it has left */
    assert_int_equal(quota_cell_used(cell), 5);
    quota_cells_free(cells);
}

static void sweep_all(struct quota_cells *cells, int64_t unix_s, int64_t steady_s)
{
    for (int i = 0; i < 16; i++) {
        quota_cells_sweep(cells, unix_s, steady_s);
    }
}

static void old_cells_go_in_steady_time(void **state)
{
    struct quota_cells *cells = quota_cells_new();
    struct quota_policy policy = policy_of(1, 0), rolling = policy_of(2, 10);
    struct quota_cell *cell = must_take(cells, &policy, &some_window, "ana");
    struct quota_cell *other = must_take(cells, &rolling, &no_window, "ana");

    (void)state;
    quota_cell_settle(cell, 0, 5, 0, 0);
    quota_cell_settle(other, 0, 5, 1000, 1000);
    sweep_all(cells, 3000, 100000);
    sweep_all(cells, 3000, 100000 + 2 * HOUR);
    assert_int_equal(quota_cells_count(cells), 2); /* calls point to them */
    quota_cell_back(cell);
    quota_cell_back(other);

    /* The wall clock jumps ahead and back: nothing is forgotten. */
    sweep_all(cells, 1500, 1000);
    sweep_all(cells, 1000000, 1001);
    sweep_all(cells, 1500, 1002);
    sweep_all(cells, 1500, 1003 + 2 * HOUR);
    assert_int_equal(quota_cells_count(cells), 2); /* the rolling one has just ended */
    assert_ptr_equal(must_take(cells, &policy, &some_window, "ana"), cell);
    assert_int_equal(quota_cell_used(cell), 5);
    quota_cell_back(cell);

    sweep_all(cells, 2000, 1004 + 2 * HOUR);
    assert_int_equal(quota_cells_count(cells), 2);
    sweep_all(cells, 2000, 1004 + 3 * HOUR);
    assert_int_equal(quota_cells_count(cells), 0);
    cell = must_take(cells, &policy, &some_window, "bo");
    assert_int_equal(quota_cell_used(cell), 0);
    assert_int_equal(quota_cell_held(cell), 0);
    quota_cells_free(cells);
}

static void subjects_of_clients_share_at_last(void **state)
{
    struct quota_cells *cells = quota_cells_new();
    struct quota_policy session = policy_of(1, 0), caller = policy_of(2, 0);
    char subject[32];
    struct quota_cell *cell;

    (void)state;
    session.rule.each = EACH_SESSION;
    caller.rule.each = EACH_CALLER;
    for (int i = 0; i < 200000; i++) {
        snprintf(subject, sizeof subject, "session-%d", i);
        quota_cell_back(must_take(cells, &session, &some_window, subject));
    }
    assert_in_range(quota_cells_count(cells), 131072, 131072 + 16);
    cell = must_take(cells, &session, &some_window, "one more");
    assert_string_equal(cell->subject, "_other");
    cell = must_take(cells, &caller, &some_window, "ana");
    assert_string_equal(cell->subject, "ana");
    quota_cells_free(cells);
}

static uint64_t resident_kib(void)
{
    unsigned long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    return resident * 4;
}

static void many_callers_fit(void **state)
{
    uint64_t before = resident_kib();
    struct quota_cells *cells = quota_cells_new();
    struct quota_policy daily = policy_of(1, 0), rolling = policy_of(2, 900);
    char subject[32];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(subject, sizeof subject, "caller-%d", i);
        quota_cell_settle(must_take(cells, &daily, &some_window, subject), 0, 1, 0, 0);
        quota_cell_settle(must_take(cells, &rolling, &no_window, subject), 0, 1, 1000,
                          1000);
    }
    assert_int_equal(quota_cells_count(cells), 200000);
    print_message("# 100,000 callers, two counters each: %lu KiB\n",
                  (unsigned long)(resident_kib() - before));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(resident_kib() - before < 64 * 1024);
#endif
    quota_cells_free(cells);
}

/* ---- threads --------------------------------------------------------------------- */

enum { THREADS = 8, SUBJECTS = 40, TURNS = 20000, LIMIT = 1000 };

struct race {
    struct quota_cells *cells;
    struct quota_policy policy;
    atomic_bool done;
    atomic_uint_least64_t over;            /* what was held beyond the limit */
    atomic_uint_least64_t truth[SUBJECTS]; /* what was used */
};

/* Takes, holds, settles and gives back, while cells come and go under it. */
static void *use_cells(void *self)
{
    struct race *race = self;
    unsigned seed = (unsigned)(uintptr_t)&seed;

    for (int turn = 0; turn < TURNS; turn++) {
        int number = rand_r(&seed) % SUBJECTS;
        uint64_t amount = (uint64_t)(rand_r(&seed) % 300);
        uint64_t used = amount > 0 ? (uint64_t)rand_r(&seed) % amount / 1000 : 0;
        char subject[16];
        struct quota_cell *cell;

        snprintf(subject, sizeof subject, "s%d", number);
        cell = quota_cells_take(race->cells, &race->policy, &some_window,
                                span_text(subject));
        if (quota_cell_hold(cell, amount, LIMIT)) {
            if (quota_cell_held(cell) > LIMIT) {
                atomic_fetch_add(&race->over, 1);
            }
            used += turn % 500 == 0;
            quota_cell_settle(cell, amount, used, 0, 0);
            atomic_fetch_add(&race->truth[number], used);
        }
        quota_cell_back(cell);
    }
    return NULL;
}

static void *sweep_cells(void *self)
{
    struct race *race = self;

    for (int64_t steady_s = 1; !atomic_load(&race->done); steady_s += HOUR) {
        quota_cells_sweep(race->cells, 0, steady_s); /* no window is over at 0 */
    }
    return NULL;
}

static void counts_are_exact_under_threads(void **state)
{
    struct race race = { .cells = quota_cells_new(), .policy = policy_of(1, 0) };
    pthread_t threads[THREADS], sweeper;

    (void)state;
    assert_int_equal(pthread_create(&sweeper, NULL, sweep_cells, &race), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_cells, &race), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&race.done, true);
    pthread_join(sweeper, NULL);
    assert_int_equal(quota_cells_count(race.cells), SUBJECTS);
    assert_int_equal(race.over, 0);
    for (int i = 0; i < SUBJECTS; i++) {
        char subject[16];
        struct quota_cell *cell;

        snprintf(subject, sizeof subject, "s%d", i);
        cell = must_take(race.cells, &race.policy, &some_window, subject);
        assert_int_equal(quota_cell_used(cell), race.truth[i]);
        assert_int_equal(quota_cell_held(cell), race.truth[i]);
    }
    quota_cells_free(race.cells);
}

/* Charges and their refunds, while steps begin and leave: nothing is left,
 * nothing is lost. */
static void *charge_and_refund(void *self)
{
    struct race *race = self;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    struct quota_cell *cell =
        quota_cells_take(race->cells, &race->policy, &no_window, SPAN("x"));

    for (int turn = 0; turn < TURNS; turn++) {
        int64_t began_s = 1000000 + turn / 4, now_s = began_s + rand_r(&seed) % 30;
        uint64_t amount = (uint64_t)(rand_r(&seed) % 300);

        quota_cell_settle(cell, 0, amount, began_s, began_s);
        quota_cell_expire(cell, began_s);
        quota_cell_refund(cell, amount, began_s, now_s);
    }
    quota_cell_back(cell);
    return NULL;
}

static void refunds_are_exact_under_threads(void **state)
{
    struct race race = { .cells = quota_cells_new(), .policy = policy_of(1, 9) };
    struct quota_cell *cell = must_take(race.cells, &race.policy, &no_window, "x");
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, charge_and_refund, &race),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    quota_cell_expire(cell, 2000000);
    assert_int_equal(quota_cell_used(cell), quota_cell_held(cell));
    quota_cell_settle(cell, 0, 1, 2000000, 2000000); /* what came late leaves with it */
    quota_cell_expire(cell, 3000000);
    assert_int_equal(quota_cell_used(cell), 0);
    assert_int_equal(quota_cell_held(cell), 0);
    quota_cells_free(race.cells);
}

/* Concurrent calls' cells vanish whenever nobody points to them: nobody may ever hold
 * one that the table has forgotten, or two of a key. */
static void *hold_one(void *self)
{
    struct race *race = self;

    for (int turn = 0; turn < TURNS; turn++) {
        struct quota_cell *cell =
            quota_cells_take(race->cells, &race->policy, &no_window, SPAN("x"));

        if (quota_cell_hold(cell, 1, 1)) {
            if (atomic_fetch_add(&race->over, 1) != 0) {
                atomic_fetch_add(&race->truth[0], 1);
            }
            atomic_fetch_sub(&race->over, 1);
            quota_cell_settle(cell, 1, 0, 0, 0);
        }
        quota_cell_back(cell);
    }
    return NULL;
}

static void nobody_gets_a_second_cell(void **state)
{
    struct race race = { .cells = quota_cells_new(), .policy = policy_of(1, 0) };
    pthread_t threads[THREADS], sweeper;

    (void)state;
    assert_int_equal(pthread_create(&sweeper, NULL, sweep_cells, &race), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hold_one, &race), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&race.done, true);
    pthread_join(sweeper, NULL);
    assert_int_equal(race.truth[0], 0);
    assert_true(quota_cells_count(race.cells) <= 1);
    quota_cells_free(race.cells);
}

/* Rolling steps expire while calls settle into them. */
static void *roll(void *self)
{
    struct race *race = self;
    unsigned seed = (unsigned)(uintptr_t)&seed;

    for (int turn = 0; turn < TURNS; turn++) {
        int64_t now_s = 1000 + turn;
        struct quota_cell *cell =
            quota_cells_take(race->cells, &race->policy, &no_window, SPAN("x"));

        quota_cell_expire(cell, now_s);
        if (quota_cell_hold(cell, 50, LIMIT)) {
            quota_cell_settle(cell, 50, (uint64_t)rand_r(&seed) % 100,
                              now_s - rand_r(&seed) % 30, now_s);
        }
        quota_cell_back(cell);
    }
    return NULL;
}

static void rolling_sums_do_not_drift(void **state)
{
    struct race race = { .cells = quota_cells_new(), .policy = policy_of(1, 1) };
    pthread_t threads[THREADS];
    struct quota_cell *cell;

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, roll, &race), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cell = must_take(race.cells, &race.policy, &no_window, "x");
    assert_int_equal(quota_cell_held(cell), quota_cell_used(cell));
    quota_cell_expire(cell, 10 * TURNS);
    quota_cell_expire(cell, 20 * TURNS);
    for (unsigned i = 0; i < QUOTA_STEPS; i++) {
        /* What came too late for its step waits for the next to end. */
        quota_cell_settle(cell, 0, 1, 20 * TURNS + i, 20 * TURNS + i);
    }
    quota_cell_expire(cell, 30 * TURNS);
    assert_int_equal(quota_cell_used(cell), 0);
    assert_int_equal(quota_cell_held(cell), 0);
    quota_cells_free(race.cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_cells_of_their_own),
        cmocka_unit_test(what_is_held_is_bounded),
        cmocka_unit_test(rolling_periods_look_back),
        cmocka_unit_test(old_cells_go_in_steady_time),
        cmocka_unit_test(subjects_of_clients_share_at_last),
        cmocka_unit_test(many_callers_fit),
        cmocka_unit_test(counts_are_exact_under_threads),
        cmocka_unit_test(refunds_go_where_the_charge_stands),
        cmocka_unit_test(refunds_are_exact_under_threads),
        cmocka_unit_test(nobody_gets_a_second_cell),
        cmocka_unit_test(rolling_sums_do_not_drift),
    };

    return cmocka_run_group_tests_name("quota_cell", tests, NULL, NULL);
}
