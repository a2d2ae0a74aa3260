/* Calls handed over by threads, looked at by another, and
 * remembered across restarts. */
#include "proxy/analyst/analyst.h"
#include "proxy/analyst/turn_log.h"
#include "proxy/meter/finding_store.h"
#include "tests/support/remove_folder.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Monday, 2026-03-02, 09:00:07 UTC. */
#define BEGIN_MS INT64_C(1772442007000)

enum { WORKERS = 3, MINUTE = 60 * 1000, BOT_TURNS = 30 };

static char folder[64];
static struct config config;

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/assay-analyst-XXXXXX");
    config = (struct config){
        .file = "test",
        .state = folder,
        .detection = { .mode = DETECTION_ON, .threshold = 16 },
        .retention = { .turns_days = 3650, .findings_days = 3650 },
    };
    return mkdtemp(folder) == NULL;
}

static int drop_folder(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static uint64_t hash_of(uint64_t n)
{
    n = (n + 77) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return n ^ n >> 31;
}

/* A prompt that opens a conversation; equal texts are equal prompts. */
static struct call call_of(const struct analyst_ring *ring, const struct entry *entry,
                           int64_t ms, uint64_t session, uint64_t text)
{
    struct call call = { .root = hash_of(session), .opens = true, .messages = 1 };
    struct turn *turn = &call.turn;

    turn->identity = analyst_identity(ring, entry);
    turn->session = hash_of(session);
    turn->begin_ms = BEGIN_MS + ms;
    turn->end_ms = turn->begin_ms + 500;
    turn->kind = TURN_PROMPT;
    turn->has_prompt = true;
    turn->prompt.whole = hash_of(text * 100);
    turn->prompt.shape = hash_of(text * 100 + 1);
    turn->prompt.characters = 61 + (uint32_t)(text % 4);
    turn->prompt.bottom_count = SKETCH_BOTTOM;
    for (unsigned i = 0; i < SKETCH_BOTTOM; i++) {
        turn->prompt.bottom[i] = (hash_of(text * 100 + 2) >> 16 << 8) + i;
    }
    return call;
}

static struct entry entry_of(const char *caller)
{
    struct entry entry = { .team = "platform", .request_model = "model-1" };

    (void)text_store(entry.caller, sizeof entry.caller, span_text(caller));
    return entry;
}

static void hand(struct analyst_ring *ring, const char *caller, int64_t ms,
                 uint64_t session, uint64_t text)
{
    struct entry entry = entry_of(caller);
    struct call call = call_of(ring, &entry, ms, session, text);
    struct analyst_open open = { .open = false };

    analyst_opened(ring, &open, call.turn.begin_ms);
    analyst_hand_over(ring, &call, &entry);
    analyst_closed(ring, &open);
}

struct running {
    struct analyst *analyst;
    struct metrics_shard *shards[WORKERS];
    struct analyst_ring *rings[WORKERS];
};

static struct running start(void)
{
    struct running running;
    struct error error;

    error_init(&error);
    running.analyst = analyst_new(&config, WORKERS, &error);
    assert_non_null(running.analyst);
    for (unsigned i = 0; i < WORKERS; i++) {
        running.shards[i] = metrics_shard_new(16);
        running.rings[i] = analyst_ring(running.analyst, i, running.shards[i]);
    }
    assert_true(analyst_start(running.analyst, &config, &error));
    error_done(&error);
    return running;
}

static void stop(struct running *running)
{
    analyst_stop(running->analyst);
    analyst_free(running->analyst);
    for (unsigned i = 0; i < WORKERS; i++) {
        metrics_shard_free(running->shards[i]);
    }
}

static enum grade grade_of_caller(const struct running *running, const char *caller)
{
    struct entry entry = entry_of(caller);

    return analyst_grade(running->rings[0], &entry);
}

static void await_grade(const struct running *running, const char *caller,
                        enum grade grade)
{
    const struct timespec pause = { .tv_nsec = 5000000 };

    for (unsigned i = 0; i < 12000 && grade_of_caller(running, caller) != grade; i++) {
        nanosleep(&pause, NULL);
    }
    assert_string_equal(grade_name(grade_of_caller(running, caller)),
                        grade_name(grade));
}

/* The bot's calls go through different workers. */
static void work(const struct running *running, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        hand(running->rings[i % WORKERS], "bot", (int64_t)i * 7 * MINUTE, i, 1);
        hand(running->rings[(i + 1) % WORKERS], "ana",
             (int64_t)i * 50 * MINUTE + (int64_t)(hash_of(i) % (49 * MINUTE)), 1000 + i,
             5000 + i);
    }
}

/* ---- findings -------------------------------------------------------------------- */

struct seen {
    unsigned findings;
    int64_t id;
    enum finding_status status;
    bool shadow;
    char caller[48];
    char evidence[4096];
};

static void see(void *self, const struct finding_row *row)
{
    struct seen *seen = self;

    seen->findings++;
    seen->id = row->id;
    seen->status = row->status;
    seen->shadow = row->shadow;
    snprintf(seen->caller, sizeof seen->caller, "%s", row->caller);
    snprintf(seen->evidence, sizeof seen->evidence, "%s", row->evidence);
    assert_non_null(strstr(row->clears, "ordinary turns"));
}

static struct seen look(void)
{
    const struct finding_query query = { .now_ms = 0 };
    struct seen seen = { .findings = 0 };
    struct finding_store *store;
    struct error error;

    error_init(&error);
    store = finding_store_read(folder, &error);
    assert_non_null(store);
    assert_true(finding_store_each(store, &query, see, &seen, &error));
    finding_store_close(store);
    error_done(&error);
    return seen;
}

/* The grade is in force a moment before the finding is written down. */
static int64_t await_finding(void)
{
    const struct timespec pause = { .tv_nsec = 5000000 };

    for (unsigned i = 0; i < 12000 && look().findings == 0; i++) {
        nanosleep(&pause, NULL);
    }
    return look().id;
}

static void test_a_bot_is_found_and_a_person_is_not(void **state)
{
    struct running running = start();
    struct seen seen;

    (void)state;
    work(&running, 0, BOT_TURNS);
    await_grade(&running, "bot", GRADE_FLAGGED);
    await_grade(&running, "ana", GRADE_CLEAR);
    assert_int_equal(grade_of_caller(&running, "nobody"), GRADE_UNRATED);
    stop(&running);
    seen = look();
    assert_int_equal(seen.findings, 1);
    assert_string_equal(seen.caller, "bot");
    assert_false(seen.shadow);
    assert_non_null(strstr(seen.evidence, "\"signal\":\"repeat_open\""));
    assert_non_null(strstr(seen.evidence, "\"characters\":[62,62]"));
}

static void test_a_restart_keeps_all(void **state)
{
    struct running running = start();

    (void)state;
    work(&running, 0, BOT_TURNS);
    stop(&running);
    running = start();
    assert_int_equal(grade_of_caller(&running, "bot"), GRADE_FLAGGED);
    assert_int_equal(grade_of_caller(&running, "ana"), GRADE_CLEAR);
    stop(&running);
}

struct order {
    int64_t last_ms;
    unsigned rows;
    bool ascending;
};

static bool follow(void *self, const struct turn_row *row)
{
    struct order *order = self;

    order->ascending = order->ascending && row->turn.begin_ms >= order->last_ms;
    order->last_ms = row->turn.begin_ms;
    order->rows++;
    return true;
}

static struct order observed(void)
{
    struct order order = { .ascending = true };
    struct error error;

    error_init(&error);
    assert_true(turn_log_each(folder, 0, 0, follow, &order, &error));
    error_done(&error);
    return order;
}

/* Half of the turns that a flag takes before, half after: neither alone would do. */
static void test_a_killed_process_loses_nothing_observed(void **state)
{
    struct running running;
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        const struct timespec pause = { .tv_nsec = 5000000 };

        running = start();
        work(&running, 0, 6);
        for (unsigned i = 0; i < 12000 && observed().rows < 6; i++) {
            nanosleep(&pause, NULL);
        }
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    running = start();
    assert_int_equal(grade_of_caller(&running, "bot"), GRADE_UNRATED);
    work(&running, 6, 12);
    await_grade(&running, "bot", GRADE_FLAGGED);
    stop(&running);
}

static void test_without_the_company_file_the_calls_tell(void **state)
{
    struct running running = start();
    char path[128];

    (void)state;
    work(&running, 0, 6);
    stop(&running);
    snprintf(path, sizeof path, "%s/company", folder);
    assert_int_equal(truncate(path, 20), 0);
    running = start();
    work(&running, 6, 12);
    await_grade(&running, "bot", GRADE_FLAGGED);
    stop(&running);
}

/* ---- modes ----------------------------------------------------------------------- */

static void test_shadow_flags_nobody(void **state)
{
    struct running running;
    struct seen seen;

    (void)state;
    config.detection.mode = DETECTION_SHADOW;
    running = start();
    work(&running, 0, BOT_TURNS);
    await_grade(&running, "bot", GRADE_WATCH);
    config.detection.mode = DETECTION_ON;
    analyst_reload(running.analyst, &config);
    assert_int_equal(grade_of_caller(&running, "bot"), GRADE_FLAGGED);
    config.detection.mode = DETECTION_OFF;
    analyst_reload(running.analyst, &config);
    assert_int_equal(grade_of_caller(&running, "bot"), GRADE_UNRATED);
    stop(&running);
    seen = look();
    assert_int_equal(seen.findings, 1);
    assert_true(seen.shadow);
}

static void test_a_dismissal_clears(void **state)
{
    const struct remark_row remark = {
        .at_ms = 1, .kind = "dismissal", .by = "auditor", .words = "a nightly test"
    };
    struct running running = start();
    struct error error;

    (void)state;
    work(&running, 0, BOT_TURNS);
    await_grade(&running, "bot", GRADE_FLAGGED);
    error_init(&error);
    assert_true(finding_remark(folder, await_finding(), &remark, &error));
    assert_false(finding_remark(folder, 999, &remark, &error));
    error_done(&error);
    await_grade(&running, "bot", GRADE_CLEAR);
    work(&running, BOT_TURNS, BOT_TURNS + 4);
    stop(&running);
    assert_int_equal(look().findings, 1);
    assert_int_equal(look().status, FINDING_DISMISSED);
    running = start();
    assert_int_equal(grade_of_caller(&running, "bot"), GRADE_CLEAR);
    stop(&running);
}

/* All of it is months old: with a day's retention nothing of it is left. */
static void test_what_is_past_its_time_is_deleted(void **state)
{
    const struct timespec pause = { .tv_nsec = 5000000 };
    struct running running = start();
    char path[128];

    (void)state;
    work(&running, 0, BOT_TURNS);
    stop(&running);
    snprintf(path, sizeof path, "%s/turns/2026-03-02", folder);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(look().findings, 1);
    config.retention = (struct config_retention){ .turns_days = 1, .findings_days = 1 };
    running = start();
    for (unsigned i = 0; i < 12000 && access(path, F_OK) == 0; i++) {
        nanosleep(&pause, NULL);
    }
    stop(&running);
    assert_int_equal(access(path, F_OK), -1);
    config.retention.findings_days = 3650;
    running = start();
    assert_int_equal(grade_of_caller(&running, "bot"), GRADE_UNRATED);
    stop(&running);
}

static void test_a_declared_service_is_no_finding(void **state)
{
    struct running running = start();
    struct entry entry = entry_of("ci");

    (void)state;
    entry.service = 1;
    for (unsigned i = 0; i < BOT_TURNS; i++) {
        struct call call =
            call_of(running.rings[0], &entry, (int64_t)i * 7 * MINUTE, i, 1);

        analyst_hand_over(running.rings[0], &call, &entry);
    }
    assert_int_equal(analyst_grade(running.rings[0], &entry), GRADE_DECLARED);
    stop(&running);
    assert_int_equal(look().findings, 0);
}

/* ---- order and bounds ------------------------------------------------------------ */

struct producer {
    struct analyst_ring *ring;
    unsigned number;
    int64_t now_ms;
};

enum { PRODUCED = 400, AT_ONCE = 4 };

/* Calls that overlap: each ends after the next ones have begun. */
static void *produce(void *self)
{
    struct producer *producer = self;
    struct analyst_open open[AT_ONCE] = { { .open = false } };
    struct call calls[AT_ONCE];
    struct entry entry = entry_of("ana");

    for (unsigned i = 0; i < PRODUCED + AT_ONCE; i++) {
        unsigned slot = i % AT_ONCE;

        if (i >= AT_ONCE) {
            analyst_hand_over(producer->ring, &calls[slot], &entry);
            analyst_closed(producer->ring, &open[slot]);
        }
        if (i < PRODUCED) {
            calls[slot] =
                call_of(producer->ring, &entry, 0, i, producer->number * 10000 + i);
            calls[slot].turn.begin_ms = producer->now_ms + i;
            calls[slot].turn.end_ms = producer->now_ms + i + 9;
            analyst_opened(producer->ring, &open[slot], calls[slot].turn.begin_ms);
        }
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    struct running running = start();
    struct producer producers[WORKERS];
    pthread_t threads[WORKERS];

    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        producers[i] =
            (struct producer){ running.rings[i], i, (int64_t)time(NULL) * 1000 };
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    stop(&running);
    assert_int_equal(observed().rows, WORKERS * PRODUCED);
}

/* One that began first and ends last is looked at first. */
static void test_calls_are_looked_at_as_they_began(void **state)
{
    const struct timespec pause = { .tv_nsec = 300000000 };
    int64_t now_ms = (int64_t)time(NULL) * 1000 - BEGIN_MS;
    struct running running = start();
    struct entry entry = entry_of("ana");
    struct call slow = call_of(running.rings[0], &entry, now_ms, 1, 1);
    struct analyst_open open;

    (void)state;
    analyst_opened(running.rings[0], &open, slow.turn.begin_ms);
    for (unsigned i = 1; i < 20; i++) {
        hand(running.rings[i % WORKERS], "bo", now_ms + 20 - i, i, i);
    }
    nanosleep(&pause, NULL);
    assert_int_equal(observed().rows, 0);
    analyst_hand_over(running.rings[0], &slow, &entry);
    analyst_closed(running.rings[0], &open);
    stop(&running);
    assert_int_equal(observed().rows, 20);
    assert_true(observed().ascending);
}

struct words {
    char text[64 * 1024];
    size_t len;
};

static void collect(void *self, struct span piece)
{
    struct words *words = self;

    assert_true(words->len + piece.len < sizeof words->text);
    memcpy(words->text + words->len, piece.at, piece.len);
    words->len += piece.len;
}

static uint64_t dropped_in(struct metrics_shard *shard)
{
    static const char *const no_states[] = { NULL };
    static struct words words;
    const char *found;

    words = (struct words){ .len = 0 };
    metrics_write(&shard, 1, no_states, collect, &words);
    found = strstr(words.text, "\nassay_turns_dropped_total ");
    assert_non_null(found);
    return strtoull(found + strlen("\nassay_turns_dropped_total "), NULL, 10);
}

/* Nobody takes anything out: what does not fit is dropped at once, and counted. */
static void test_a_full_ring_drops(void **state)
{
    enum { CALLS = 10000 };
    struct running running;
    struct error error;
    uint64_t dropped;

    (void)state;
    error_init(&error);
    running.analyst = analyst_new(&config, WORKERS, &error);
    assert_non_null(running.analyst);
    for (unsigned i = 0; i < WORKERS; i++) {
        running.shards[i] = metrics_shard_new(16);
        running.rings[i] = analyst_ring(running.analyst, i, running.shards[i]);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        hand(running.rings[0], "ana", i, i, i);
    }
    dropped = dropped_in(running.shards[0]);
    assert_in_range(dropped, 1, CALLS - 1);
    assert_true(analyst_start(running.analyst, &config, &error));
    stop(&running);
    assert_int_equal(observed().rows, CALLS - dropped);
    error_done(&error);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        CASE(test_a_bot_is_found_and_a_person_is_not),
        CASE(test_a_restart_keeps_all),
        CASE(test_a_killed_process_loses_nothing_observed),
        CASE(test_without_the_company_file_the_calls_tell),
        CASE(test_shadow_flags_nobody),
        CASE(test_a_dismissal_clears),
        CASE(test_what_is_past_its_time_is_deleted),
        CASE(test_a_declared_service_is_no_finding),
        CASE(test_threads_lose_nothing),
        CASE(test_calls_are_looked_at_as_they_began),
        CASE(test_a_full_ring_drops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
