#include "proxy/net/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 200 };

/* Something with a deadline, and what its expiry shall do. */
struct waiter {
    struct deadline deadline;
    struct deadlines *deadlines;
    struct waiter *clears; /* NULL: nobody */
    uint64_t again_after;  /* 0: not set again */
    uint64_t now;
    unsigned expired;
};

static void waiter_expired(void *self)
{
    struct waiter *waiter = self;

    waiter->expired++;
    if (waiter->clears != NULL) {
        deadline_clear(&waiter->clears->deadline);
    }
    if (waiter->again_after > 0) {
        assert_true(deadline_set(waiter->deadlines, &waiter->deadline, waiter->now,
                                 waiter->again_after));
    }
}

static void waiter_init(struct waiter *waiter, struct deadlines *deadlines)
{
    *waiter = (struct waiter){ .deadlines = deadlines };
    waiter->deadline.expired = waiter_expired;
    waiter->deadline.owner = waiter;
}

static void they_expire_once_and_not_early(void **state)
{
    struct deadlines deadlines = { 0 };
    struct waiter waiter;

    (void)state;
    waiter_init(&waiter, &deadlines);
    assert_int_equal(deadlines_due(&deadlines), UINT64_MAX);
    assert_true(deadline_set(&deadlines, &waiter.deadline, 100, 10));
    assert_int_equal(deadlines_due(&deadlines), 110);
    deadlines_expire(&deadlines, 109);
    assert_int_equal(waiter.expired, 0);
    deadlines_expire(&deadlines, 110);
    assert_int_equal(waiter.expired, 1);
    deadlines_expire(&deadlines, 1000);
    assert_int_equal(waiter.expired, 1);
    assert_int_equal(deadlines_due(&deadlines), UINT64_MAX);
    deadlines_done(&deadlines);
}

static void setting_again_moves_it(void **state)
{
    struct deadlines deadlines = { 0 };
    struct waiter waiter;

    (void)state;
    waiter_init(&waiter, &deadlines);
    assert_true(deadline_set(&deadlines, &waiter.deadline, 0, 10));
    assert_true(deadline_set(&deadlines, &waiter.deadline, 5, 10));
    assert_int_equal(deadlines_due(&deadlines), 15);
    assert_true(deadline_set(&deadlines, &waiter.deadline, 5, 30));
    assert_int_equal(deadlines_due(&deadlines), 35);
    deadlines_expire(&deadlines, 34);
    assert_int_equal(waiter.expired, 0);
    deadline_clear(&waiter.deadline);
    deadline_clear(&waiter.deadline);
    deadlines_expire(&deadlines, 100);
    assert_int_equal(waiter.expired, 0);
    deadlines_done(&deadlines);
}

static void postponing_often_moves_it_rarely(void **state)
{
    struct deadlines deadlines = { 0 };
    struct waiter waiter;
    uint64_t now, first;

    (void)state;
    waiter_init(&waiter, &deadlines);
    assert_true(deadline_postpone(&deadlines, &waiter.deadline, 1000, 640));
    first = deadlines_due(&deadlines);
    assert_int_equal(first, 1000 + 640 + 10);
    for (now = 1001; now <= 1010; now++) {
        assert_true(deadline_postpone(&deadlines, &waiter.deadline, now, 640));
        assert_int_equal(deadlines_due(&deadlines), first);
    }
    for (; now <= 3000; now++) {
        assert_true(deadline_postpone(&deadlines, &waiter.deadline, now, 640));
        assert_in_range(deadlines_due(&deadlines), now + 640, now + 650);
    }
    deadlines_expire(&deadlines, 3000 + 639);
    assert_int_equal(waiter.expired, 0);
    deadlines_expire(&deadlines, 3000 + 650);
    assert_int_equal(waiter.expired, 1);
    deadlines_done(&deadlines);
}

/* Whatever was set before: exactly set, or for another time. */
static void postponing_takes_what_was_set(void **state)
{
    struct deadlines deadlines = { 0 };
    struct waiter waiter;

    (void)state;
    waiter_init(&waiter, &deadlines);
    assert_true(deadline_set(&deadlines, &waiter.deadline, 0, 5000));
    assert_true(deadline_postpone(&deadlines, &waiter.deadline, 0, 640));
    assert_int_equal(deadlines_due(&deadlines), 650);
    assert_true(deadline_postpone(&deadlines, &waiter.deadline, 0, 1280));
    assert_int_equal(deadlines_due(&deadlines), 1300);
    assert_true(deadline_set(&deadlines, &waiter.deadline, 0, 640));
    assert_int_equal(deadlines_due(&deadlines), 640);
    deadline_clear(&waiter.deadline);
    deadlines_done(&deadlines);
}

static void an_expiry_may_clear_and_set_others(void **state)
{
    struct deadlines deadlines = { 0 };
    struct waiter first, second, third;

    (void)state;
    waiter_init(&first, &deadlines);
    waiter_init(&second, &deadlines);
    waiter_init(&third, &deadlines);
    first.clears = &second;
    first.again_after = 10; /* into the queue that is being served */
    first.now = 20;
    third.again_after = 7; /* into a new one */
    third.now = 20;
    assert_true(deadline_set(&deadlines, &first.deadline, 0, 10));
    assert_true(deadline_set(&deadlines, &second.deadline, 0, 10));
    assert_true(deadline_set(&deadlines, &third.deadline, 1, 10));
    deadlines_expire(&deadlines, 20);
    assert_int_equal(first.expired, 1);
    assert_int_equal(second.expired, 0);
    assert_int_equal(third.expired, 1);
    assert_int_equal(deadlines_due(&deadlines), 27);
    first.now = 30;
    third.now = 30;
    deadlines_expire(&deadlines, 30);
    assert_int_equal(first.expired, 2);
    assert_int_equal(third.expired, 2);
    deadline_clear(&first.deadline);
    deadline_clear(&third.deadline);
    deadlines_done(&deadlines);
}

static void many_of_few_durations_expire_in_time(void **state)
{
    static const uint64_t durations[] = { 5, 50, 500 };
    struct deadlines deadlines = { 0 };
    struct waiter *waiters = calloc(MANY, sizeof *waiters);

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        waiter_init(&waiters[i], &deadlines);
        assert_true(
            deadline_set(&deadlines, &waiters[i].deadline, i, durations[i % 3]));
    }
    for (uint64_t now = MANY; now <= MANY + 500; now += 10) {
        deadlines_expire(&deadlines, now);
        for (unsigned i = 0; i < MANY; i++) {
            assert_int_equal(waiters[i].expired, i + durations[i % 3] <= now);
        }
    }
    assert_int_equal(deadlines_due(&deadlines), UINT64_MAX);
    deadlines_done(&deadlines);
    free(waiters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_expire_once_and_not_early),
        cmocka_unit_test(setting_again_moves_it),
        cmocka_unit_test(postponing_often_moves_it_rarely),
        cmocka_unit_test(postponing_takes_what_was_set),
        cmocka_unit_test(an_expiry_may_clear_and_set_others),
        cmocka_unit_test(many_of_few_durations_expire_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
