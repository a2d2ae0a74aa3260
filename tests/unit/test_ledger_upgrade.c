#include "proxy/meter/ledger.h"
#include "proxy/meter/ledger_upgrade.c"
#include "tests/support/line_room.h"
#include "tests/support/remove_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* tests/unit/ledgers/schema_N.sql: what assay of that time had written for 24 calls, as
 * `sqlite3 ledger.db .dump` shows it, and the numbers of the file's header. A new
 * schema brings one for itself, and a step that leads to it. */
#define LEDGERS "tests/unit/ledgers/"

enum { CALLS = 24, TEXT_SIZE = 32 * 1024 };

static char folder[40], path[80];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_ledger_upgrade.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/ledger.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static void run_sql(sqlite3 *sqlite, const char *statement)
{
    if (sqlite3_exec(sqlite, statement, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %.200s", sqlite3_errmsg(sqlite), statement);
    }
}

/* The first column of the first row; lives until it is called again. */
static const char *first(sqlite3 *sqlite, const char *query)
{
    static char text[TEXT_SIZE];
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(sqlite, query, -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    snprintf(text, sizeof text, "%s", database_text(statement, 0));
    sqlite3_finalize(statement);
    return text;
}

/* Ledger of a schema in the test's folder. */
static sqlite3 *ledger_of(int schema)
{
    static char dump[TEXT_SIZE];
    char name[60];
    sqlite3 *sqlite;
    FILE *file;

    snprintf(name, sizeof name, LEDGERS "schema_%d.sql", schema);
    file = fopen(name, "r");
    assert_non_null(file);
    dump[fread(dump, 1, sizeof dump - 1, file)] = '\0';
    fclose(file);
    unlink(path);
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    run_sql(sqlite, dump);
    return sqlite;
}

static void must_upgrade(void (*tell)(const char *words))
{
    struct error error = { 0 };
    struct ledger *ledger = ledger_open(folder, tell, &error);

    error_print(&error, stderr);
    assert_non_null(ledger);
    ledger_close(ledger);
}

/* ---- tables ---------------------------------------------------------------------- */

/* Tables and their columns, in no order: steps add theirs at the end. */
static void shape(sqlite3 *sqlite, char text[TEXT_SIZE])
{
    static const char query[] =
        "SELECT group_concat(word, char(10)) FROM (SELECT m.name || '.' || i.name || "
        "' ' || i.type || ' ' || i.pk AS word FROM sqlite_schema m, "
        "pragma_table_info(m.name) i WHERE m.type = 'table' ORDER BY word)";

    snprintf(text, TEXT_SIZE, "%s", first(sqlite, query));
    sqlite3_close(sqlite);
}

/* A step makes what assay of that time made, whatever the tables of today are. */
static void test_steps(void **state)
{
    static char made[TEXT_SIZE], next[TEXT_SIZE];

    (void)state;
    for (int schema = 1; schema < LEDGER_SCHEMA; schema++) {
        sqlite3 *sqlite = ledger_of(schema);

        assert_true(database_run_all(sqlite, steps[schema]));
        shape(sqlite, made);
        shape(ledger_of(schema + 1), next);
        assert_string_equal(made, next);
    }
}

/* Who changes ledger_column.def makes a new schema. */
static void test_tables_of_today(void **state)
{
    static char made[TEXT_SIZE], kept[TEXT_SIZE];
    sqlite3 *sqlite;

    (void)state;
    must_upgrade(NULL);
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    shape(sqlite, made);
    shape(ledger_of(LEDGER_SCHEMA), kept);
    assert_string_equal(made, kept);
}

/* ---- rows ------------------------------------------------------------------------ */

/* What the view showed of each call before: every column that there was. */
static void keep_shown(sqlite3 *sqlite)
{
    run_sql(sqlite, "CREATE TABLE shown AS SELECT * FROM exchanges");
    sqlite3_close(sqlite);
}

static void assert_shown_as_before(void)
{
    char columns[TEXT_SIZE / 8], query[TEXT_SIZE];
    sqlite3 *sqlite;

    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    snprintf(columns, sizeof columns, "%s",
             first(sqlite,
                   "SELECT group_concat(name) FROM pragma_table_info('shown')"));
    snprintf(query, sizeof query,
             "SELECT count(*) FROM (SELECT %s FROM shown INTERSECT "
             "SELECT %s FROM exchanges)",
             columns, columns);
    assert_int_equal(atoi(first(sqlite, query)), CALLS);
    assert_int_equal(atoi(first(sqlite, "SELECT count(*) FROM exchanges")), CALLS);
    sqlite3_close(sqlite);
}

static void test_rows(void **state)
{
    (void)state;
    for (int schema = 1; schema <= LEDGER_SCHEMA; schema++) {
        keep_shown(ledger_of(schema));
        must_upgrade(NULL);
        assert_shown_as_before();
    }
}

/* ---- use ------------------------------------------------------------------------- */

static bool count_entry(void *self, const struct entry *entry)
{
    uint64_t *count = self;

    if (++*count <= CALLS) {
        assert_int_equal(entry->usage.tokens[TOKENS_INPUT], *count);
        assert_int_equal(entry->request_bytes, 10 * *count);
        assert_int_equal(entry->retry, *count % 3);
        assert_int_equal(entry->usage.cache_write[LIFETIME_1H],
                         *count % 3 == 0 ? 2 * *count : 0);
        assert_int_equal(entry->usage.reported_nanousd, *count % 3 == 0 ? 0 : -1);
    }
    return true;
}

static void add_call(void)
{
    struct error error = { 0 };
    struct journal *journal = journal_open(folder, 0, 8, &error);
    struct ledger *ledger = ledger_open(folder, NULL, &error);
    struct entry *entry;

    assert_non_null(journal);
    assert_true(ledger_start(ledger, &journal, 1, NULL, NULL, &error));
    entry = journal_take(journal, clock_unix_ns());
    assert_non_null(entry);
    journal_settle(journal, entry);
    ledger_close(ledger);
    journal_close(journal);
}

/* It is read and written like one of today. */
static void test_use(void **state)
{
    const struct ledger_query all = { 0 };

    (void)state;
    for (int schema = 1; schema < LEDGER_SCHEMA; schema++) {
        struct error error = { 0 };
        uint64_t count = 0;

        sqlite3_close(ledger_of(schema));
        assert_false(ledger_each(folder, &all, NULL, NULL, &error));
        assert_non_null(strstr(error.entries[0].words, "older version"));
        error_done(&error);
        add_call();
        assert_true(ledger_each(folder, &all, count_entry, &count, &error));
        assert_int_equal(count, CALLS + 1);
    }
}

/* ---- room ------------------------------------------------------------------------ */

static const char many_calls[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
    "INSERT INTO exchange SELECT id + (i << 33), label, lead_us, duration_us, ttfb_us, "
    "ttft_us, overhead_us, request_bytes, response_bytes, events, max_output, retry, "
    "web_searches, audio_ms, billed_input, billed_output, reserved_input, "
    "reserved_output, input_text_bytes, output_text_bytes, local_input, local_output, "
    "object, input, cache_read, cache_write, output, reasoning, cache_write_5m, "
    "cache_write_30m, cache_write_1h, cache_write_12h, input_text, input_audio, "
    "input_image, input_video, input_document, output_audio, output_image, "
    "output_rejected, cost_nanousd, reported_nanousd "
    "FROM (SELECT * FROM exchange ORDER BY id LIMIT 1), n";

static long file_size(void)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return (long)status.st_size;
}

/* The file is not larger than before. */
static void test_room_is_given_back(void **state)
{
    sqlite3 *sqlite = ledger_of(3);
    long size;

    (void)state;
    run_sql(sqlite, many_calls);
    sqlite3_close(sqlite);
    size = file_size();
    must_upgrade(NULL);
    assert_in_range(file_size(), size / 2, size);
}

/* Where it cannot be given back, the ledger is upgraded all the same. */
static void test_room_is_kept(void **state)
{
    sqlite3 *sqlite = ledger_of(3), *other;

    (void)state;
    run_sql(sqlite, many_calls);
    assert_true(take_steps(sqlite, 3));
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    run_sql(other, "BEGIN IMMEDIATE");
    assert_false(give_back(sqlite));
    sqlite3_close(other);
    assert_true(atoi(first(sqlite, "PRAGMA freelist_count")) > 10);
    assert_int_equal(atoi(first(sqlite, "SELECT count(*) FROM exchanges")), 2024);
    sqlite3_close(sqlite);
    must_upgrade(NULL);
}

/* ---- what people are told -------------------------------------------------------- */

static unsigned told;
static char last_told[200];

static void note(const char *words)
{
    told++;
    snprintf(last_told, sizeof last_told, "%s", words);
}

static void test_told(void **state)
{
    (void)state;
    sqlite3_close(ledger_of(LEDGER_SCHEMA - 1));
    told = 0;
    must_upgrade(note);
    assert_int_equal(told, 2);
    assert_non_null(strstr(last_told, "is rewritten, in 0 s"));
    must_upgrade(note);
    assert_int_equal(told, 2);
}

static void test_told_now_and_then(void **state)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct telling telling = { note, now_ns - UINT64_C(25) * NS_PER_S, now_ns };

    (void)state;
    told = 0;
    assert_int_equal(tell_now_and_then(&telling), 0);
    assert_int_equal(told, 0);
    telling.told_ns -= UINT64_C(10) * NS_PER_S;
    tell_now_and_then(&telling);
    tell_now_and_then(&telling);
    assert_int_equal(told, 1);
    assert_non_null(strstr(last_told, ": 25 s so far"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_steps),
        IN_FOLDER(test_tables_of_today),
        IN_FOLDER(test_rows),
        IN_FOLDER(test_use),
        IN_FOLDER(test_room_is_given_back),
        IN_FOLDER(test_room_is_kept),
        IN_FOLDER(test_told),
        cmocka_unit_test(test_told_now_and_then),
    };

    return cmocka_run_group_tests_name("ledger_upgrade", tests, NULL, NULL);
}
