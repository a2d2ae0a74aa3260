#include "proxy/meter/ledger_upgrade.h"

#include "proxy/base/clock.h"
#include "proxy/meter/database.h"
#include "proxy/meter/ledger_schema.h"

#include <stddef.h>
#include <stdio.h>

/* ---- what became of each schema -------------------------------------------------- */

/* A step leads from one schema to the next, which is past: what it creates is written
 * out here, not taken from ledger_column.def, and never changes. Views come at the end
 * and are always today's. */

static const char *const step_from_1[] = {
    "ALTER TABLE exchange ADD COLUMN reserved_input INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN reserved_output INTEGER NOT NULL DEFAULT 0",
    NULL,
};

static const char *const step_from_2[] = {
    "ALTER TABLE label ADD COLUMN tags TEXT",
    "ALTER TABLE label ADD COLUMN grade TEXT",
    "ALTER TABLE label ADD COLUMN turn TEXT",
    "ALTER TABLE label ADD COLUMN service INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN input_text_bytes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN output_text_bytes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN local_input INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN local_output INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN audio_ms INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN billed_input INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN billed_output INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN object INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE line (exchange INTEGER NOT NULL, number INTEGER NOT NULL, "
    "kind TEXT NOT NULL, model TEXT, within INTEGER NOT NULL, "
    "input INTEGER, cache_read INTEGER, cache_write INTEGER, "
    "output INTEGER, reasoning INTEGER, "
    "cache_write_5m INTEGER, cache_write_30m INTEGER, "
    "cache_write_1h INTEGER, cache_write_12h INTEGER, "
    "input_text INTEGER, input_audio INTEGER, input_image INTEGER, "
    "input_video INTEGER, input_document INTEGER, "
    "output_audio INTEGER, output_image INTEGER, output_rejected INTEGER, "
    "cost_nanousd INTEGER, PRIMARY KEY (exchange, number)) STRICT, WITHOUT ROWID",
    NULL,
};

#define NUMBERS_OF_4                                                                   \
    "duration_us, ttfb_us, ttft_us, overhead_us, request_bytes, response_bytes, "      \
    "events, max_output, reserved_input, reserved_output, input_text_bytes, "          \
    "output_text_bytes, input, cache_read, cache_write, output, reasoning, "           \
    "cost_nanousd"

/* What few exchanges have went from columns of its own into `rare`: what is NULL is
 * left out by json_patch(); a known 0 stays, for these labels have no bits. */
static const char *const step_from_3[] = {
    "DROP VIEW IF EXISTS exchanges",
    "DROP VIEW IF EXISTS lines",
    "ALTER TABLE label ADD COLUMN known_lifetimes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE label ADD COLUMN known_modalities INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange RENAME TO exchange_3",
    "CREATE TABLE exchange (id INTEGER PRIMARY KEY, label INTEGER, lead_us INTEGER, "
    "duration_us INTEGER, ttfb_us INTEGER, ttft_us INTEGER, overhead_us INTEGER, "
    "request_bytes INTEGER, response_bytes INTEGER, "
    "events INTEGER, max_output INTEGER, "
    "reserved_input INTEGER, reserved_output INTEGER, "
    "input_text_bytes INTEGER, output_text_bytes INTEGER, "
    "input INTEGER, cache_read INTEGER, cache_write INTEGER, "
    "output INTEGER, reasoning INTEGER, "
    "cost_nanousd INTEGER, rare TEXT) STRICT",
    "INSERT INTO exchange (id, label, lead_us, " NUMBERS_OF_4 ", rare) "
    "SELECT id, label, lead_us, " NUMBERS_OF_4 ", "
    "nullif(json_patch('{}', json_object("
    "'retry', nullif(retry, 0), "
    "'web_searches', nullif(web_searches, 0), "
    "'audio_ms', nullif(audio_ms, 0), "
    "'billed_input', nullif(billed_input, 0), "
    "'billed_output', nullif(billed_output, 0), "
    "'local_input', nullif(local_input, 0), "
    "'local_output', nullif(local_output, 0), "
    "'cache_write_5m', cache_write_5m, "
    "'cache_write_30m', cache_write_30m, "
    "'cache_write_1h', cache_write_1h, "
    "'cache_write_12h', cache_write_12h, "
    "'input_text', input_text, "
    "'input_audio', input_audio, "
    "'input_image', input_image, "
    "'input_video', input_video, "
    "'input_document', input_document, "
    "'output_audio', output_audio, "
    "'output_image', output_image, "
    "'output_rejected', output_rejected, "
    "'reported_nanousd', reported_nanousd)), '{}') FROM exchange_3 ORDER BY id",
    "CREATE TABLE object (exchange INTEGER PRIMARY KEY, hash INTEGER NOT NULL) STRICT",
    "INSERT INTO object SELECT id, object FROM exchange_3 WHERE object <> 0",
    "DROP TABLE exchange_3",
    NULL,
};

static const char *const *const steps[LEDGER_SCHEMA] = {
    [0] = ledger_schema_tables,
    [1] = step_from_1,
    [2] = step_from_2,
    [3] = step_from_3,
};

/* ---- telling how far it is ------------------------------------------------------- */

enum { TELL_S = 10 };

/* So many of SQLite's instructions take some hundredths of a second. */
enum { LOOK_AFTER = 1000 * 1000 };

struct telling {
    void (*tell)(const char *words);
    uint64_t began_ns, told_ns;
};

static unsigned long long seconds_since(uint64_t ns)
{
    return (clock_monotonic_ns() - ns) / NS_PER_S;
}

static int tell_now_and_then(void *self)
{
    struct telling *telling = self;
    char words[80];

    if (seconds_since(telling->told_ns) >= TELL_S) {
        telling->told_ns = clock_monotonic_ns();
        snprintf(words, sizeof words, "the ledger is being rewritten: %llu s so far",
                 seconds_since(telling->began_ns));
        telling->tell(words);
    }
    return 0;
}

static long long mebibytes(sqlite3 *sqlite, const char *pages)
{
    int64_t count = 0, size = 0;

    return database_run(sqlite, pages, &count) &&
                   database_run(sqlite, "PRAGMA page_size", &size)
               ? (long long)(count * size >> 20)
               : 0;
}

static void tell_begin(sqlite3 *sqlite, int64_t from, struct telling *telling)
{
    char words[160];

    snprintf(words, sizeof words,
             "the ledger (%lld MiB) is of an older version (schema %lld) and is being "
             "rewritten",
             mebibytes(sqlite, "PRAGMA page_count"), (long long)from);
    telling->tell(words);
    sqlite3_progress_handler(sqlite, LOOK_AFTER, tell_now_and_then, telling);
}

static void tell_end(sqlite3 *sqlite, const struct telling *telling)
{
    char words[160];

    sqlite3_progress_handler(sqlite, 0, NULL, NULL);
    snprintf(words, sizeof words,
             "the ledger is rewritten, in %llu s: %lld MiB, of which %lld are free for "
             "calls to come",
             seconds_since(telling->began_ns), mebibytes(sqlite, "PRAGMA page_count"),
             mebibytes(sqlite, "PRAGMA freelist_count"));
    telling->tell(words);
}

/* ---- the way --------------------------------------------------------------------- */

static bool take_steps(sqlite3 *sqlite, int64_t from)
{
    if (!database_run(sqlite, "BEGIN IMMEDIATE", NULL)) {
        return false;
    }
    /* The first one creates what is of today. */
    for (int64_t at = from; at < (from == 0 ? 1 : LEDGER_SCHEMA); at++) {
        if (!database_run_all(sqlite, steps[at])) {
            return false;
        }
    }
    return database_run_all(sqlite, ledger_schema_views) &&
           database_run(sqlite, "COMMIT", NULL);
}

/* What the old rows took is as much as the new ones do. To give it back takes an eighth
 * of the time that the steps took, and less of the disk: the write-ahead log, which
 * they have filled, is emptied first. What is not given back is used by calls to
 * come. */
static bool give_back(sqlite3 *sqlite)
{
    static const char *const statements[] = {
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA temp_store = FILE", /* a copy of the ledger is too large for memory */
        "VACUUM",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        NULL,
    };

    return database_run_all(sqlite, statements);
}

static bool upgrade(sqlite3 *sqlite, int64_t from)
{
    if (!take_steps(sqlite, from)) {
        return false;
    }
    if (!give_back(sqlite)) {
        /* It is a good ledger, if a large one. */
        return database_run(sqlite, "PRAGMA temp_store = MEMORY", NULL);
    }
    return true;
}

bool ledger_upgrade(sqlite3 *sqlite, int64_t from, void (*tell)(const char *words))
{
    uint64_t now_ns = clock_monotonic_ns();
    struct telling telling = { tell, now_ns, now_ns };

    if (from == LEDGER_SCHEMA) {
        return true;
    }
    if (from == 0) {
        return take_steps(sqlite, from);
    }
    if (tell == NULL) {
        return upgrade(sqlite, from);
    }
    tell_begin(sqlite, from, &telling);
    if (!upgrade(sqlite, from)) {
        return false;
    }
    tell_end(sqlite, &telling);
    return true;
}
