#include "proxy/base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BLOCK = 1024, BUDGET = 8 * BLOCK };

static struct arena_pool pool;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_pool_init(&pool, 2);
    arena_init(&arena, &pool, BUDGET);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    arena_pool_done(&pool);
    return 0;
}

static void test_pieces_are_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t size = 1; size < 64; size++) {
        unsigned char *piece = arena_take(&arena, size);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(piece[i], 0);
        }
        memset(piece, 0xFF, size);
    }
    assert_true(arena.total <= arena.budget);
}

static void test_reused_blocks_are_zeroed(void **state)
{
    (void)state;
    memset(arena_take(&arena, BLOCK), 0xFF, BLOCK);
    arena_done(&arena);
    assert_int_equal(pool.idle_count, 1);
    assert_int_equal(*(unsigned char *)arena_take(&arena, BLOCK), 0);
    assert_int_equal(pool.idle_count, 0);
}

static void test_takes_nothing_before_it_must(void **state)
{
    (void)state;
    assert_int_equal(arena.total, 0);
}

static void test_budget(void **state)
{
    (void)state;
    assert_null(arena_take(&arena, BUDGET + 1));
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_non_null(arena_take(&arena, BUDGET));
    assert_null(arena_take(&arena, 1));
    arena_done(&arena);
    for (int i = 0; i < BUDGET / BLOCK; i++) {
        assert_non_null(arena_take(&arena, BLOCK));
    }
    assert_null(arena_take(&arena, 1));
}

static void test_a_large_piece_leaves_the_newest_block_in_use(void **state)
{
    char *first;
    char *second;

    (void)state;
    first = arena_take(&arena, 16);
    assert_non_null(arena_take(&arena, 3 * BLOCK));
    second = arena_take(&arena, 16);
    assert_ptr_equal(second, first + 16);
    assert_int_equal(arena.total, 4 * BLOCK);
}

static void test_a_large_piece_first(void **state)
{
    (void)state;
    assert_non_null(arena_take(&arena, 2 * BLOCK));
    assert_non_null(arena_take(&arena, 16));
    assert_int_equal(arena.total, 3 * BLOCK);
}

static void test_pool_keeps_no_more_than_its_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_non_null(arena_take(&arena, BLOCK));
    }
    arena_done(&arena);
    assert_int_equal(pool.idle_count, 2);
    assert_int_equal(arena.total, 0);
}

static void test_copy(void **state)
{
    struct span copy = arena_copy(&arena, SPAN("abc"));

    (void)state;
    assert_true(span_equal(copy, SPAN("abc")));
    assert_int_equal(copy.at[3], '\0');
    copy = arena_copy(&arena, span_of(NULL, 0));
    assert_non_null(copy.at);
    assert_int_equal(copy.len, 0);
    copy = arena_copy(&arena, span_of("", BUDGET));
    assert_null(copy.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces_are_zeroed_and_aligned, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_reused_blocks_are_zeroed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_takes_nothing_before_it_must, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_large_piece_leaves_the_newest_block_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_piece_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pool_keeps_no_more_than_its_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_copy, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
