#include "proxy/base/text.h"
#include "proxy/identity/virtual_key.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 1000000, LOOKUPS = 200000 };

struct fixture {
    char folder[64];
    char state[80]; /* inside folder; not made yet */
    struct error error;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/test_virtual_key.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->state, sizeof fixture->state, "%s/state", fixture->folder);
    error_init(&fixture->error);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = { "/keys.db", "/keys.db-wal", "/keys.db-shm",
                                         "" };
    struct fixture *fixture = *state;
    char path[128];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s%s", fixture->state, files[i]);
        remove(path);
    }
    remove(fixture->folder);
    error_done(&fixture->error);
    free(fixture);
    return 0;
}

static struct key_record add(struct fixture *fixture, int64_t expires,
                             char key[KEY_TEXT_SIZE])
{
    struct key_record wanted = { .team = "platform",
                                 .caller = "ana",
                                 .label = "laptop",
                                 .created = NOW,
                                 .expires = expires };
    struct key_record made;

    assert_true(key_add(fixture->state, &wanted, key, &made, &fixture->error));
    return made;
}

static struct key_table *load(struct fixture *fixture)
{
    struct key_table *table = key_table_load(fixture->state, &fixture->error);

    assert_non_null(table);
    return table;
}

static bool valid(struct fixture *fixture, const char *key, int64_t now)
{
    struct key_table *table = load(fixture);
    bool found = key_table_find(table, span_text(key), now) != NULL;

    key_table_free(table);
    return found;
}

static void a_key_has_prefix_random_and_checksum(void **state)
{
    char key[KEY_TEXT_SIZE];
    char other[KEY_TEXT_SIZE];

    add(*state, 0, key);
    add(*state, 0, other);
    assert_int_equal(strlen(key), KEY_TEXT_SIZE - 1);
    assert_memory_equal(key, "assay_", 6);
    assert_int_equal(strspn(key + 6, "0123456789abcdefghjkmnpqrstvwxyz"), 32);
    assert_string_not_equal(key, other);
    assert_true(key_well_formed(span_text(key)));
}

static void every_single_typo_is_noticed(void **state)
{
    static const char characters[] = "0123456789abcdefghijklmnopqrstuvwxyzA_- \n";
    char key[KEY_TEXT_SIZE];

    add(*state, 0, key);
    for (size_t i = 0; i < KEY_TEXT_SIZE - 1; i++) {
        char right = key[i];

        for (size_t j = 0; j < sizeof characters; j++) { /* with the NUL */
            key[i] = characters[j];
            assert_int_equal(key_well_formed(span_of(key, KEY_TEXT_SIZE - 1)),
                             characters[j] == right);
        }
        key[i] = right;
    }
    for (size_t len = 0; len < KEY_TEXT_SIZE - 1; len++) {
        assert_false(key_well_formed(span_of(key, len)));
    }
    assert_false(key_well_formed(span_of(key, KEY_TEXT_SIZE))); /* with the NUL */
}

static void a_stored_key_names_its_caller(void **state)
{
    struct fixture *fixture = *state;
    char key[KEY_TEXT_SIZE];
    struct key_record made = add(fixture, NOW + 50, key);
    struct key_table *table = load(fixture);
    const struct key_record *found = key_table_find(table, span_text(key), NOW);

    assert_int_equal(key_table_count(table), 1);
    assert_non_null(found);
    assert_string_equal(found->team, "platform");
    assert_string_equal(found->caller, "ana");
    assert_string_equal(found->label, "laptop");
    assert_string_equal(found->id, made.id);
    assert_int_equal(strlen(found->id), 12);
    assert_int_equal(strspn(found->id, "0123456789abcdef"), 12);
    assert_int_equal(found->created, NOW);
    assert_int_equal(found->expires, NOW + 50);
    assert_int_equal(found->revoked, 0);
    key_table_free(table);
}

static void a_key_expires(void **state)
{
    char key[KEY_TEXT_SIZE];

    add(*state, NOW + 50, key);
    assert_true(valid(*state, key, NOW + 49));
    assert_false(valid(*state, key, NOW + 50));
}

static void a_key_is_revoked_now_or_later_but_not_revived(void **state)
{
    struct fixture *fixture = *state;
    char key[KEY_TEXT_SIZE];
    struct key_record made = add(fixture, 0, key);

    assert_true(key_revoke(fixture->state, made.id, NOW + 100, &fixture->error));
    assert_true(valid(fixture, key, NOW + 99));
    assert_false(valid(fixture, key, NOW + 100));
    assert_true(key_revoke(fixture->state, made.id, NOW + 10, &fixture->error));
    assert_false(valid(fixture, key, NOW + 10));
    assert_true(key_revoke(fixture->state, made.id, NOW + 500, &fixture->error));
    assert_false(valid(fixture, key, NOW + 10));
}

static void an_unknown_id_is_a_mistake(void **state)
{
    struct fixture *fixture = *state;
    char key[KEY_TEXT_SIZE];
    struct key_record made;

    add(fixture, 0, key);
    assert_false(key_revoke(fixture->state, "0123456789ab", NOW, &fixture->error));
    assert_false(key_rotate(fixture->state, "0123456789ab",
                            &(struct key_rotation){ NOW, NOW, 0 }, key, &made,
                            &fixture->error));
    assert_int_equal(fixture->error.count, 2);
}

static void rotation_replaces_a_key_after_a_grace(void **state)
{
    struct fixture *fixture = *state;
    char old_key[KEY_TEXT_SIZE];
    char new_key[KEY_TEXT_SIZE];
    struct key_record old = add(fixture, NOW + 1000, old_key);
    struct key_record made;

    assert_true(key_rotate(fixture->state, old.id,
                           &(struct key_rotation){ NOW + 400, NOW + 460, 0 }, new_key,
                           &made, &fixture->error));
    assert_true(valid(fixture, old_key, NOW + 459));
    assert_false(valid(fixture, old_key, NOW + 460));
    assert_true(valid(fixture, new_key, NOW + 460));
    assert_string_equal(made.team, "platform");
    assert_string_equal(made.caller, "ana");
    assert_string_equal(made.label, "laptop");
    assert_string_not_equal(made.id, old.id);
    assert_int_equal(made.expires, NOW + 1400); /* the old one's lifetime */
    assert_false(key_rotate(fixture->state, old.id,
                            &(struct key_rotation){ NOW + 401, NOW + 461, 0 }, new_key,
                            &made, &fixture->error));
    assert_non_null(strstr(fixture->error.entries[0].words, "revoked already"));
}

static void list_one(void *self, const struct key_record *record)
{
    struct text *ids = self;

    text_put(ids, span_text(record->id));
    text_put_char(ids, ' ');
}

static void the_list_shows_every_key(void **state)
{
    struct fixture *fixture = *state;
    char key[KEY_TEXT_SIZE];
    char memory[64];
    struct text ids = text_over(memory, sizeof memory);

    for (int i = 0; i < 3; i++) {
        add(fixture, 0, key);
    }
    assert_true(key_list(fixture->state, list_one, &ids, &fixture->error));
    assert_int_equal(ids.len, 3 * KEY_ID_SIZE);
}

static void unknown_expired_and_revoked_keys_are_all_refused(void **state)
{
    struct fixture *fixture = *state;
    char unknown[KEY_TEXT_SIZE];
    char expired[KEY_TEXT_SIZE];
    char revoked[KEY_TEXT_SIZE];
    struct key_record made;
    struct key_table *table;

    add(fixture, 0, unknown);
    table = load(fixture);
    assert_non_null(key_table_find(table, span_text(unknown), NOW));
    key_table_free(table);
    tear_down(state);
    set_up(state); /* an empty store: the key is well-formed and unknown */
    fixture = *state;
    add(fixture, NOW, expired);
    made = add(fixture, 0, revoked);
    assert_true(key_revoke(fixture->state, made.id, NOW, &fixture->error));
    table = load(fixture);
    assert_int_equal(key_table_count(table), 2);
    assert_null(key_table_find(table, span_text(unknown), NOW));
    assert_null(key_table_find(table, span_text(expired), NOW));
    assert_null(key_table_find(table, span_text(revoked), NOW));
    assert_null(key_table_find(table, SPAN(""), NOW));
    key_table_free(table);
}

static void all_of_many_keys_are_found(void **state)
{
    enum { MANY = 300 };
    struct fixture *fixture = *state;
    char(*keys)[KEY_TEXT_SIZE] = calloc(MANY, sizeof *keys);
    struct key_table *table;

    assert_non_null(keys);
    for (size_t i = 0; i < MANY; i++) {
        add(fixture, 0, keys[i]);
    }
    table = load(fixture);
    assert_int_equal(key_table_count(table), MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_non_null(key_table_find(table, span_text(keys[i]), NOW));
    }
    key_table_free(table);
    free(keys);
}

static void an_empty_store_knows_nobody(void **state)
{
    struct key_table *table = load(*state);

    assert_int_equal(key_table_count(table), 0);
    key_table_free(table);
}

static void the_watch_sees_another_process(void **state)
{
    struct fixture *fixture = *state;
    struct key_watch *watch = key_watch_open(fixture->state, &fixture->error);
    pid_t child;
    int status;

    assert_non_null(watch);
    key_table_free(load(fixture)); /* reading is no change */
    assert_false(key_watch_changed(watch));
    child = fork();
    if (child == 0) {
        char key[KEY_TEXT_SIZE];

        add(fixture, 0, key);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(key_watch_changed(watch));
    assert_false(key_watch_changed(watch));
    key_watch_close(watch);
}

static bool file_holds(const char *path, const char *text)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 20);
    size_t len;
    bool holds;

    assert_non_null(file);
    assert_non_null(bytes);
    len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    holds = memmem(bytes, len, text, strlen(text)) != NULL;
    free(bytes);
    return holds;
}

static void the_key_itself_is_written_nowhere(void **state)
{
    struct fixture *fixture = *state;
    struct key_watch *watch = key_watch_open(fixture->state, &fixture->error);
    char key[KEY_TEXT_SIZE];
    char random[27];
    char path[400];
    DIR *folder;
    size_t files = 0;

    add(fixture, 0, key); /* the watch keeps the write-ahead log in place */
    snprintf(random, sizeof random, "%.26s", key + 6);
    folder = opendir(fixture->state);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", fixture->state, entry->d_name);
            assert_false(file_holds(path, random));
            files++;
        }
    }
    closedir(folder);
    assert_int_equal(files, 3);
    key_watch_close(watch);
}

static mode_t mode_of(const char *folder, const char *file)
{
    char path[128];
    struct stat status;

    snprintf(path, sizeof path, "%s%s", folder, file);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static void only_the_owner_reads_the_store(void **state)
{
    struct fixture *fixture = *state;
    struct key_watch *watch;
    char path[128];
    mode_t before = umask(0);

    watch = key_watch_open(fixture->state, &fixture->error);
    assert_int_equal(mode_of(fixture->state, ""), 0700);
    assert_int_equal(mode_of(fixture->state, "/keys.db"), 0600);
    assert_int_equal(mode_of(fixture->state, "/keys.db-wal"), 0600);
    assert_int_equal(mode_of(fixture->state, "/keys.db-shm"), 0600);
    key_watch_close(watch);
    snprintf(path, sizeof path, "%s/keys.db", fixture->state);
    assert_int_equal(chmod(path, 0644), 0);
    key_table_free(load(fixture));
    assert_int_equal(mode_of(fixture->state, "/keys.db"), 0600);
    umask(before);
}

static void a_file_that_is_no_store_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    FILE *file;

    assert_int_equal(mkdir(fixture->state, 0700), 0);
    snprintf(path, sizeof path, "%s/keys.db", fixture->state);
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database", file);
    }
    fclose(file);
    assert_null(key_table_load(fixture->state, &fixture->error));
    assert_int_equal(fixture->error.count, 1);
    assert_null(key_table_load("/nonexistent/folder/of/keys", &fixture->error));
    assert_int_equal(fixture->error.count, 2);
}

struct lookups {
    const struct key_table *table;
    const char *key;
    size_t found;
};

static void *look_up_often(void *self)
{
    struct lookups *lookups = self;

    for (int i = 0; i < 1000; i++) {
        lookups->found +=
            key_table_find(lookups->table, span_text(lookups->key), NOW) != NULL;
    }
    return NULL;
}

static void threads_share_a_table(void **state)
{
    enum { THREADS = 4 };
    char key[KEY_TEXT_SIZE];
    struct lookups lookups[THREADS];
    pthread_t threads[THREADS];
    struct key_table *table;

    add(*state, 0, key);
    table = load(*state);
    for (size_t i = 0; i < THREADS; i++) {
        lookups[i] = (struct lookups){ .table = table, .key = key };
        assert_int_equal(pthread_create(&threads[i], NULL, look_up_often, &lookups[i]),
                         0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(lookups[i].found, 1000);
    }
    key_table_free(table);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void a_lookup_is_quick(void **state)
{
    struct fixture *fixture = *state;
    char key[KEY_TEXT_SIZE];
    struct key_table *table;
    double start;

    for (int i = 0; i < 100; i++) {
        add(fixture, 0, key);
    }
    table = load(fixture);
    start = seconds();
    for (int i = 0; i < LOOKUPS; i++) {
        assert_true(key_table_find(table, span_text(key), NOW) != NULL);
    }
    print_message("# %.0f ns of CPU per key lookup\n",
                  (seconds() - start) / (double)LOOKUPS * 1e9);
    key_table_free(table);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_key_has_prefix_random_and_checksum),
        TEST(every_single_typo_is_noticed),
        TEST(a_stored_key_names_its_caller),
        TEST(a_key_expires),
        TEST(a_key_is_revoked_now_or_later_but_not_revived),
        TEST(an_unknown_id_is_a_mistake),
        TEST(rotation_replaces_a_key_after_a_grace),
        TEST(the_list_shows_every_key),
        TEST(unknown_expired_and_revoked_keys_are_all_refused),
        TEST(all_of_many_keys_are_found),
        TEST(an_empty_store_knows_nobody),
        TEST(the_watch_sees_another_process),
        TEST(the_key_itself_is_written_nowhere),
        TEST(only_the_owner_reads_the_store),
        TEST(a_file_that_is_no_store_is_refused),
        TEST(threads_share_a_table),
        TEST(a_lookup_is_quick),
    };

    return cmocka_run_group_tests_name("virtual_key", tests, NULL, NULL);
}
