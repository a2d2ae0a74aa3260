#include "proxy/base/clock.h"
#include "proxy/meter/journal.h"
#include "proxy/meter/journal_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* 2026-01-01T00:00:00Z */
static const uint64_t some_time = UINT64_C(1767225600) * NS_PER_S;

static char folder[] = "/tmp/test_journal.XXXXXX";
static char path[sizeof folder + sizeof "/journal-00"];

static int folder_make(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/journal-00", folder);
    return 0;
}

static int folder_remove(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static struct journal *must_open(uint32_t slots)
{
    struct error error;
    struct journal *journal;

    error_init(&error);
    journal = journal_open(folder, 0, slots, &error);
    error_print(&error, stderr);
    assert_non_null(journal);
    assert_false(error_any(&error));
    return journal;
}

static void must_not_open(uint32_t slots, const char *words)
{
    struct error error;

    error_init(&error);
    assert_null(journal_open(folder, 0, slots, &error));
    assert_int_equal(error.count, 1);
    assert_non_null(strstr(error.entries[0].words, words));
    error_done(&error);
}

/* What journal_recover() called back. */
struct recovered {
    size_t count;
    struct entry entries[64];
    struct line lines[64][LINES_MAX];
};

static void remember(void *self, struct entry *entry)
{
    struct recovered *recovered = self;

    assert_in_range(recovered->count, 0, 63);
    recovered->entries[recovered->count].lines = recovered->lines[recovered->count];
    entry_copy(&recovered->entries[recovered->count++], entry);
}

static void must_end_recovery(struct journal *journal)
{
    struct error error;

    error_init(&error);
    assert_true(journal_recovered(journal, &error));
    assert_false(error_any(&error));
}

static void test_life_of_a_slot(void **state)
{
    struct journal *journal = must_open(4);
    struct entry *entry = journal_take(journal, some_time);
    uint64_t id;

    (void)state;
    assert_non_null(entry);
    assert_int_equal(journal_in_use(journal), 1);
    assert_int_equal(entry_id_time(entry->id), some_time);
    assert_int_equal(entry->usage.reported_nanousd, -1);
    assert_null(journal_peek(journal));
    id = entry->id;
    entry->status = 200;
    journal_settle(journal, entry);
    assert_int_equal(journal_peek(journal)->id, id);
    assert_null(journal_peek(journal));
    assert_int_equal(journal_in_use(journal), 1);
    journal_release(journal);
    assert_int_equal(journal_in_use(journal), 0);
    entry = journal_take(journal, some_time);
    assert_int_equal(entry->status, 0);
    journal_close(journal);
}

/* Through the ledger, as every slot goes. */
static void give_back(struct journal *journal, struct entry *entry)
{
    journal_settle(journal, entry);
    assert_ptr_equal(journal_peek(journal), entry);
    journal_release(journal);
}

static void test_all_taken(void **state)
{
    struct journal *journal = must_open(3);
    struct entry *first = journal_take(journal, some_time);

    (void)state;
    assert_non_null(journal_take(journal, some_time));
    assert_non_null(journal_take(journal, some_time));
    assert_null(journal_take(journal, some_time));
    assert_int_equal(journal_in_use(journal), 3);
    give_back(journal, first);
    assert_int_equal(journal_in_use(journal), 2);
    assert_ptr_equal(journal_take(journal, some_time), first);
    assert_null(journal_take(journal, some_time));
    journal_close(journal);
}

static void test_warm_slots_first(void **state)
{
    struct journal *journal = must_open(1000);
    struct entry *entry = journal_take(journal, some_time);

    (void)state;
    for (int i = 0; i < 10; i++) {
        struct entry *again;

        give_back(journal, entry);
        again = journal_take(journal, some_time);
        assert_ptr_equal(again, entry);
    }
    journal_close(journal);
}

static uint64_t take_id(struct journal *journal, uint64_t now)
{
    struct entry *entry = journal_take(journal, now);
    uint64_t id;

    assert_non_null(entry);
    id = entry->id;
    give_back(journal, entry);
    return id;
}

static void test_ids_increase(void **state)
{
    struct journal *journal = must_open(2);
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t now = some_time + (i % 3 == 0 ? 0 : 1) * UINT64_C(3600) * NS_PER_S;
        uint64_t id = take_id(journal, now);

        assert_true(id > last);
        assert_int_equal(id >> 63, 0);
        last = id;
    }
    journal_close(journal);
    journal = must_open(2);
    assert_true(take_id(journal, some_time) > last);
    assert_true(take_id(journal, 0) > last);
    journal_close(journal);
}

static void test_one_process(void **state)
{
    struct journal *journal = must_open(2);

    (void)state;
    must_not_open(2, "in use by another process");
    journal_close(journal);
    journal_close(must_open(2));
}

/* Every third exchange has lines. */
static uint8_t lines_of(uint64_t id)
{
    return id % 3 == 0 ? LINES_MAX : id % 3 == 1 ? 1 : 0;
}

static void fill(struct entry *entry)
{
    entry->line_count = lines_of(entry->id);
    for (uint8_t i = 0; i < entry->line_count; i++) {
        entry->lines[i] = (struct line){ .cost_nanousd = (int64_t)entry->id + i };
    }
    entry->started_ns = entry->id;
    entry->response_bytes = entry->id * 3;
    entry->status = 200;
    entry->outcome = OUTCOME_COMPLETE;
    usage_set(&entry->usage, TOKENS_INPUT, entry->id / 2);
    text_store(entry->team, sizeof entry->team, SPAN("platform"));
}

/* Leaves one entry open and two settled, the later taken one first. */
static void leave_three(uint64_t ids[3])
{
    struct journal *journal = must_open(8);
    struct entry *entries[3];

    for (int i = 0; i < 3; i++) {
        entries[i] = journal_take(journal, some_time);
        ids[i] = entries[i]->id;
        fill(entries[i]);
    }
    journal_settle(journal, entries[2]);
    journal_settle(journal, entries[1]);
    journal_close(journal);
}

static void assert_filled(const struct entry *entry)
{
    assert_int_equal(entry->outcome, OUTCOME_COMPLETE);
    assert_int_equal(entry->response_bytes, entry->id * 3);
    assert_int_equal(entry->usage.tokens[TOKENS_INPUT], entry->id / 2);
    assert_int_equal(entry->line_count, lines_of(entry->id));
    for (uint8_t i = 0; i < entry->line_count; i++) {
        assert_int_equal(entry->lines[i].cost_nanousd, entry->id + i);
    }
}

static void assert_three(const struct recovered *left, const uint64_t ids[3])
{
    assert_int_equal(left->count, 3);
    assert_int_equal(left->entries[0].id, ids[2]);
    assert_int_equal(left->entries[1].id, ids[1]);
    assert_filled(&left->entries[0]);
    assert_filled(&left->entries[1]);
    assert_int_equal(left->entries[2].id, ids[0]);
    assert_int_equal(left->entries[2].outcome, OUTCOME_UNKNOWN);
    assert_int_equal(left->entries[2].usage.known_tokens, 0);
    assert_int_equal(left->entries[2].line_count, 0);
    assert_string_equal(left->entries[2].team, "platform");
}

static void test_recovery(void **state)
{
    struct recovered left = { 0 }, again = { 0 };
    struct journal *journal;
    uint64_t ids[3];

    (void)state;
    leave_three(ids);
    journal = must_open(8);
    assert_int_equal(journal_in_use(journal), 3);
    journal_recover(journal, remember, &left);
    assert_three(&left, ids);
    journal_close(journal); /* a second crash, before the ledger had them */

    journal = must_open(1); /* fewer slots than are taken */
    journal_recover(journal, remember, &again);
    assert_three(&again, ids);
    must_end_recovery(journal);
    assert_int_equal(journal_in_use(journal), 0);
    assert_true(take_id(journal, some_time) > ids[2]);
    journal_close(journal);

    again.count = 0;
    journal = must_open(100);
    journal_recover(journal, remember, &again);
    assert_int_equal(again.count, 0);
    must_end_recovery(journal);
    for (int i = 0; i < 100; i++) {
        assert_non_null(journal_take(journal, some_time));
    }
    assert_null(journal_take(journal, some_time));
    journal_close(journal);
}

/* What is left stays readable while more slots than the file has are wanted. */
static void test_growth(void **state)
{
    struct recovered left = { 0 };
    struct journal *journal;
    uint64_t ids[3];

    (void)state;
    leave_three(ids);
    journal = must_open(1000);
    journal_recover(journal, remember, &left);
    assert_three(&left, ids);
    must_end_recovery(journal);
    assert_int_equal(journal_slots(journal), 1000);
    for (int i = 0; i < 1000; i++) {
        struct entry *entry = journal_take(journal, some_time);

        assert_non_null(entry);
        assert_true(entry->id > ids[2]);
        fill(entry);
        journal_settle(journal, entry);
    }
    journal_close(journal);
    journal = must_open(1000);
    left.count = 0;
    assert_int_equal(journal_in_use(journal), 1000);
    journal_close(journal);
}

static void overwrite(off_t at, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
    close(fd);
}

static void test_torn_slot(void **state)
{
    const uint64_t wrong = 12345;
    struct recovered left = { 0 };
    struct journal *journal;
    uint64_t ids[3];

    (void)state;
    leave_three(ids);
    overwrite((off_t)(JOURNAL_HEADER_SIZE + sizeof(struct journal_slot) +
                      offsetof(struct journal_slot, entry.response_bytes)),
              &wrong, sizeof wrong);
    journal = must_open(8);
    journal_recover(journal, remember, &left);
    assert_int_equal(left.count, 3);
    assert_int_equal(left.entries[0].outcome, OUTCOME_COMPLETE);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(left.entries[i].outcome, OUTCOME_UNKNOWN);
        assert_int_equal(left.entries[i].usage.source, USAGE_NONE);
    }
    journal_close(journal);
}

static void test_torn_line(void **state)
{
    const char wrong[] = "none";
    struct recovered left = { 0 };
    struct journal *journal = must_open(8);
    struct entry *entry = journal_take(journal, some_time);

    (void)state;
    entry->line_count = 1;
    entry->lines[0] = (struct line){ .priced = 1 };
    journal_settle(journal, entry);
    journal_close(journal);
    overwrite((off_t)(journal_lines_offset(8, 0) + offsetof(struct line, model)), wrong,
              sizeof wrong);
    journal = must_open(8);
    journal_recover(journal, remember, &left);
    assert_int_equal(left.count, 1);
    assert_int_equal(left.entries[0].outcome, OUTCOME_UNKNOWN);
    assert_int_equal(left.entries[0].line_count, 0);
    journal_close(journal);
}

static void test_other_version(void **state)
{
    const uint32_t version = JOURNAL_VERSION + 1;
    struct journal *journal;
    uint64_t ids[3], id;

    (void)state;
    leave_three(ids);
    overwrite(offsetof(struct journal_header, version), &version, sizeof version);
    must_not_open(8, "another version");
    assert_int_equal(unlink(path), 0);

    journal = must_open(8);
    id = take_id(journal, some_time);
    journal_close(journal);
    overwrite(offsetof(struct journal_header, version), &version, sizeof version);
    journal = must_open(8);
    assert_true(take_id(journal, some_time) > id);
    journal_close(journal);
}

static void test_foreign_file(void **state)
{
    (void)state;
    journal_close(must_open(2));
    overwrite(0, "SQLite format 3", 16);
    must_not_open(2, "is not a journal");
}

/* ---- kill -9 --------------------------------------------------------------------- */

enum { KILL_ROUNDS = 40, KILL_IDS = 1 << 20 };

/* What the child said before it was killed, in memory shared with the parent. */
struct progress {
    _Atomic uint32_t taken, settled, released;
    uint64_t taken_ids[KILL_IDS];
    uint64_t settled_ids[KILL_IDS];
};

static void work_until_killed(struct progress *progress, uint64_t now)
{
    struct error error;
    struct journal *journal;
    struct entry *open[5] = { 0 };

    error_init(&error);
    journal = journal_open(folder, 0, 16, &error);
    for (uint32_t i = 0; i < KILL_IDS; i++) {
        struct entry *entry = journal_take(journal, now);
        uint32_t place = i % 5;

        fill(entry);
        progress->taken_ids[i] = entry->id;
        progress->taken = i + 1;
        if (open[place] != NULL) {
            progress->settled_ids[progress->settled] = open[place]->id;
            journal_settle(journal, open[place]);
            progress->settled++;
        }
        open[place] = entry;
        if (i % 7 == 6) {
            while (journal_peek(journal) != NULL) {
            }
            progress->released = progress->settled;
            journal_release(journal);
        }
    }
    _exit(1);
}

static void kill_once(struct progress *progress, unsigned delay_us, uint64_t *last_id)
{
    struct recovered left = { 0 };
    struct journal *journal;
    size_t settled = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        work_until_killed(progress, some_time);
    }
    while (progress->taken == 0) {
        usleep(50);
    }
    usleep(delay_us);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);

    journal = must_open(16);
    journal_recover(journal, remember, &left);
    /* Those of the last release may be free or not; all later ones are
     * here, in order. */
    for (size_t i = 0; i < left.count; i++) {
        const struct entry *entry = &left.entries[i];

        assert_true(entry->id > *last_id);
        settled += entry->outcome == OUTCOME_COMPLETE;
        if (entry->outcome == OUTCOME_COMPLETE) {
            assert_filled(entry);
        }
    }
    assert_true(settled >= progress->settled - progress->released);
    for (uint32_t i = progress->released; i < progress->settled; i++) {
        size_t at = settled - (progress->settled - i);
        bool one_more = left.entries[settled - 1].id != /* settled, but not said so */
                        progress->settled_ids[progress->settled - 1];

        assert_int_equal(left.entries[at - one_more].id, progress->settled_ids[i]);
    }
    must_end_recovery(journal);
    *last_id = progress->taken_ids[progress->taken - 1];
    assert_true(take_id(journal, some_time) > *last_id);
    journal_close(journal);
}

static void test_kill(void **state)
{
    struct progress *progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t last_id = 0;

    (void)state;
    assert_ptr_not_equal(progress, MAP_FAILED);
    for (unsigned i = 0; i < KILL_ROUNDS; i++) {
        progress->taken = progress->settled = progress->released = 0;
        kill_once(progress, (i * 7919) % 3000, &last_id);
    }
    munmap(progress, sizeof *progress);
}

/* ---- two threads ----------------------------------------------------------------- */

enum { THREAD_ENTRIES = 200000 };

static void *settle_many(void *argument)
{
    struct journal *journal = argument;

    for (int i = 0; i < THREAD_ENTRIES;) {
        struct entry *entry = journal_take(journal, some_time + (uint64_t)i);

        if (entry != NULL) {
            fill(entry);
            journal_settle(journal, entry);
            i++;
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct journal *journal = must_open(64);
    uint64_t last = 0;
    pthread_t worker;
    int count = 0;

    (void)state;
    assert_int_equal(pthread_create(&worker, NULL, settle_many, journal), 0);
    while (count < THREAD_ENTRIES) {
        const struct entry *entry;

        while ((entry = journal_peek(journal)) != NULL) {
            assert_true(entry->id > last);
            assert_int_equal(entry->response_bytes, entry->id * 3);
            last = entry->id;
            count++;
        }
        assert_in_range(journal_in_use(journal), 0, 64);
        journal_release(journal);
    }
    pthread_join(worker, NULL);
    assert_int_equal(journal_in_use(journal), 0);
    journal_close(journal);
}

#define IN_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_life_of_a_slot),   IN_FOLDER(test_all_taken),
        IN_FOLDER(test_warm_slots_first), IN_FOLDER(test_ids_increase),
        IN_FOLDER(test_one_process),      IN_FOLDER(test_recovery),
        IN_FOLDER(test_growth),           IN_FOLDER(test_torn_slot),
        IN_FOLDER(test_torn_line),        IN_FOLDER(test_other_version),
        IN_FOLDER(test_foreign_file),     IN_FOLDER(test_kill),
        IN_FOLDER(test_threads),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
