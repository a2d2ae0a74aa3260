/* Findings, states and remarks in their file. */
#include "proxy/base/text.h"
#include "proxy/meter/finding_store.h"
#include "tests/support/remove_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { LAYOUT = 3, DAY_MS = 24 * 3600 * 1000 };

static char folder[64];
static struct error error;
static struct finding_store *store;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/assay-findings-XXXXXX");
    error_init(&error);
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    store = finding_store_open(folder, &error);
    return store == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    finding_store_close(store);
    error_done(&error);
    return remove_folder(folder);
}

static void reopen(void)
{
    finding_store_close(store);
    store = finding_store_open(folder, &error);
    assert_non_null(store);
}

static void test_states_come_back_as_they_were(void **state)
{
    char packed[64];
    uint64_t number = 0;

    (void)state;
    finding_store_save(store, UINT64_MAX, 41, LAYOUT, SPAN("one"));
    finding_store_save(store, UINT64_MAX, 42, LAYOUT, SPAN("another"));
    assert_true(finding_store_commit(store));
    reopen();
    assert_int_equal(finding_store_load(store, UINT64_MAX, LAYOUT, &number, packed,
                                        sizeof packed),
                     strlen("another"));
    assert_memory_equal(packed, "another", strlen("another"));
    assert_int_equal(number, 42);
    assert_int_equal(finding_store_load(store, UINT64_MAX, LAYOUT + 1, &number, packed,
                                        64),
                     0);
    assert_int_equal(finding_store_load(store, UINT64_MAX, LAYOUT, &number, packed, 3),
                     0);
    assert_int_equal(finding_store_load(store, 5, LAYOUT, &number, packed, 64), 0);
}

/* A byte of the file that changed is no state any more. */
static void test_a_damaged_state_is_none(void **state)
{
    char packed[600], path[128], text[600];
    uint64_t number;
    FILE *file;
    long at;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "needle", 6);
    finding_store_save(store, 1, 1, LAYOUT, span_of(text, sizeof text));
    assert_true(finding_store_commit(store) && finding_store_sync(store));
    finding_store_close(store);
    snprintf(path, sizeof path, "%s/findings.db", folder);
    file = fopen(path, "r+b");
    assert_non_null(file);
    for (at = 0; fseek(file, at, SEEK_SET) == 0 && fread(packed, 1, 6, file) == 6;
         at++) {
        if (memcmp(packed, "needle", 6) == 0) {
            assert_int_equal(fseek(file, at, SEEK_SET), 0);
            assert_int_equal(fputc('N', file), 'N');
        }
    }
    fclose(file);
    store = finding_store_open(folder, &error);
    assert_int_equal(finding_store_load(store, 1, LAYOUT, &number, packed, 600), 0);
}

/* ---- findings -------------------------------------------------------------------- */

static struct finding_row found_at(int64_t ms, double score)
{
    return (struct finding_row){ .identity = 9,
                                 .team = "platform",
                                 .caller = "ana",
                                 .first_ms = ms,
                                 .last_ms = ms,
                                 .expires_ms = ms + 90 * (int64_t)DAY_MS,
                                 .score = score,
                                 .threshold = 16,
                                 .evidence = "[]",
                                 .clears = "rest" };
}

struct seen {
    unsigned count;
    struct finding_row row;
    char clears[16];
};

static void see(void *self, const struct finding_row *row)
{
    struct seen *seen = self;

    seen->count++;
    seen->row = *row;
    (void)text_store(seen->clears, sizeof seen->clears, span_text(row->clears));
    assert_string_equal(row->caller, "ana");
}

static struct seen look(int64_t now_ms)
{
    const struct finding_query query = { .caller = "ana", .now_ms = now_ms };
    struct finding_store *reader = finding_store_read(folder, &error);
    struct seen seen = { .count = 0 };

    assert_non_null(reader);
    assert_true(finding_store_each(reader, &query, see, &seen, &error));
    finding_store_close(reader);
    return seen;
}

static void test_one_finding_stands_and_expires(void **state)
{
    struct finding_row first = found_at(1000, 17), again = found_at(5000, 16.5);

    (void)state;
    assert_true(finding_store_found(store, &first));
    assert_false(finding_store_found(store, &again));
    assert_true(finding_store_commit(store));
    assert_int_equal(look(6000).count, 1);
    assert_int_equal(look(6000).row.first_ms, 1000);
    assert_int_equal(look(6000).row.last_ms, 5000);
    assert_true(look(6000).row.score > 16.9);
    assert_int_equal(look(again.expires_ms).count, 0);
    finding_store_expire(store, again.expires_ms, 0);
    assert_true(finding_store_found(store, &(struct finding_row){
                                               .identity = 9,
                                               .team = "platform",
                                               .caller = "ana",
                                               .last_ms = again.expires_ms + 1,
                                               .expires_ms = again.expires_ms + 9,
                                               .evidence = "[]",
                                               .clears = "" }));
    assert_true(finding_store_commit(store));
}

static void test_what_clears_stays_unless_it_is_said_anew(void **state)
{
    struct finding_row row = found_at(1000, 17);

    (void)state;
    assert_false(finding_store_again(store, &row));
    assert_true(finding_store_found(store, &row));
    row.clears = NULL;
    assert_true(finding_store_again(store, &row) && finding_store_commit(store));
    assert_string_equal(look(2000).clears, "rest");
    row.clears = "days";
    assert_true(finding_store_again(store, &row) && finding_store_commit(store));
    assert_string_equal(look(2000).clears, "days");
}

static void count_remark(void *self, const struct remark_row *row)
{
    assert_string_equal(row->by, "ana");
    (*(unsigned *)self)++;
}

static void test_remarks_follow_one_another(void **state)
{
    struct remark_row remark = { 2000, "note", "ana", "a note" };
    struct finding_row row = found_at(1000, 17), later = found_at(9000, 30);
    unsigned remarks = 0;
    struct finding_store *reader;

    (void)state;
    assert_true(finding_store_found(store, &row) && finding_store_commit(store));
    assert_false(finding_store_changed(store));
    assert_true(finding_remark(folder, 1, &remark, &error));
    assert_true(finding_store_changed(store));
    assert_int_equal(look(3000).row.status, FINDING_OPEN);
    remark.kind = "appeal";
    assert_true(finding_remark(folder, 1, &remark, &error));
    assert_int_equal(look(3000).row.status, FINDING_APPEALED);
    remark.kind = "dismissal";
    assert_true(finding_remark(folder, 1, &remark, &error));
    remark.kind = "appeal";
    assert_true(finding_remark(folder, 1, &remark, &error));
    assert_int_equal(look(3000).row.status, FINDING_DISMISSED);
    /* What was dismissed takes in what comes, but does not live longer for it. */
    assert_false(finding_store_found(store, &later));
    assert_true(finding_store_commit(store));
    assert_int_equal(look(3000).row.expires_ms, row.expires_ms);
    reader = finding_store_read(folder, &error);
    assert_true(finding_store_remarks(reader, 1, count_remark, &remarks, &error));
    assert_int_equal(remarks, 4);
    finding_store_close(reader);
    finding_store_expire(store, row.expires_ms, 0);
    assert_true(finding_store_commit(store));
    remarks = 0;
    reader = finding_store_read(folder, &error);
    assert_true(finding_store_remarks(reader, 1, count_remark, &remarks, &error));
    assert_int_equal(remarks, 0);
    finding_store_close(reader);
}

/* ---- calibration ----------------------------------------------------------------- */

static void rate(uint64_t identity, double score, enum grade grade)
{
    finding_store_rate(store, &(struct suspect_row){ .identity = identity,
                                                     .team = "platform",
                                                     .caller = "somebody",
                                                     .grade = grade,
                                                     .score = score,
                                                     .turns = 20,
                                                     .seen_ms = 1000 });
}

static void test_calibration_leaves_one_in_a_hundred_above(void **state)
{
    struct finding_row bot = found_at(1000, 40);
    const struct remark_row dismissal = { 1, "dismissal", "auditor", "asked for" };
    uint64_t people;

    (void)state;
    assert_true(finding_store_calibration(store, &people) < .1);
    for (uint64_t i = 1; i <= 200; i++) {
        rate(i, (double)i / 20, GRADE_CLEAR); /* .05 to 10 */
    }
    rate(500, 50, GRADE_DECLARED);
    assert_true(finding_store_commit(store));
    /* ceil(201 * .99) = 199: the 199th of 200. */
    assert_int_equal((int)(finding_store_calibration(store, &people) * 100 + .5), 995);
    assert_int_equal(people, 200);
    rate(9, 40, GRADE_FLAGGED);
    assert_true(finding_store_found(store, &bot) && finding_store_commit(store));
    (void)finding_store_calibration(store, &people);
    assert_int_equal(people, 199);
    assert_true(finding_remark(folder, 1, &dismissal, &error));
    (void)finding_store_calibration(store, &people);
    assert_int_equal(people, 200);
}

static void test_others_cannot_read_it(void **state)
{
    struct stat info;
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s/findings.db", folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 077, 0);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_states_come_back_as_they_were),
        CASE(test_a_damaged_state_is_none),
        CASE(test_one_finding_stands_and_expires),
        CASE(test_what_clears_stays_unless_it_is_said_anew),
        CASE(test_remarks_follow_one_another),
        CASE(test_calibration_leaves_one_in_a_hundred_above),
        CASE(test_others_cannot_read_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
