#include "proxy/meter/database.h"
#include "tests/support/remove_folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/assay-database-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/some.db", folder);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static void a_new_file_is_its_owners_alone(void **state)
{
    mode_t mask = umask(0);
    struct stat status;

    (void)state;
    assert_true(database_make(path, folder));
    (void)umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, 0);
}

/* What an administrator makes is for the service's user. */
static void it_belongs_to_whom_the_folder_belongs(void **state)
{
    struct stat status;

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chown(folder, 65534, 65534), 0);
    assert_true(database_make(path, folder));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, 65534);
    assert_int_equal(status.st_gid, 65534);
}

static void a_file_that_is_there_stays_as_it_is(void **state)
{
    FILE *file = fopen(path, "we");
    struct stat status;

    (void)state;
    assert_non_null(file);
    assert_true(fputs("kept", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_true(database_make(path, folder));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 4);
}

static void what_cannot_be_made_says_why(void **state)
{
    (void)state;
    assert_false(database_make("/nowhere/some.db", "/nowhere"));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(symlink("/nowhere/else", path), 0);
    assert_true(database_make(path, folder)); /* opening it will fail */
    assert_int_not_equal(access("/nowhere/else", F_OK), 0);
}

static void statements_run_to_their_end(void **state)
{
    static const char *const good[] = { "CREATE TABLE t (n INTEGER)",
                                        "INSERT INTO t VALUES (7), (8)", NULL };
    static const char *const bad[] = { "INSERT INTO t VALUES (9)", "no SQL",
                                       "INSERT INTO t VALUES (10)", NULL };
    sqlite3 *sqlite;
    int64_t number = 5;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &sqlite), SQLITE_OK);
    assert_true(database_run_all(sqlite, good));
    assert_true(database_run(sqlite, "SELECT n FROM t WHERE n > 9", &number));
    assert_int_equal(number, 5);
    assert_true(database_run(sqlite, "SELECT n FROM t ORDER BY n", &number));
    assert_int_equal(number, 7);
    assert_true(database_run(sqlite, "SELECT n FROM t", NULL));
    assert_false(database_run_all(sqlite, bad));
    assert_true(database_run(sqlite, "SELECT count(*) FROM t", &number));
    assert_int_equal(number, 3);
    sqlite3_close(sqlite);
}

static void empty_texts_are_null(void **state)
{
    sqlite3 *sqlite;
    sqlite3_stmt *row;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(sqlite, "SELECT ?1, ?2, ?3", -1, &row, NULL),
                     SQLITE_OK);
    database_bind(row, 1, "ana");
    database_bind(row, 2, "");
    database_bind(row, 3, NULL);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_string_equal(database_text(row, 0), "ana");
    assert_int_equal(sqlite3_column_type(row, 1), SQLITE_NULL);
    assert_string_equal(database_text(row, 1), "");
    assert_int_equal(sqlite3_column_type(row, 2), SQLITE_NULL);
    sqlite3_finalize(row);
    sqlite3_close(sqlite);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_its_owners_alone),
        TEST(it_belongs_to_whom_the_folder_belongs),
        TEST(a_file_that_is_there_stays_as_it_is),
        TEST(what_cannot_be_made_says_why),
        TEST(statements_run_to_their_end),
        TEST(empty_texts_are_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
