#include "proxy/base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { CAPACITY = 4, MANY = 100000 };

struct item {
    uint64_t number;
    uint64_t complement;
    char rest[24];
};

static void test_first_in_first_out(void **state)
{
    struct ring ring;
    int item;

    (void)state;
    assert_true(ring_init(&ring, sizeof(int), CAPACITY));
    assert_false(ring_take(&ring, &item));
    for (int round = 0; round < 3 * CAPACITY; round++) {
        for (int i = 0; i < 3; i++) {
            assert_true(ring_put(&ring, &(int){ 10 * round + i }));
        }
        assert_int_equal(ring_waiting(&ring), 3);
        for (int i = 0; i < 3; i++) {
            assert_true(ring_take(&ring, &item));
            assert_int_equal(item, 10 * round + i);
        }
        assert_false(ring_take(&ring, &item));
    }
    ring_done(&ring);
}

static void test_full_ring_refuses(void **state)
{
    struct ring ring;
    int item;

    (void)state;
    assert_true(ring_init(&ring, sizeof(int), CAPACITY));
    for (int i = 0; i < CAPACITY; i++) {
        assert_true(ring_put(&ring, &i));
    }
    assert_int_equal(ring_waiting(&ring), CAPACITY);
    assert_false(ring_put(&ring, &(int){ 9 }));
    assert_true(ring_take(&ring, &item));
    assert_int_equal(item, 0);
    assert_true(ring_put(&ring, &(int){ 4 }));
    assert_false(ring_put(&ring, &(int){ 9 }));
    ring_done(&ring);
}

static void *put_many(void *argument)
{
    struct ring *ring = argument;

    for (uint64_t i = 0; i < MANY; i++) {
        const struct item item = { .number = i, .complement = ~i };

        while (!ring_put(ring, &item)) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    struct ring ring;
    struct item item;
    pthread_t producer;

    (void)state;
    assert_true(ring_init(&ring, sizeof(struct item), 64));
    assert_int_equal(pthread_create(&producer, NULL, put_many, &ring), 0);
    for (uint64_t i = 0; i < MANY; i++) {
        while (!ring_take(&ring, &item)) {
            (void)sched_yield();
        }
        assert_true(item.number == i && item.complement == ~i);
        assert_true(ring_waiting(&ring) <= 64);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_false(ring_take(&ring, &item));
    ring_done(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_full_ring_refuses),
        cmocka_unit_test(test_two_threads),
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
