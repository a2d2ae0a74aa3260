/* Calls that come as they end and leave as they began. */
#include "proxy/analyst/call_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 64, ROUNDS = 20000 };

static void put(struct call_order *order, int64_t begin_ms, uint64_t number)
{
    struct analyst_call *call = call_order_slot(order);

    *call = (struct analyst_call){ .call.turn = { .begin_ms = begin_ms,
                                                  .input_tokens = number } };
    call_order_put(order);
}

static void assert_take(struct call_order *order, int64_t before_ms, int64_t begin_ms,
                        uint64_t number)
{
    const struct analyst_call *call = call_order_take(order, before_ms);

    assert_non_null(call);
    assert_int_equal(call->call.turn.begin_ms, begin_ms);
    assert_int_equal(call->call.turn.input_tokens, number);
}

static void test_leaves_as_it_began(void **state)
{
    struct call_order *order = call_order_new(MOST);

    (void)state;
    put(order, 30, 1);
    put(order, 10, 2);
    put(order, 20, 3);
    put(order, 10, 4);
    assert_take(order, 25, 10, 2);
    assert_take(order, 25, 10, 4);
    assert_take(order, 25, 20, 3);
    assert_null(call_order_take(order, 25));
    assert_null(call_order_take(order, 30));
    assert_take(order, 31, 30, 1);
    assert_null(call_order_take(order, INT64_MAX));
    call_order_free(order);
}

/* Whatever comes and goes, in whatever order: the least of those there leaves. */
static void test_random_traffic(void **state)
{
    struct call_order *order = call_order_new(MOST);
    unsigned there[MOST * 4] = { 0 };

    (void)state;
    srand(5);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned begin = (unsigned)rand() % (MOST * 4);
        unsigned least = 0;

        if (!call_order_full(order) && rand() % 2 == 0) {
            put(order, begin, round);
            there[begin]++;
            continue;
        }
        while (least < begin && there[least] == 0) {
            least++;
        }
        if (least == begin) {
            assert_null(call_order_take(order, begin));
        } else {
            assert_int_equal(call_order_take(order, begin)->call.turn.begin_ms, least);
            there[least]--;
        }
    }
    call_order_free(order);
}

static void test_is_full_at_its_bound(void **state)
{
    struct call_order *order = call_order_new(MOST);

    (void)state;
    for (unsigned i = 0; i < MOST; i++) {
        assert_false(call_order_full(order));
        put(order, i, i);
    }
    assert_true(call_order_full(order));
    assert_int_equal(call_order_waiting(order), MOST);
    assert_take(order, INT64_MAX, 0, 0);
    assert_false(call_order_full(order));
    call_order_free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_as_it_began),
        cmocka_unit_test(test_random_traffic),
        cmocka_unit_test(test_is_full_at_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
