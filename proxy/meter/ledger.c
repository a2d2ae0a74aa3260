#include "proxy/meter/ledger.h"

#include "proxy/base/clock.h"
#include "proxy/meter/ledger_sql.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* Workers do not wake the writer, which would cost them a system call per exchange: it
 * looks after BUSY_MS while there is traffic, sooner while the journals fill up
 * quickly, and after IDLE_MS where there was none. */
enum { HURRY_MS = 10, BUSY_MS = 50, IDLE_MS = LEDGER_WINDOW_MS };

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 2000 };

/* Entries of one transaction at most. */
enum { BATCH_MAX = 4096 };

/* Old entries are deleted so many at a time, and are looked for so often; names that
 * are left over take a look at every entry. */
enum { FORGET_BATCH = 500, FORGET_S = 3600, FORGET_NAMES_S = 24 * 3600 };

struct ledger {
    struct ledger_db *db;
    struct journal **journals;
    size_t count;
    uint64_t slots; /* of all journals */
    void (*written)(void *self, const struct entry *entry);
    void *self;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of `stop` */
    pthread_cond_t wake;
    bool stop;
    _Atomic bool healthy;
    _Atomic uint32_t keep_days;          /* 0: for ever */
    uint64_t forget_ns, forget_names_ns; /* monotonic: when to look again */
    bool forgot;                         /* since names were looked for */
    size_t batch_count;
    const struct entry *batch[BATCH_MAX];
};

static void init_wake(struct ledger *ledger)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&ledger->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ledger->wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct ledger *ledger_open(const char *directory, void (*tell)(const char *words),
                           struct error *error)
{
    struct ledger_db *db = ledger_db_open(directory, tell, error);
    struct ledger *ledger;

    if (db == NULL) {
        return NULL;
    }
    ledger = calloc(1, sizeof *ledger);
    CHECK(ledger != NULL);
    ledger->db = db;
    atomic_init(&ledger->healthy, true);
    init_wake(ledger);
    return ledger;
}

struct ledger *ledger_close(struct ledger *ledger)
{
    if (ledger == NULL) {
        return NULL;
    }
    ledger_stop(ledger);
    ledger_db_close(ledger->db);
    pthread_mutex_destroy(&ledger->lock);
    pthread_cond_destroy(&ledger->wake);
    free(ledger->journals);
    free(ledger);
    return NULL;
}

/* ---- recovery -------------------------------------------------------------------- */

struct recovery {
    struct ledger_db *db;
    bool good;
};

static void recover_one(void *self, struct entry *entry)
{
    struct recovery *recovery = self;
    const struct entry *const one = entry;

    recovery->good = recovery->good && ledger_db_add(recovery->db, &one, 1);
}

bool ledger_recover(struct ledger *ledger, struct journal *journal, struct error *error)
{
    struct recovery recovery = { ledger->db, true };

    if (journal_in_use(journal) == 0) {
        return true;
    }
    recovery.good = ledger_db_begin(ledger->db);
    if (recovery.good) {
        journal_recover(journal, recover_one, &recovery);
    }
    if (!recovery.good || !ledger_db_commit(ledger->db) ||
        !ledger_db_sync(ledger->db)) {
        error_add(error, (struct error_place){ 0 },
                  "ledger: what the journal holds cannot be written: %s",
                  ledger_db_reason(ledger->db));
        ledger_db_rollback(ledger->db);
        return false;
    }
    return journal_recovered(journal, error);
}

/* ---- the writer's thread --------------------------------------------------------- */

static void gather(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        while (ledger->batch_count < BATCH_MAX) {
            const struct entry *entry = journal_peek(ledger->journals[i]);

            if (entry == NULL) {
                break;
            }
            ledger->batch[ledger->batch_count++] = entry;
        }
    }
}

static int by_id(const void *a, const void *b)
{
    const struct entry *const *one = a, *const *other = b;

    return (*one)->id < (*other)->id ? -1 : (*one)->id > (*other)->id;
}

static bool write_batch(struct ledger *ledger)
{
    if (!ledger_db_begin(ledger->db) ||
        !ledger_db_add(ledger->db, ledger->batch, ledger->batch_count) ||
        !ledger_db_commit(ledger->db)) {
        ledger_db_rollback(ledger->db);
        return false;
    }
    return true;
}

static void give_back(struct ledger *ledger)
{
    for (size_t i = 0; ledger->written != NULL && i < ledger->batch_count; i++) {
        ledger->written(ledger->self, ledger->batch[i]);
    }
    ledger->batch_count = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        journal_release(ledger->journals[i]);
    }
}

static void sync_written(struct ledger *ledger)
{
    atomic_store_explicit(&ledger->healthy, ledger_db_sync(ledger->db),
                          memory_order_relaxed);
}

enum written { WROTE_NOTHING, WROTE_SOME, WROTE_MANY, WRITE_FAILED };

/* Writes what is settled, or what could not be written before. */
static enum written write_settled(struct ledger *ledger)
{
    bool many;

    if (ledger->batch_count == 0) {
        gather(ledger);
        /* Ascending keys go to the end of the table, where its last page is at hand. */
        qsort(ledger->batch, ledger->batch_count, sizeof(const struct entry *), by_id);
    }
    if (ledger->batch_count == 0) {
        if (!ledger_healthy(ledger)) {
            sync_written(ledger);
        }
        return WROTE_NOTHING;
    }
    if (!write_batch(ledger)) {
        atomic_store_explicit(&ledger->healthy, false, memory_order_relaxed);
        return WRITE_FAILED;
    }
    many = ledger->batch_count > ledger->slots / 4 || ledger->batch_count == BATCH_MAX;
    give_back(ledger);
    sync_written(ledger);
    return many ? WROTE_MANY : WROTE_SOME;
}

static void forget_names(struct ledger *ledger, uint64_t now_ns)
{
    if (ledger->forgot && now_ns >= ledger->forget_names_ns &&
        ledger_db_forget_names(ledger->db)) {
        ledger->forgot = false;
        ledger->forget_names_ns = now_ns + (uint64_t)FORGET_NAMES_S * NS_PER_S;
    }
}

/* Deletes some of what is kept no longer. */
static void forget_some(struct ledger *ledger)
{
    uint64_t days = atomic_load_explicit(&ledger->keep_days, memory_order_relaxed);
    uint64_t age_ns = days * 24 * 3600 * NS_PER_S;
    uint64_t now_ns = clock_monotonic_ns(), unix_ns = clock_unix_ns();
    int forgotten;

    if (days == 0 || now_ns < ledger->forget_ns || age_ns > unix_ns) {
        return;
    }
    forgotten =
        ledger_db_forget(ledger->db, entry_id_at(unix_ns - age_ns), FORGET_BATCH);
    ledger->forgot |= forgotten > 0;
    if (forgotten < FORGET_BATCH) {
        ledger->forget_ns = now_ns + (uint64_t)FORGET_S * NS_PER_S;
        forget_names(ledger, now_ns);
    }
}

/* How long to sleep after that. */
static unsigned pause_ms(enum written written, unsigned *retry_ms)
{
    unsigned pause = *retry_ms;

    if (written == WRITE_FAILED) {
        *retry_ms = pause < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS;
        return pause;
    }
    *retry_ms = RETRY_MIN_MS;
    return written == WROTE_NOTHING ? IDLE_MS
           : written == WROTE_SOME  ? BUSY_MS
                                    : HURRY_MS;
}

static struct timespec after_ms(unsigned ms)
{
    uint64_t at = clock_monotonic_ns() + (uint64_t)ms * NS_PER_MS;

    return (struct timespec){ .tv_sec = (time_t)(at / NS_PER_S),
                              .tv_nsec = (long)(at % NS_PER_S) };
}

/* Returns true once the thread shall end. */
static bool sleep_ms(struct ledger *ledger, unsigned ms)
{
    struct timespec until = after_ms(ms);
    bool stop;

    pthread_mutex_lock(&ledger->lock);
    while (!ledger->stop && ms > 0 &&
           pthread_cond_timedwait(&ledger->wake, &ledger->lock, &until) == 0) {
    }
    stop = ledger->stop;
    pthread_mutex_unlock(&ledger->lock);
    return stop;
}

static void *write_until_stopped(void *argument)
{
    struct ledger *ledger = argument;
    unsigned retry_ms = RETRY_MIN_MS;
    enum written written;

    do {
        written = write_settled(ledger);
        if (written == WROTE_NOTHING || written == WROTE_SOME) {
            forget_some(ledger);
        }
    } while (!sleep_ms(ledger, pause_ms(written, &retry_ms)));
    /* What still cannot be written stays in the journal for the next start. */
    do {
        written = write_settled(ledger);
    } while (written == WROTE_SOME || written == WROTE_MANY);
    return NULL;
}

bool ledger_start(struct ledger *ledger, struct journal **journals, size_t count,
                  void (*written)(void *self, const struct entry *entry), void *self,
                  struct error *error)
{
    int result;

    CHECK(!ledger->started);
    free(ledger->journals);
    ledger->journals = calloc(count, sizeof(struct journal *));
    CHECK(ledger->journals != NULL || count == 0);
    memcpy(ledger->journals, journals, count * sizeof(struct journal *));
    ledger->count = count;
    ledger->slots = 0;
    for (size_t i = 0; i < count; i++) {
        ledger->slots += journal_slots(journals[i]);
    }
    ledger->written = written;
    ledger->self = self;
    ledger->stop = false;
    result = pthread_create(&ledger->thread, NULL, write_until_stopped, ledger);
    if (result != 0) {
        error_add(error, (struct error_place){ 0 }, "ledger: no thread to write it: %s",
                  strerror(result));
        return false;
    }
    pthread_setname_np(ledger->thread, "assay-ledger");
    ledger->started = true;
    return true;
}

void ledger_stop(struct ledger *ledger)
{
    if (!ledger->started) {
        return;
    }
    pthread_mutex_lock(&ledger->lock);
    ledger->stop = true;
    pthread_cond_signal(&ledger->wake);
    pthread_mutex_unlock(&ledger->lock);
    pthread_join(ledger->thread, NULL);
    ledger->started = false;
}

void ledger_keep(struct ledger *ledger, uint32_t days)
{
    atomic_store_explicit(&ledger->keep_days, days, memory_order_relaxed);
}

bool ledger_healthy(const struct ledger *ledger)
{
    return atomic_load_explicit(&ledger->healthy, memory_order_relaxed);
}
