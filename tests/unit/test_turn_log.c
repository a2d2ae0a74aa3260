/* Rows of calls that outlive the process. */
#include "proxy/analyst/turn_log.h"
#include "tests/support/remove_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* 2026-11-21, 23:59:50 UTC */
#define EVENING_MS INT64_C(1795305590000)

enum { DAY_MS = 24 * 3600 * 1000, ROWS = 500 };

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/assay-turns-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int drop_folder(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static uint32_t word(uint64_t n)
{
    return (uint32_t)((n + 9) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static struct turn_row row_of(uint64_t number)
{
    struct turn_row row = { .number = number,
                            .at_ms = EVENING_MS + (int64_t)number * 1000 };
    struct turn *turn = &row.turn;

    turn->identity = word(number) % 7;
    turn->session = word(number) % 50;
    turn->begin_ms = row.at_ms - word(number) % 3;
    turn->end_ms = row.at_ms + 400;
    turn->input_tokens = word(number + 1);
    turn->output_tokens = number;
    turn->loop = number % 2 == 0 ? 0 : word(number);
    turn->kind = (enum turn_kind)(word(number) % 3);
    turn->has_prompt = turn->kind != TURN_CONTINUATION;
    turn->retry = turn->kind == TURN_PROMPT && number % 5 == 0;
    turn->harness = turn->kind == TURN_CONTINUATION && number % 3 == 0;
    turn->response.count = (uint8_t)(word(number + 2) % (SKETCH_RESPONSE + 1));
    for (unsigned i = 0; i < turn->response.count; i++) {
        turn->response.samples[i] = word(number * 20 + i);
    }
    if (turn->has_prompt) {
        turn->prompt.whole = word(number + 3);
        turn->prompt.shape = word(number + 4);
        turn->prompt.similar = word(number + 5);
        turn->prompt.characters = word(number + 6) % 5000;
        turn->prompt.bottom_count = (uint8_t)(word(number + 7) % (SKETCH_BOTTOM + 1));
        turn->prompt.sample_count = (uint8_t)(word(number + 8) % (SKETCH_PROMPT + 1));
        turn->prompt.has_words = number % 2 == 0;
        for (unsigned i = 0; i < turn->prompt.bottom_count; i++) {
            turn->prompt.bottom[i] = (uint64_t)word(number + i) << 24 | i;
        }
        for (unsigned i = 0; i < turn->prompt.sample_count; i++) {
            turn->prompt.samples[i] = word(number * 40 + i);
        }
        for (unsigned i = 0; turn->prompt.has_words && i < SKETCH_WORDS; i++) {
            turn->prompt.words[i] = (int8_t)word(number + i);
        }
    }
    snprintf(row.model, sizeof row.model, "model-%u", word(number) % 9);
    snprintf(row.tool, sizeof row.tool, "%.*s", (int)(number % 20),
             "abcdefghijklmnopqrstuvwxyz");
    return row;
}

static struct turn_log *opened(void)
{
    struct error error;
    struct turn_log *log;

    error_init(&error);
    log = turn_log_open(folder, &error);
    assert_non_null(log);
    error_done(&error);
    return log;
}

static void put_rows(uint64_t first, uint64_t last)
{
    struct turn_log *log = opened();

    for (uint64_t number = first; number <= last; number++) {
        struct turn_row row = row_of(number);

        turn_log_put(log, &row);
    }
    assert_true(turn_log_flush(log));
    turn_log_close(log);
}

struct expectation {
    uint64_t next, count, most;
};

static bool is_next(void *self, const struct turn_row *row)
{
    struct expectation *expected = self;
    struct turn_row wanted = row_of(expected->next);

    assert_memory_equal(row, &wanted, sizeof wanted);
    expected->next++;
    expected->count++;
    return expected->count < expected->most;
}

static uint64_t read_rows(int64_t since_ms, uint64_t after, uint64_t next,
                          uint64_t most)
{
    struct expectation expected = { .next = next, .most = most };
    struct error error;

    error_init(&error);
    assert_true(turn_log_each(folder, since_ms, after, is_next, &expected, &error));
    error_done(&error);
    return expected.count;
}

static void test_every_row_comes_back(void **state)
{
    (void)state;
    assert_int_equal(read_rows(0, 0, 1, UINT64_MAX), 0);
    put_rows(1, ROWS);
    put_rows(ROWS + 1, 2 * ROWS);
    assert_int_equal(read_rows(0, 0, 1, UINT64_MAX), 2 * ROWS);
    assert_int_equal(read_rows(0, ROWS / 2, ROWS / 2 + 1, 10), 10);
    /* The first ten seconds were yesterday's. */
    assert_int_equal(read_rows(EVENING_MS + DAY_MS, 0, 10, UINT64_MAX), 2 * ROWS - 9);
}

static void test_numbers_go_on(void **state)
{
    struct turn_log *log;

    (void)state;
    log = opened();
    assert_int_equal(turn_log_number(log), 0);
    turn_log_close(log);
    put_rows(1, 3);
    log = opened();
    assert_int_equal(turn_log_number(log), 3);
    assert_int_equal(turn_log_at_ms(log), EVENING_MS + 3000);
    turn_log_close(log);
}

/* Wherever the file ends, or whichever of its bytes is wrong: what is whole before it
 * is read, and new rows follow that. */
static void test_a_torn_end_is_cut(void **state)
{
    char path[128];
    struct stat info;

    (void)state;
    put_rows(1, 4);
    snprintf(path, sizeof path, "%s/turns/2026-11-21", folder);
    assert_int_equal(stat(path, &info), 0);
    for (off_t size = info.st_size - 1; size > 8; size -= 7) {
        struct turn_log *log;
        uint64_t whole;

        assert_int_equal(truncate(path, size), 0);
        log = opened();
        whole = turn_log_number(log);
        turn_log_close(log);
        assert_in_range(whole, 0, 3);
        assert_int_equal(read_rows(0, 0, 1, UINT64_MAX), whole);
        put_rows(whole + 1, 4);
        assert_int_equal(read_rows(0, 0, 1, UINT64_MAX), 4);
    }
    for (off_t at = 8; at < info.st_size; at += 5) {
        int fd = open(path, O_RDWR);
        unsigned char byte;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_true(read_rows(0, 0, 1, UINT64_MAX) < 4);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
}

static void test_old_days_are_deleted(void **state)
{
    struct turn_log *log;

    (void)state;
    put_rows(1, ROWS);
    log = opened();
    turn_log_delete_before(log, EVENING_MS);
    assert_int_equal(read_rows(0, 0, 1, UINT64_MAX), ROWS);
    turn_log_delete_before(log, EVENING_MS + DAY_MS);
    assert_int_equal(read_rows(0, 0, 10, UINT64_MAX), ROWS - 9);
    turn_log_close(log);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        CASE(test_every_row_comes_back),
        CASE(test_numbers_go_on),
        CASE(test_a_torn_end_is_cut),
        CASE(test_old_days_are_deleted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
