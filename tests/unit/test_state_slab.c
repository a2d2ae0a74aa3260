#include "filters/detect/large_pages.h"
#include "filters/detect/state_slab.h"
#include "tests/support/resident_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { CELLS = 3 * LARGE_PAGE / 1000, SIZE = 1000 };

static uint64_t random_state = 5;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill(void *cell, uint32_t number)
{
    memset(cell, (int)(number % 251), SIZE);
    memcpy(cell, &number, sizeof number);
}

static uint32_t number_of(const void *cell)
{
    uint32_t number;

    memcpy(&number, cell, sizeof number);
    return number;
}

static void assert_is(const unsigned char *cell, uint32_t number)
{
    assert_int_equal((uintptr_t)cell % 64, 0);
    assert_int_equal(number_of(cell), number);
    for (unsigned i = sizeof number; i < SIZE; i++) {
        assert_int_equal(cell[i], number % 251);
    }
}

/* Gives the n-th of `count` cells back: another may lie there now. */
static void give(struct state_slab *slab, void **cells, uint32_t *places,
                 unsigned *count, unsigned n)
{
    void *cell = cells[n];

    cells[n] = cells[--*count];
    places[number_of(cells[n])] = n;
    if (state_slab_give(slab, cell)) {
        cells[places[number_of(cell)]] = cell;
    }
}

/* Whatever is taken and given back, each cell keeps what was written. */
static void test_a_cell_that_is_moved_is_whole(void **state)
{
    static void *cells[CELLS];
    static uint32_t places[18 * CELLS];
    struct slab_pool pool = { 0 };
    struct state_slab slab = state_slab_of(&pool, SIZE);
    unsigned count = 0;

    (void)state;
    for (uint32_t n = 0; n < 18 * CELLS; n++) {
        bool more =
            n / (2 * CELLS) % 2 == 0 ? next_random() % 4 != 0 : next_random() % 4 == 0;

        if (more && count < CELLS) {
            cells[count] = state_slab_take(&slab);
            assert_non_null(cells[count]);
            fill(cells[count], n);
            places[n] = count++;
        } else if (count > 0) {
            give(&slab, cells, places, &count, (unsigned)(next_random() % count));
        }
    }
    assert_true(count > 0);
    for (unsigned i = 0; i < count; i++) {
        assert_is(cells[i], number_of(cells[i]));
    }
    while (count > 0) {
        give(&slab, cells, places, &count, 0);
    }
    assert_null(slab.last);
    slab_pool_free(&pool);
}

static void take_all(struct state_slab *slab, size_t bytes)
{
    for (size_t n = 0; n < bytes / slab->size; n++) {
        memset(state_slab_take(slab), 1, slab->size);
    }
}

/* Memory that small cells took up serves large ones, wherever those were that went. */
static void test_slabs_share_their_chunks(void **state)
{
    enum { BYTES = 32 * LARGE_PAGE };
    struct slab_pool pool = { 0 };
    struct state_slab small = state_slab_of(&pool, 800);
    struct state_slab large = state_slab_of(&pool, 4000);
    uint64_t before = resident_bytes();

    (void)state;
    take_all(&small, BYTES);
    state_slab_clear(&small);
    take_all(&large, BYTES);
    assert_true(resident_bytes() - before < BYTES + 4 * LARGE_PAGE);
    state_slab_clear(&large);
    slab_pool_free(&pool);
}

static void test_few_cells_take_up_little(void **state)
{
    struct slab_pool pool = { 0 };
    struct state_slab slab = state_slab_of(&pool, SIZE);
    uint64_t before = resident_bytes();

    (void)state;
    take_all(&slab, 64 * 1024);
    assert_true(resident_bytes() - before < LARGE_PAGE / 4);
    state_slab_clear(&slab);
    slab_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cell_that_is_moved_is_whole),
        cmocka_unit_test(test_slabs_share_their_chunks),
        cmocka_unit_test(test_few_cells_take_up_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
