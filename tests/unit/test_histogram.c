#include "proxy/base/histogram.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MANY = 100000 };

static const uint64_t bounds[] = { 1, 4, 16, 64 };

static void test_a_bound_belongs_to_its_bucket(void **state)
{
    const uint64_t values[] = { 0, 1, 2, 4, 5, 16, 64, 65, UINT64_MAX / 2 };
    const uint64_t wanted[] = { 2, 2, 2, 1, 2 };
    struct histogram histogram;
    struct histogram_copy copy = { 0 };
    uint64_t sum = 0;

    (void)state;
    histogram_init(&histogram, bounds, 4);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        histogram_count(&histogram, values[i]);
        sum += values[i];
    }
    histogram_read(&histogram, &copy);
    assert_memory_equal(copy.buckets, wanted, sizeof wanted);
    assert_int_equal(copy.count, 9);
    assert_true(copy.sum == sum);
}

static void test_reading_adds_up_shards(void **state)
{
    struct histogram shards[2];
    struct histogram_copy copy = { 0 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        histogram_init(&shards[i], bounds, 4);
        histogram_count(&shards[i], 10 + i);
    }
    histogram_read(&shards[0], &copy);
    histogram_read(&shards[1], &copy);
    assert_int_equal(copy.count, 2);
    assert_int_equal(copy.buckets[2], 2);
    assert_int_equal(copy.sum, 21);
}

static void test_limits_of_the_bounds(void **state)
{
    uint64_t most[HISTOGRAM_BOUNDS_MAX];
    struct histogram histogram;
    struct histogram_copy copy = { 0 };

    (void)state;
    histogram_init(&histogram, NULL, 0);
    histogram_count(&histogram, 7);
    histogram_read(&histogram, &copy);
    assert_int_equal(copy.buckets[0], 1);

    for (size_t i = 0; i < HISTOGRAM_BOUNDS_MAX; i++) {
        most[i] = i;
    }
    histogram_init(&histogram, most, HISTOGRAM_BOUNDS_MAX);
    histogram_count(&histogram, UINT64_MAX);
    copy = (struct histogram_copy){ 0 };
    histogram_read(&histogram, &copy);
    assert_int_equal(copy.buckets[HISTOGRAM_BOUNDS_MAX], 1);
}

static void *count_many(void *argument)
{
    for (uint64_t i = 0; i < MANY; i++) {
        histogram_count(argument, i % 100);
    }
    return NULL;
}

static void test_a_reader_beside_the_writer(void **state)
{
    struct histogram histogram;
    struct histogram_copy copy;
    uint64_t before = 0;
    pthread_t writer;

    (void)state;
    histogram_init(&histogram, bounds, 4);
    assert_int_equal(pthread_create(&writer, NULL, count_many, &histogram), 0);
    do {
        copy = (struct histogram_copy){ 0 };
        histogram_read(&histogram, &copy);
        assert_true(copy.count >= before && copy.count <= MANY);
        before = copy.count;
    } while (copy.count < MANY);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bound_belongs_to_its_bucket),
        cmocka_unit_test(test_reading_adds_up_shards),
        cmocka_unit_test(test_limits_of_the_bounds),
        cmocka_unit_test(test_a_reader_beside_the_writer),
    };

    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
