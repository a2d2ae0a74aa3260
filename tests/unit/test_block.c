#include "proxy/net/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { IDLE_LIMIT = 4, ROUNDS = 3000 };

struct queues {
    struct block_pool pool;
    struct block_queue queue;
};

static int queues_open(void **state)
{
    struct queues *queues = calloc(1, sizeof *queues);

    block_pool_init(&queues->pool, IDLE_LIMIT);
    *state = queues;
    return queues == NULL ? -1 : 0;
}

static int queues_close(void **state)
{
    struct queues *queues = *state;

    block_clear(&queues->queue, &queues->pool);
    block_pool_done(&queues->pool);
    free(queues);
    return 0;
}

/* The byte that stands at this place of the endless stream that tests queue. */
static char byte_at(size_t place)
{
    return (char)(place * 7 + place / 251);
}

static void put_stream(struct queues *queues, size_t from, size_t size)
{
    char *bytes = malloc(size + 1);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = byte_at(from + i);
    }
    assert_true(block_put(&queues->queue, &queues->pool, span_of(bytes, size)));
    free(bytes);
}

static void assert_stream(const struct queues *queues, size_t from)
{
    const struct block *cursor = NULL;
    struct span piece;
    size_t seen = 0;

    while ((piece = block_next(&queues->queue, &cursor)).len > 0) {
        for (size_t i = 0; i < piece.len; i++) {
            assert_int_equal(piece.at[i], byte_at(from + seen + i));
        }
        seen += piece.len;
    }
    assert_int_equal(seen, queues->queue.bytes);
}

static void an_empty_queue_holds_nothing(void **state)
{
    struct queues *queues = *state;
    const struct block *cursor = NULL;
    struct span spans[2];

    assert_int_equal(block_front(&queues->queue).len, 0);
    assert_int_equal(block_next(&queues->queue, &cursor).len, 0);
    assert_int_equal(block_spans(&queues->queue, spans, 2), 0);
    assert_true(block_put(&queues->queue, &queues->pool, SPAN("")));
    assert_null(queues->queue.first);
    block_drop(&queues->queue, &queues->pool, 0);
    block_clear(&queues->queue, &queues->pool);
}

static void bytes_come_out_in_order(void **state)
{
    static const size_t sizes[] = { 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1,
                                    3 * BLOCK_BYTES };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct queues *queues = *state;

        put_stream(queues, 0, sizes[i]);
        put_stream(queues, sizes[i], 5);
        assert_int_equal(queues->queue.bytes, sizes[i] + 5);
        assert_stream(queues, 0);
        assert_int_equal(block_front(&queues->queue).at[0], byte_at(0));
        block_drop(&queues->queue, &queues->pool, sizes[i]);
        assert_stream(queues, sizes[i]);
        block_clear(&queues->queue, &queues->pool);
        assert_null(queues->queue.first);
        assert_null(queues->queue.last);
    }
}

static void spans_stop_at_their_limit(void **state)
{
    struct queues *queues = *state;
    struct span spans[4];

    put_stream(queues, 0, 2 * BLOCK_BYTES + 10);
    assert_int_equal(block_spans(&queues->queue, spans, 2), 2);
    assert_int_equal(block_spans(&queues->queue, spans, 4), 3);
    assert_int_equal(spans[0].len, BLOCK_BYTES);
    assert_int_equal(spans[2].len, 10);
}

/* Puts and drops of any size leave what a plain ring of bytes would. */
static void random_traffic_stays_intact(void **state)
{
    struct queues *queues = *state;
    size_t put = 0, dropped = 0;
    unsigned seed = 1;

    for (int i = 0; i < ROUNDS; i++) {
        size_t size;

        seed = seed * 1103515245 + 12345;
        size = seed >> 8 & 0xffff;
        size = (seed & 0x10) != 0 ? size % 64 : size;
        if ((seed & 0x40) != 0 && put - dropped < 8 * BLOCK_BYTES) {
            put_stream(queues, put, size);
            put += size;
        } else {
            size = size < put - dropped ? size : put - dropped;
            block_drop(&queues->queue, &queues->pool, size);
            dropped += size;
        }
        assert_int_equal(queues->queue.bytes, put - dropped);
        if (i % 50 == 0) {
            assert_stream(queues, dropped);
        }
    }
}

static void spare_blocks_are_bounded(void **state)
{
    struct queues *queues = *state;

    put_stream(queues, 0, 2 * IDLE_LIMIT * BLOCK_BYTES);
    block_clear(&queues->queue, &queues->pool);
    assert_int_equal(queues->pool.idle_count, IDLE_LIMIT);
    put_stream(queues, 0, 1);
    assert_int_equal(queues->pool.idle_count, IDLE_LIMIT - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, queues_open, queues_close)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_queue_holds_nothing), TEST(bytes_come_out_in_order),
        TEST(spans_stop_at_their_limit),    TEST(random_traffic_stays_intact),
        TEST(spare_blocks_are_bounded),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
