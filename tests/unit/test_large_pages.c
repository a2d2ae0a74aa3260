#include "filters/detect/large_pages.h"
#include "tests/support/resident_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZE = 8 * LARGE_PAGE + 4096, STEP = 99991 };

static void test_memory_is_zero_and_keeps_what_is_written(void **state)
{
    unsigned char *memory = large_pages_new(SIZE);

    (void)state;
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % LARGE_PAGE, 0);
    for (size_t at = 0; at < SIZE; at += STEP) {
        assert_int_equal(memory[at], 0);
        memory[at] = (unsigned char)(at % 251);
    }
    large_pages_use(memory, SIZE);
    for (size_t at = 0; at < SIZE; at++) {
        assert_int_equal(memory[at], at % STEP == 0 ? at % 251 : 0);
    }
    large_pages_free(memory, SIZE);
}

/* An idle installation pays for what it touches, no more. */
static void test_pages_are_small_until_they_are_used(void **state)
{
    unsigned char *memory = large_pages_new(SIZE);
    uint64_t before = resident_bytes();

    (void)state;
    for (size_t at = 0; at < SIZE; at += LARGE_PAGE) {
        memory[at] = 1;
    }
    assert_true(resident_bytes() - before < LARGE_PAGE);
    large_pages_free(memory, SIZE);
    large_pages_free(NULL, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zero_and_keeps_what_is_written),
        cmocka_unit_test(test_pages_are_small_until_they_are_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
