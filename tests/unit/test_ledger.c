#include "proxy/base/clock.h"
#include "proxy/base/fault.h"
#include "proxy/meter/ledger.h"
#include "tests/support/line_room.h"
#include "tests/support/remove_folder.h"

#include <sqlite3.h>

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* 2026-03-04T05:06:07.089Z */
static const uint64_t some_time = UINT64_C(1772600767089) * NS_PER_MS;

static char folder[] = "/tmp/test_ledger.XXXXXX";

static int folder_make(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int folder_remove(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static void assert_no_error(struct error *error)
{
    error_print(error, stderr);
    assert_false(error_any(error));
}

static struct journal *must_open_journal(uint32_t slots)
{
    struct error error = { 0 };
    struct journal *journal = journal_open(folder, 0, slots, &error);

    assert_no_error(&error);
    return journal;
}

static struct ledger *must_open_ledger(void)
{
    struct error error = { 0 };
    struct ledger *ledger = ledger_open(folder, NULL, &error);

    assert_no_error(&error);
    return ledger;
}

static void must_recover(struct ledger *ledger, struct journal *journal)
{
    struct error error = { 0 };

    assert_true(ledger_recover(ledger, journal, &error));
    assert_no_error(&error);
}

static void must_start(struct ledger *ledger, struct journal *journal,
                       void (*written)(void *, const struct entry *), void *self)
{
    struct error error = { 0 };

    assert_true(ledger_start(ledger, &journal, 1, written, self, &error));
    assert_no_error(&error);
}

#define STORE(entry, field, text)                                                      \
    text_store((entry)->field, sizeof(entry)->field, SPAN(text))

/* As many as there is room for, of every kind. */
static void add_lines(struct entry *entry, uint64_t n)
{
    for (unsigned i = 0; i < LINES_MAX; i++) {
        struct line *line = &entry->lines[entry->line_count++];

        *line = (struct line){ .usage.reported_nanousd = -1 };
        usage_set(&line->usage, TOKENS_OUTPUT, n + i);
        line->kind = (uint8_t)((n / 10 + i) % LINE_KINDS);
        line->within = i % 2 != 0;
        line->priced = i != 2;
        line->cost_nanousd = line->priced ? (int64_t)i : 0;
        if (i != 3) {
            text_store(line->model, sizeof line->model, SPAN("gpt-image-1"));
        }
    }
}

static void fill(struct entry *entry, uint64_t n)
{
    entry->started_ns = entry_id_time(entry->id) - n * 1000 * NS_PER_US;
    entry->duration_us = 1000 * n + 7;
    entry->ttfb_us = n;
    entry->request_bytes = 10 * n;
    entry->reserved_input = 10 * n;
    entry->reserved_output = 11 * n;
    entry->response_bytes = UINT64_MAX - 1; /* more than the ledger can hold */
    entry->retry = (uint32_t)n % 3;
    entry->status = 200;
    entry->stream = n % 2 == 0;
    entry->priced = n % 4 != 0;
    entry->cost_nanousd = entry->priced ? (int64_t)(n * 1000) : 0;
    entry->outcome = n % 5 == 0 ? OUTCOME_CLIENT_ABORT : OUTCOME_COMPLETE;
    entry->fault = n % 5 == 0 ? FAULT_CLIENT_GONE : FAULT_NONE;
    entry->usage.source = n % 5 == 0 ? USAGE_PARTIAL : USAGE_REPORTED;
    entry->usage.flags = n % 5 == 0 ? USAGE_ANOMALY : 0;
    usage_set(&entry->usage, TOKENS_INPUT, n);
    usage_set(&entry->usage, TOKENS_OUTPUT, 0);
    if (n % 3 == 0) {
        usage_set(&entry->usage, TOKENS_CACHE_WRITE, 2 * n);
        entry->usage.cache_write[LIFETIME_1H] = 2 * n;
        entry->usage.known_lifetimes = 1 << LIFETIME_1H;
        entry->usage.modality[MODALITY_OUTPUT_REJECTED] = n;
        entry->usage.known_modalities = 1 << MODALITY_OUTPUT_REJECTED;
        entry->usage.reported_nanousd = 0;
    }
    if (n % 4 == 0) {
        entry->usage.known_modalities |= 1 << MODALITY_INPUT_AUDIO; /* and it is 0 */
        entry->usage.known_lifetimes |= 1 << LIFETIME_5M;
    }
    if (n % 7 == 0) {
        entry->usage.web_searches = UINT64_MAX; /* more than the ledger can hold */
        entry->usage.audio_ms = 8 * n;
        entry->usage.billed_input = 9 * n;
        entry->usage.billed_output = 1;
    }
    if (n % 2 == 0) {
        STORE(entry, team, "red");
        STORE(entry, request_model, "gpt-4o");
    } else {
        STORE(entry, team, "blue");
        STORE(entry, caller, "'; DROP TABLE exchange; --");
        STORE(entry, request_model, "gpt-4o");
        STORE(entry, response_model, "gpt-4o-2024-08-06");
    }
    STORE(entry, service_tier, "0123456789abcde");
    STORE(entry, tags, "ci,nightly");
    entry->service = 1;
    entry->grade = (uint8_t)(n % GRADES);
    entry->turn = (uint8_t)(n % TURN_CLASSES);
    entry->input_text_bytes = 4 * n;
    entry->output_text_bytes = 5 * n;
    entry->local_input = n % 6 == 0 ? 6 * n : 0;
    entry->local_output = n % 6 == 0 ? 7 * n : 0;
    entry->object = n % 2 == 0 ? n : 0;
    if (n % 10 == 0) {
        add_lines(entry, n);
    }
}

static void settle_some(struct journal *journal, uint64_t first, uint64_t count)
{
    for (uint64_t n = first; n < first + count; n++) {
        struct entry *entry = journal_take(journal, some_time + n * NS_PER_S);

        assert_non_null(entry);
        fill(entry, n);
        journal_settle(journal, entry);
    }
}

/* A ledger that holds entries 1 to `count`. */
static void make_ledger(uint64_t count)
{
    struct journal *journal = must_open_journal(256);
    struct ledger *ledger = must_open_ledger();

    must_start(ledger, journal, NULL, NULL);
    settle_some(journal, 1, count);
    ledger_stop(ledger);
    assert_int_equal(journal_in_use(journal), 0);
    ledger_close(ledger);
    journal_close(journal);
}

/* ---- reading back ---------------------------------------------------------------- */

struct read_back {
    uint64_t count, first, last;
    uint64_t stop_after;
    bool newest_first;
};

static bool check_entry(void *self, const struct entry *entry)
{
    struct read_back *read = self;
    struct entry wanted = { .id = entry->id,
                            .usage.reported_nanousd = -1,
                            .lines = line_room() };
    uint64_t n = (entry_id_time(entry->id) - some_time) / NS_PER_S;

    fill(&wanted, n);
    wanted.response_bytes = INT64_MAX;
    if (wanted.usage.web_searches > INT64_MAX) {
        wanted.usage.web_searches = INT64_MAX;
    }
    assert_true(same_entry(&wanted, entry));
    assert_true(read->count == 0 || (n > read->last) != read->newest_first);
    read->first = read->count == 0 ? n : read->first;
    read->last = n;
    return ++read->count != read->stop_after;
}

static struct read_back read_all(struct ledger_query query, uint64_t stop_after)
{
    struct read_back read = { .stop_after = stop_after,
                              .newest_first = query.newest_first };
    struct error error = { 0 };

    assert_true(ledger_each(folder, &query, check_entry, &read, &error));
    assert_no_error(&error);
    return read;
}

static void test_round_trip(void **state)
{
    struct read_back read;

    (void)state;
    make_ledger(100);
    read = read_all((struct ledger_query){ 0 }, 0);
    assert_int_equal(read.count, 100);
    read = read_all((struct ledger_query){ 0 }, 7);
    assert_int_equal(read.count, 7);
    read = read_all((struct ledger_query){ .since_ns =
                                               some_time + 10 * UINT64_C(1000000000),
                                           .until_ns =
                                               some_time + 20 * UINT64_C(1000000000) },
                    0);
    assert_int_equal(read.first, 10);
    assert_int_equal(read.last, 19);
    read = read_all((struct ledger_query){ .after_id = entry_id_at(
                                               some_time + 90 * UINT64_C(1000000000)) },
                    0);
    assert_int_equal(read.first, 91);
    assert_int_equal(read.last, 100);
}

static void test_newest_first(void **state)
{
    struct read_back read;

    (void)state;
    make_ledger(100);
    read = read_all((struct ledger_query){ .newest_first = true }, 0);
    assert_int_equal(read.count, 100);
    assert_int_equal(read.first, 100);
    assert_int_equal(read.last, 1);
    read = read_all((struct ledger_query){ .newest_first = true }, 7);
    assert_int_equal(read.last, 94);
}

/* Every number of entries is written, whether in whole statements or not. */
static void test_batches(void **state)
{
    struct journal *journal = must_open_journal(256);
    struct ledger *ledger = must_open_ledger();
    uint64_t count = 0;

    (void)state;
    for (uint64_t size = 1; size < 20; size++) {
        settle_some(journal, count + 1, size);
        count += size;
        must_start(ledger, journal, NULL, NULL);
        ledger_stop(ledger);
    }
    ledger_close(ledger);
    journal_close(journal);
    assert_int_equal(read_all((struct ledger_query){ 0 }, 0).count, count);
    assert_int_equal(read_all((struct ledger_query){ .objects = true }, 0).count,
                     count / 2);
}

static void test_empty_and_absent(void **state)
{
    struct ledger_query all = { 0 };
    struct read_back read = { 0 };
    struct error error = { 0 };

    (void)state;
    assert_false(ledger_each(folder, &all, check_entry, &read, &error));
    assert_int_equal(error.count, 1);
    error_done(&error);
    ledger_close(must_open_ledger());
    assert_int_equal(read_all(all, 0).count, 0);
}

/* ---- what is kept no longer ------------------------------------------------------ */

static int64_t counted(const char *sql)
{
    char path[64];
    sqlite3 *sqlite = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t count;

    snprintf(path, sizeof path, "%s/ledger.db", folder);
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(sqlite);
    return count;
}

/* All that make_ledger() writes is past its time but for the last, which is of now. */
static void test_retention(void **state)
{
    uint64_t days = (clock_unix_ns() - some_time) / NS_PER_S / 86400;
    struct journal *journal;
    struct ledger *ledger;
    struct entry *entry;

    (void)state;
    make_ledger(240);
    assert_true(counted("SELECT count(*) FROM line") > 20);
    journal = must_open_journal(256);
    ledger = must_open_ledger();
    entry = journal_take(journal, clock_unix_ns());
    assert_non_null(entry);
    STORE(entry, caller, "the last");
    journal_settle(journal, entry);
    must_start(ledger, journal, NULL, NULL);
    for (int i = 0; i < 1200 && counted("SELECT count(*) FROM exchange") < 241; i++) {
        usleep(50 * 1000);
    }
    assert_int_equal(counted("SELECT count(*) FROM exchange"), 241);
    ledger_keep(ledger, (uint32_t)days - 1);
    for (int i = 0; i < 1200 && counted("SELECT count(*) FROM label") > 1; i++) {
        usleep(50 * 1000);
    }
    assert_int_equal(counted("SELECT count(*) FROM exchange"), 1);
    assert_int_equal(counted("SELECT count(*) FROM line"), 0);
    assert_int_equal(counted("SELECT count(*) FROM object"), 0);
    assert_int_equal(counted("SELECT count(*) FROM label WHERE caller = 'the last'"),
                     1);
    assert_int_equal(counted("SELECT count(*) FROM label"), 1);
    /* Names are written anew where they went. */
    settle_some(journal, 3000000, 2);
    ledger_stop(ledger);
    assert_int_equal(counted("SELECT count(*) FROM exchanges WHERE team = 'red'"), 1);
    ledger_close(ledger);
    journal_close(journal);
}

/* ---- sums ------------------------------------------------------------------------ */

struct sums {
    size_t count;
    struct ledger_sum rows[16];
    char words[16][64];
};

static void keep_sum(void *self, const struct ledger_sum *sum)
{
    struct sums *sums = self;

    assert_in_range(sums->count, 0, 15);
    snprintf(sums->words[sums->count], 64, "%s|%s|%s|%s|%s", sum->team, sum->model,
             sum->outcome, sum->source, sum->day);
    sums->rows[sums->count++] = *sum;
}

static struct sums sum_by(unsigned by)
{
    struct ledger_query all = { 0 };
    struct error error = { 0 };
    struct sums sums = { 0 };

    assert_true(ledger_sums(folder, &all, by, keep_sum, &sums, &error));
    assert_no_error(&error);
    return sums;
}

static void test_sums(void **state)
{
    struct sums sums;

    (void)state;
    make_ledger(8);
    sums = sum_by(0);
    assert_int_equal(sums.count, 1);
    assert_int_equal(sums.rows[0].exchanges, 8);
    assert_int_equal(sums.rows[0].unpriced, 2);
    assert_int_equal(sums.rows[0].unpriced_tokens, 4 + 8);
    assert_int_equal(sums.rows[0].not_reported, 1);
    assert_int_equal(sums.rows[0].cost_nanousd, (1 + 2 + 3 + 5 + 6 + 7) * 1000);
    assert_int_equal(sums.rows[0].tokens[TOKENS_INPUT], 36);
    assert_int_equal(sums.rows[0].tokens[TOKENS_CACHE_WRITE], 18);
    assert_string_equal(sums.words[0], "||||");

    sums = sum_by(LEDGER_BY_TEAM | LEDGER_BY_MODEL);
    assert_int_equal(sums.count, 2);
    assert_string_equal(sums.words[0], "blue|gpt-4o-2024-08-06|||");
    assert_int_equal(sums.rows[0].cost_nanousd, 16000);
    assert_string_equal(sums.words[1], "red|gpt-4o|||");

    sums = sum_by(LEDGER_BY_DAY | LEDGER_BY_SOURCE | LEDGER_BY_OUTCOME);
    assert_int_equal(sums.count, 2);
    assert_string_equal(sums.words[0], "||complete|reported|2026-03-04");
    assert_string_equal(sums.words[1], "||client_abort|partial|2026-03-04");
}

/* A line is billed at its own model, and what the main usage has of it only there. */
static void test_sums_with_lines(void **state)
{
    struct journal *journal = must_open_journal(16);
    struct ledger *ledger = must_open_ledger();
    struct entry *entry = journal_take(journal, some_time);
    struct sums sums;

    (void)state;
    must_start(ledger, journal, NULL, NULL);
    entry->started_ns = some_time;
    usage_set(&entry->usage, TOKENS_OUTPUT, 100);
    STORE(entry, response_model, "compound");
    entry->priced = 1;
    entry->cost_nanousd = 500;
    entry->line_count = 2;
    entry->lines[0] = (struct line){ .priced = 1, .cost_nanousd = 30, .within = 1 };
    usage_set(&entry->lines[0].usage, TOKENS_OUTPUT, 60);
    STORE(&entry->lines[0], model, "llama");
    entry->lines[1] = (struct line){ .kind = LINE_ADVISOR };
    usage_set(&entry->lines[1].usage, TOKENS_OUTPUT, 7);
    STORE(&entry->lines[1], model, "opus");
    journal_settle(journal, entry);
    ledger_close(ledger);
    journal_close(journal);

    sums = sum_by(0);
    assert_int_equal(sums.count, 1);
    assert_int_equal(sums.rows[0].exchanges, 1);
    assert_int_equal(sums.rows[0].tokens[TOKENS_OUTPUT], 107);
    assert_int_equal(sums.rows[0].unpriced_tokens, 7);
    assert_int_equal(sums.rows[0].cost_nanousd, 530);
    sums = sum_by(LEDGER_BY_MODEL | LEDGER_BY_DAY);
    assert_int_equal(sums.count, 3);
    assert_string_equal(sums.words[0], "|compound|||2026-03-04");
    assert_int_equal(sums.rows[0].tokens[TOKENS_OUTPUT], 40);
    assert_string_equal(sums.words[1], "|llama|||2026-03-04");
    assert_int_equal(sums.rows[1].tokens[TOKENS_OUTPUT], 60);
    assert_int_equal(sums.rows[1].exchanges, 0);
    assert_string_equal(sums.words[2], "|opus|||2026-03-04");
    assert_int_equal(sums.rows[2].unpriced_tokens, 7);
}

static void test_errors_of_the_provider_are_not_incomplete(void **state)
{
    static const struct {
        uint16_t status;
        enum outcome outcome;
    } calls[] = { { 429, OUTCOME_COMPLETE },
                  { 500, OUTCOME_COMPLETE },
                  { 502, OUTCOME_UPSTREAM_CUT }, /* it may have charged before */
                  { 200, OUTCOME_COMPLETE } };
    struct journal *journal = must_open_journal(16);
    struct ledger *ledger = must_open_ledger();

    (void)state;
    must_start(ledger, journal, NULL, NULL);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct entry *entry = journal_take(journal, some_time);

        entry->status = calls[i].status;
        entry->outcome = (uint8_t)calls[i].outcome;
        journal_settle(journal, entry);
    }
    ledger_close(ledger);
    journal_close(journal);
    assert_int_equal(sum_by(0).rows[0].not_reported, 2);
}

static void test_absurd_counts(void **state)
{
    struct journal *journal = must_open_journal(16);
    struct ledger *ledger = must_open_ledger();
    struct sums sums;

    (void)state;
    must_start(ledger, journal, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        struct entry *entry = journal_take(journal, some_time);

        usage_set(&entry->usage, TOKENS_INPUT, UINT64_MAX);
        usage_set(&entry->usage, TOKENS_OUTPUT, UINT64_MAX);
        journal_settle(journal, entry);
    }
    ledger_close(ledger);
    journal_close(journal);
    sums = sum_by(LEDGER_BY_TEAM);
    assert_int_equal(sums.rows[0].exchanges, 3);
    assert_int_equal(sums.rows[0].tokens[TOKENS_INPUT], INT64_MAX);
    assert_int_equal(sums.rows[0].unpriced_tokens, INT64_MAX);
}

/* ---- for people ------------------------------------------------------------------ */

static sqlite3_stmt *query_sql(sqlite3 **sqlite, const char *sql)
{
    sqlite3_stmt *statement;
    char path[256];

    snprintf(path, sizeof path, "%s/ledger.db", folder);
    assert_int_equal(sqlite3_open(path, sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(*sqlite, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_step(statement);
    return statement;
}

static void end_sql(sqlite3 *sqlite, sqlite3_stmt *statement)
{
    sqlite3_finalize(statement);
    sqlite3_close(sqlite);
}

static void test_view(void **state)
{
    sqlite3 *sqlite;
    sqlite3_stmt *row;
    char id[ENTRY_ID_SIZE];

    (void)state;
    make_ledger(1);
    row = query_sql(&sqlite,
                    "SELECT id, time, team, outcome, cost_usd, fault FROM exchanges");
    entry_id_text(entry_id_at(some_time + NS_PER_S), id);
    assert_string_equal((const char *)sqlite3_column_text(row, 0), id);
    assert_string_equal((const char *)sqlite3_column_text(row, 1),
                        "2026-03-04T05:06:08.088Z");
    assert_string_equal((const char *)sqlite3_column_text(row, 2), "blue");
    assert_string_equal((const char *)sqlite3_column_text(row, 3), "complete");
    assert_true(sqlite3_column_double(row, 4) > 0.99e-6);
    assert_int_equal(sqlite3_column_type(row, 5), SQLITE_NULL);
    end_sql(sqlite, row);
}

/* A number that few calls have is shown like any other, and an unknown one is no 0. */
static void test_rare_for_people(void **state)
{
    (void)state;
    make_ledger(24);
    assert_int_equal(counted("SELECT audio_ms FROM exchanges WHERE request_bytes = 70"),
                     56);
    assert_int_equal(counted("SELECT count(*) FROM exchanges WHERE audio_ms = 0"), 21);
    assert_int_equal(counted("SELECT sum(cache_write_1h) FROM exchanges"),
                     2 * (3 + 6 + 9 + 12 + 15 + 18 + 21 + 24));
    assert_int_equal(counted("SELECT count(*) FROM exchanges WHERE input_audio = 0"),
                     6);
    assert_int_equal(counted(
                         "SELECT count(*) FROM exchanges WHERE input_audio IS NULL"),
                     18);
    assert_int_equal(counted("SELECT count(*) FROM exchanges WHERE object = 4"), 1);
    assert_int_equal(counted("SELECT count(*) FROM exchanges WHERE object = 0"), 12);
    assert_int_equal(counted("SELECT count(reported_nanousd) FROM exchanges"), 8);
}

static void must_not_open(const char *words)
{
    struct error error = { 0 };

    assert_null(ledger_open(folder, NULL, &error));
    assert_int_equal(error.count, 1);
    assert_non_null(strstr(error.entries[0].words, words));
    error_done(&error);
}

static void test_newer_schema(void **state)
{
    sqlite3 *sqlite;
    sqlite3_stmt *row;

    (void)state;
    make_ledger(1);
    row = query_sql(&sqlite, "PRAGMA user_version = 5");
    end_sql(sqlite, row);
    must_not_open("newer version of assay (schema 5");
}

static void test_foreign_database(void **state)
{
    sqlite3 *sqlite;
    sqlite3_stmt *row;

    (void)state;
    row = query_sql(&sqlite, "CREATE TABLE t (x)");
    end_sql(sqlite, row);
    must_not_open("another program");
}

/* ---- exactly once ---------------------------------------------------------------- */

static void test_recovery_repeated(void **state)
{
    struct journal *journal = must_open_journal(32);
    struct ledger *ledger = must_open_ledger();
    struct entry *open;

    (void)state;
    settle_some(journal, 1, 10);
    open = journal_take(journal, some_time + UINT64_C(11) * NS_PER_S);
    fill(open, 11);
    journal_close(journal);
    for (int i = 0; i < 3; i++) {
        struct error error = { 0 };

        /* Written, but the slots are not given back: killed in between. */
        journal = must_open_journal(32);
        assert_true(ledger_recover(ledger, journal, &error));
        if (i < 2) {
            journal_close(journal);
            continue;
        }
    }
    assert_int_equal(journal_in_use(journal), 0);
    journal_close(journal);
    ledger_close(ledger);
    assert_int_equal(sum_by(0).rows[0].exchanges, 11);
    assert_int_equal(sum_by(LEDGER_BY_OUTCOME).count, 3);
}

struct told {
    _Atomic uint64_t taken, settled, written;
};

static void count_written(void *self, const struct entry *entry)
{
    struct told *told = self;

    (void)entry;
    told->written++;
}

static void work_until_killed(struct told *told)
{
    struct error error = { 0 };
    struct journal *journal = journal_open(folder, 0, 64, &error);
    struct ledger *ledger = ledger_open(folder, NULL, &error);

    if (journal == NULL || ledger == NULL || !ledger_recover(ledger, journal, &error) ||
        !ledger_start(ledger, &journal, 1, count_written, told, &error)) {
        error_print(&error, stderr);
        _exit(1);
    }
    for (;;) {
        struct entry *entry = journal_take(journal, some_time);

        if (entry == NULL) {
            usleep(100);
            continue;
        }
        told->taken++;
        usage_set(&entry->usage, TOKENS_INPUT, 1);
        journal_settle(journal, entry);
        told->settled++;
    }
}

static void test_kill(void **state)
{
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct journal *journal;
    struct ledger *ledger;
    struct ledger_sum sum;

    (void)state;
    assert_ptr_not_equal(told, MAP_FAILED);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t before = told->taken;
        pid_t child = fork();

        if (child == 0) {
            work_until_killed(told);
        }
        while (told->taken == before && waitpid(child, NULL, WNOHANG) == 0) {
            usleep(100);
        }
        usleep((i * 7919) % 60000);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    journal = must_open_journal(64);
    ledger = must_open_ledger();
    must_recover(ledger, journal);
    journal_close(journal);
    ledger_close(ledger);
    sum = sum_by(0).rows[0];
    /* Each kill may come between a take or settle and its count. */
    assert_in_range(sum.exchanges, told->taken, told->taken + 20);
    assert_in_range(sum.tokens[TOKENS_INPUT], told->settled, told->settled + 20);
    assert_true(told->written <= sum.exchanges);
    munmap(told, sizeof *told);
}

/* ---- a full disk ----------------------------------------------------------------- */

/* A file system of 1 MiB over the folder, for this process alone. */
static bool small_disk(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("small", folder, "tmpfs", 0, "size=1m") == 0;
}

static void fill_disk(bool full)
{
    char path[256], block[4096] = { 0 };
    FILE *file;

    snprintf(path, sizeof path, "%s/ballast", folder);
    unlink(path);
    if (full) {
        file = fopen(path, "w");
        setbuf(file, NULL);
        while (fwrite(block, sizeof block, 1, file) == 1) {
        }
        fclose(file);
    }
}

static bool wait_for(struct ledger *ledger, struct journal *journal, bool healthy)
{
    for (int i = 0; i < 6000; i++) {
        if (ledger_healthy(ledger) == healthy &&
            (!healthy || journal_in_use(journal) == 0)) {
            return true;
        }
        usleep(10000);
    }
    return false;
}

/* In a child, because it cannot leave its mount namespace. Exit status: what failed. */
static int fill_the_disk(void)
{
    struct error error = { 0 };
    struct journal *journal;
    struct ledger *ledger;

    if (!small_disk()) {
        return 77;
    }
    journal = journal_open(folder, 0, 256, &error);
    ledger = ledger_open(folder, NULL, &error);
    if (journal == NULL || ledger == NULL ||
        !ledger_start(ledger, &journal, 1, NULL, NULL, &error)) {
        return 1;
    }
    settle_some(journal, 1, 20);
    if (!wait_for(ledger, journal, true)) {
        return 2;
    }
    fill_disk(true);
    settle_some(journal, 21, 200);
    if (!wait_for(ledger, journal, false)) {
        return 3;
    }
    if (journal_in_use(journal) != 200) {
        return 4;
    }
    fill_disk(false);
    if (!wait_for(ledger, journal, true)) {
        return 5;
    }
    ledger_close(ledger);
    return sum_by(0).rows[0].exchanges == 220 ? 0 : 6;
}

static void test_full_disk(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        _exit(fill_the_disk());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("needs the right to mount a small file system\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define IN_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_round_trip),
        IN_FOLDER(test_newest_first),
        IN_FOLDER(test_batches),
        IN_FOLDER(test_rare_for_people),
        IN_FOLDER(test_empty_and_absent),
        IN_FOLDER(test_retention),
        IN_FOLDER(test_sums),
        IN_FOLDER(test_sums_with_lines),
        IN_FOLDER(test_errors_of_the_provider_are_not_incomplete),
        IN_FOLDER(test_absurd_counts),
        IN_FOLDER(test_view),
        IN_FOLDER(test_newer_schema),
        IN_FOLDER(test_foreign_database),
        IN_FOLDER(test_recovery_repeated),
        IN_FOLDER(test_kill),
        IN_FOLDER(test_full_disk),
    };

    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
