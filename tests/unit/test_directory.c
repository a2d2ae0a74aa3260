/* Teams of the configuration and of an import, and the store they are imported into. */
#include "config/config.h"
#include "proxy/identity/directory.h"
#include "proxy/identity/key_store.h"
#include "tests/support/remove_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_directory.XXXXXX";

static int set_up(void **state)
{
    (void)state;
    memcpy(strrchr(folder, '.'), ".XXXXXX", 7);
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static struct config *config_of(const char *teams)
{
    char yaml[2048];
    struct config *config;
    struct error error;

    snprintf(yaml, sizeof yaml,
             "listen: [{address: 127.0.0.1:1}]\nstate: %s\n"
             "providers: {p: {url: 'https://p', dialects: [openai]}}\nteams:\n%s",
             folder, teams);
    error_init(&error);
    config =
        config_parse("/t.yaml", span_text(yaml), NULL, CONFIG_WITH_SECRETS, &error);
    error_print(&error, stderr);
    assert_non_null(config);
    return config;
}

static void import(const struct member_row *rows, size_t count)
{
    struct error error;
    sqlite3 *db;

    error_init(&error);
    db = key_store_open(folder, &error);
    assert_non_null(db);
    assert_true(key_store_begin(db, &error) && member_store_clear(db, &error));
    for (size_t i = 0; i < count; i++) {
        assert_true(member_store_insert(db, &rows[i], &error));
    }
    assert_true(key_store_commit(db, &error));
    key_store_close(db);
}

static struct directory *directory_of(const struct config *config)
{
    struct error error;
    struct directory *directory;

    error_init(&error);
    directory = directory_new(config, folder, &error);
    error_print(&error, stderr);
    error_done(&error);
    assert_non_null(directory);
    return directory;
}

/* "team/name [tags] service imported", or "nobody". */
static const char *words(const struct member *member)
{
    static char text[256];

    if (member == NULL) {
        return "nobody";
    }
    snprintf(text, sizeof text, "%s/%s [%s]%s%s", member->team, member->name,
             member->tags, member->service ? " service" : "",
             member->imported ? " imported" : "");
    return text;
}

static const char *find(const struct directory *directory, const char *team,
                        const char *name)
{
    return words(team == NULL
                     ? directory_find(directory, span_text(name))
                     : directory_member(directory, span_text(team), span_text(name)));
}

static const char teams_text[] =
    "  red: {callers: [ana, bo], services: [ci], tags: {a: '1', b: '2'},\n"
    "        aliases: {'00u1': ana, 'spiffe://x/ci': ci}}\n"
    "  blue: {callers: [bo]}\n"
    "  empty: {}\n";

static void members_are_found_by_name_and_alias(void **state)
{
    struct config *config = config_of(teams_text);
    struct directory *directory = directory_of(config);

    (void)state;
    assert_string_equal(find(directory, NULL, "ana"), "red/ana [a=1,b=2]");
    assert_string_equal(find(directory, NULL, "00u1"), "red/ana [a=1,b=2]");
    assert_string_equal(find(directory, "red", "spiffe://x/ci"),
                        "red/ci [a=1,b=2] service");
    assert_string_equal(find(directory, NULL, "bo"), "red/bo [a=1,b=2]");
    assert_string_equal(find(directory, "blue", "bo"), "blue/bo []");
    assert_string_equal(find(directory, "blue", "ana"), "nobody");
    assert_string_equal(find(directory, "blue", "00u1"), "nobody");
    assert_string_equal(find(directory, NULL, "red"), "nobody");
    assert_string_equal(find(directory, NULL, ""), "nobody");
    assert_string_equal(words(directory_team(directory, SPAN("empty"))), "empty/ []");
    assert_string_equal(words(directory_team(directory, SPAN("ana"))), "nobody");
    directory_free(directory);
    config_free(config);
}

static bool count_one(void *self, const struct member *member)
{
    (void)member;
    ++*(size_t *)self;
    return true;
}

static void an_import_adds_and_changes(void **state)
{
    static const struct member_row rows[] = {
        { "blue", "eve", false, "00u2", "b=9" },
        { "green", "dan", true, "", "" },
        { "red", "ana", true, "00u3", "b=7,c=8" },
    };
    struct config *config = config_of(teams_text);
    struct directory *directory;
    size_t count = 0;

    (void)state;
    import(rows, sizeof rows / sizeof rows[0]);
    directory = directory_of(config);
    assert_string_equal(find(directory, NULL, "00u2"), "blue/eve [b=9] imported");
    assert_string_equal(find(directory, "green", "dan"),
                        "green/dan [] service imported");
    assert_string_equal(find(directory, NULL, "00u3"), "red/ana [a=1,b=7,c=8] service");
    assert_string_equal(find(directory, NULL, "00u1"), "red/ana [a=1,b=7,c=8] service");
    directory_each(directory, count_one, &count);
    assert_int_equal(count, 6);
    directory_free(directory);
    import(rows, 1);
    directory = directory_of(config);
    assert_string_equal(find(directory, NULL, "dan"), "nobody");
    assert_string_equal(find(directory, NULL, "ana"), "red/ana [a=1,b=2]");
    directory_free(directory);
    config_free(config);
}

static void tags_are_joined(void **state)
{
    static const struct {
        const char *first, *second, *joined;
    } cases[] = {
        { "", "", "" },
        { "a=1", "", "a=1" },
        { "", "a=1", "a=1" },
        { "a=1,b=2", "b=3", "a=1,b=3" },
        { "a=1,ab=2", "a=3,c=4", "ab=2,a=3,c=4" },
    };
    char joined[MEMBER_TAGS_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        directory_join_tags(span_text(cases[i].first), span_text(cases[i].second),
                            joined);
        assert_string_equal(joined, cases[i].joined);
    }
}

/* Whatever the lengths: whole tags, and how many are missing is said. */
static void tags_without_room_are_counted(void **state)
{
    (void)state;
    for (int size = 1; size < 200; size++) {
        char first[256], second[256], whole[520], joined[MEMBER_TAGS_SIZE];
        struct span rest = span_of(joined, 0), tag;
        unsigned long count = 0;

        snprintf(first, sizeof first, "a=%0*d,c=1", size, 7);
        snprintf(second, sizeof second, "b=%060d", 7);
        snprintf(whole, sizeof whole, "%s,%s", first, second);
        directory_join_tags(span_text(first), span_text(second), joined);
        rest.len = strlen(joined);
        if (strlen(whole) < MEMBER_TAGS_SIZE) {
            assert_string_equal(joined, whole);
            continue;
        }
        while (span_next(&rest, ',', &tag) && !span_starts(tag, SPAN("tags_"))) {
            assert_non_null(memmem(whole, strlen(whole), tag.at, tag.len));
            assert_true(tag.len == 3 || tag.len == 62 || tag.len == (size_t)size + 2);
            count++;
        }
        assert_true(span_starts(tag, SPAN("tags_left_out=")));
        assert_int_equal(count + strtoul(tag.at + 14, NULL, 10), 3);
        assert_in_range(count, 1, 2);
    }
}

/* What an assay without members has left. */
static void a_store_without_members_is_taken_over(void **state)
{
    struct config *config = config_of("  red: {callers: [ana]}\n");
    struct directory *directory;
    char path[64];
    sqlite3 *db;

    (void)state;
    snprintf(path, sizeof path, "%s/keys.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE keys (digest BLOB PRIMARY KEY NOT NULL,"
                                  " id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,"
                                  " caller TEXT NOT NULL, label TEXT NOT NULL,"
                                  " created INTEGER NOT NULL, expires INTEGER NOT NULL,"
                                  " revoked INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
                                  "INSERT INTO keys VALUES (zeroblob(32), 'x', 'red', "
                                  "'ana', '', 1,"
                                  " 0, 0); PRAGMA user_version = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    directory = directory_of(config);
    assert_string_equal(find(directory, NULL, "ana"), "red/ana []");
    directory_free(directory);
    import(&(struct member_row){ "red", "bo", false, "", "" }, 1);
    directory = directory_of(config);
    assert_string_equal(find(directory, NULL, "bo"), "red/bo [] imported");
    directory_free(directory);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_found_by_name_and_alias, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_import_adds_and_changes, set_up, tear_down),
        cmocka_unit_test(tags_are_joined),
        cmocka_unit_test(tags_without_room_are_counted),
        cmocka_unit_test_setup_teardown(a_store_without_members_is_taken_over, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
