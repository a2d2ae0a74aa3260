#include "filters/detect/recall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FRESH = 16, KNOWN = 8 };

struct memory {
    uint16_t fresh[RECALL_BANKS * FRESH];
    uint16_t known[RECALL_BANKS * KNOWN];
    uint8_t heads[2 * RECALL_BANKS];
};

static struct recall over(struct memory *memory)
{
    return (struct recall){ memory->fresh, memory->known, memory->heads, FRESH, KNOWN };
}

/* Hashes without a pattern (splitmix64). */
static uint64_t hash_of(uint64_t n)
{
    n += UINT64_C(0x9e3779b97f4a7c15) * 77;
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

static void a_value_is_new_then_once_then_often(void **unused)
{
    struct memory memory = { { 0 }, { 0 }, { 0 } };
    struct recall recall = over(&memory);

    (void)unused;
    assert_int_equal(recall_of(&recall, hash_of(1)), RECALLED_NEVER);
    recall_put(&recall, hash_of(1));
    assert_int_equal(recall_of(&recall, hash_of(1)), RECALLED_ONCE);
    recall_put(&recall, hash_of(1));
    assert_int_equal(recall_of(&recall, hash_of(1)), RECALLED_OFTEN);
}

static void noise_evicts_only_noise(void **unused)
{
    struct memory memory = { { 0 }, { 0 }, { 0 } };
    struct recall recall = over(&memory);

    (void)unused;
    for (unsigned i = 0; i < 5; i++) {
        recall_put(&recall, hash_of(i));
        recall_put(&recall, hash_of(i));
    }
    for (unsigned i = 1000; i < 2000; i++) {
        recall_put(&recall, hash_of(i));
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(recall_of(&recall, hash_of(i)), RECALLED_OFTEN);
    }
    assert_int_equal(recall_of(&recall, hash_of(1000)), RECALLED_NEVER);
}

static void values_are_rarely_mistaken(void **unused)
{
    struct memory memory = { { 0 }, { 0 }, { 0 } };
    struct recall recall = over(&memory);
    unsigned mistaken = 0;

    (void)unused;
    for (unsigned i = 0; i < 1000; i++) {
        recall_put(&recall, hash_of(i));
    }
    for (unsigned i = 10000; i < 110000; i++) {
        mistaken += recall_of(&recall, hash_of(i)) != RECALLED_NEVER;
    }
    assert_true(mistaken < 60); /* 24 in 65,536 expected */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_new_then_once_then_often),
        cmocka_unit_test(noise_evicts_only_noise),
        cmocka_unit_test(values_are_rarely_mistaken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
