#include "proxy/meter/finding_store.h"

#include "proxy/meter/database.h"
#include "proxy/meter/finding_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    FINDINGS_SCHEMA = 1,
    PATH_SIZE = 4096,
    BUSY_MS = 2000,
    MS_PER_HOUR = 3600 * 1000
};

/* "asaf" */
#define FINDINGS_APPLICATION "1634951526"

static const char *const schema[] = {
    "BEGIN IMMEDIATE",
    "CREATE TABLE identity (id INTEGER PRIMARY KEY, team TEXT, caller TEXT,"
    " grade INTEGER NOT NULL DEFAULT 0, score REAL NOT NULL DEFAULT 0,"
    " turns INTEGER NOT NULL DEFAULT 0, seen_ms INTEGER NOT NULL DEFAULT 0,"
    " number INTEGER NOT NULL DEFAULT 0, layout INTEGER NOT NULL DEFAULT 0,"
    " checksum INTEGER NOT NULL DEFAULT 0, state BLOB) STRICT",
    "CREATE INDEX identity_caller ON identity (caller)",
    "CREATE TABLE score (identity INTEGER NOT NULL, hour INTEGER NOT NULL,"
    " score REAL NOT NULL, PRIMARY KEY (identity, hour)) STRICT, WITHOUT ROWID",
    "CREATE TABLE finding (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " identity INTEGER NOT NULL, team TEXT NOT NULL, caller TEXT NOT NULL,"
    " status INTEGER NOT NULL DEFAULT 0, shadow INTEGER NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL, score REAL NOT NULL, threshold REAL NOT NULL,"
    " evidence TEXT NOT NULL, clears TEXT NOT NULL) STRICT",
    "CREATE INDEX finding_identity ON finding (identity)",
    "CREATE TABLE remark (finding INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    " kind TEXT NOT NULL, by TEXT NOT NULL, words TEXT NOT NULL) STRICT",
    "CREATE INDEX remark_finding ON remark (finding)",
    "CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID",
    "PRAGMA application_id = " FINDINGS_APPLICATION,
    "PRAGMA user_version = 1",
    "COMMIT",
    NULL,
};

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    SAVE,
    LOAD,
    RATE,
    NOTE_SCORE,
    NAME,
    FIND_AGAIN,
    FIND_NEW,
    VERSION,
    EXPIRE_REMARKS,
    EXPIRE_FINDINGS,
    EXPIRE_SCORES,
    EXPIRE_IDENTITIES,
    STATEMENTS
};

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SAVE] = "INSERT INTO identity (id, number, layout, checksum, state)"
             " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET"
             " number = ?2, layout = ?3, checksum = ?4, state = ?5",
    [LOAD] = "SELECT number, checksum, state FROM identity"
             " WHERE id = ?1 AND layout = ?2 AND state IS NOT NULL",
    [RATE] = "INSERT INTO identity (id, team, caller, grade, score, turns, seen_ms)"
             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET"
             " team = coalesce(?2, team), caller = coalesce(?3, caller), grade = ?4,"
             " score = ?5, turns = ?6, seen_ms = ?7",
    [NOTE_SCORE] = "INSERT INTO score VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE"
                   " SET score = max(score, ?3)",
    [NAME] = "SELECT team, caller FROM identity WHERE id = ?1 AND caller IS NOT NULL",
    [FIND_AGAIN] =
        "UPDATE finding SET last_ms = ?2, score = max(score, ?4), evidence = ?5,"
        " clears = coalesce(?6, clears), shadow = min(shadow, ?7),"
        " expires_ms = CASE status WHEN 2 THEN expires_ms ELSE max(expires_ms, ?3) END"
        " WHERE identity = ?1 AND expires_ms > ?2",
    [FIND_NEW] =
        "INSERT INTO finding (identity, team, caller, shadow, first_ms, last_ms,"
        " expires_ms, score, threshold, evidence, clears)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10)",
    [VERSION] = "PRAGMA data_version",
    [EXPIRE_REMARKS] = "DELETE FROM remark WHERE finding IN (SELECT id FROM finding"
                       " WHERE expires_ms <= ?1 OR last_ms < ?2)",
    [EXPIRE_FINDINGS] = "DELETE FROM finding WHERE expires_ms <= ?1 OR last_ms < ?2",
    [EXPIRE_SCORES] = "DELETE FROM score WHERE hour < ?2 / 3600000",
    [EXPIRE_IDENTITIES] = "DELETE FROM identity WHERE seen_ms < ?2 AND NOT EXISTS"
                          " (SELECT 1 FROM finding WHERE identity = identity.id)",
};

struct finding_store {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[STATEMENTS];
    bool begun;
    bool failed; /* within the transaction */
    int64_t version;
};

/* ---- opening --------------------------------------------------------------------- */

static bool fail(struct error *error, const char *path, const char *why)
{
    error_add(error, (struct error_place){ 0 }, "findings %s: %s", path, why);
    return false;
}

static bool make_path(const char *state, char path[PATH_SIZE], struct error *error)
{
    int length = snprintf(path, PATH_SIZE, "%s/findings.db", state);

    return (length > 0 && length < PATH_SIZE) ||
           fail(error, state, "has too long a path");
}

static bool make_schema(sqlite3 *sqlite)
{
    static const char *const settings[] = {
        "PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL",
        "PRAGMA secure_delete = ON", "PRAGMA journal_size_limit = 16777216", NULL
    };
    int64_t version = 0;

    return database_run_all(sqlite, settings) &&
           database_run(sqlite, "PRAGMA user_version", &version) &&
           (version != 0 || database_run_all(sqlite, schema));
}

static bool is_ours(sqlite3 *sqlite, const char *path, struct error *error)
{
    int64_t version = 0, application = 0;

    if (!database_run(sqlite, "PRAGMA user_version", &version) ||
        !database_run(sqlite, "PRAGMA application_id", &application)) {
        return fail(error, path, sqlite3_errmsg(sqlite));
    }
    if (version > FINDINGS_SCHEMA) {
        return fail(error, path, "was written by a newer version of assay");
    }
    return version == 0 || application == strtoll(FINDINGS_APPLICATION, NULL, 10) ||
           fail(error, path, "is a database of another program");
}

static struct finding_store *open_store(const char *path, int flags,
                                        struct error *error)
{
    struct finding_store *store = calloc(1, sizeof *store);

    CHECK(store != NULL);
    if (sqlite3_open_v2(path, &store->sqlite, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        fail(error, path,
             store->sqlite == NULL ? "no memory" : sqlite3_errmsg(store->sqlite));
        return finding_store_close(store);
    }
    sqlite3_busy_timeout(store->sqlite, BUSY_MS);
    return is_ours(store->sqlite, path, error) ? store : finding_store_close(store);
}

struct finding_store *finding_store_open(const char *state, struct error *error)
{
    char path[PATH_SIZE];
    struct finding_store *store;

    if (!make_path(state, path, error)) {
        return NULL;
    }
    if (!database_make(path, state)) {
        fail(error, path, strerror(errno));
        return NULL;
    }
    store = open_store(path, SQLITE_OPEN_READWRITE, error);
    if (store == NULL) {
        return NULL;
    }
    if (!make_schema(store->sqlite)) {
        fail(error, path, sqlite3_errmsg(store->sqlite));
        return finding_store_close(store);
    }
    for (unsigned i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(store->sqlite, statements[i], -1,
                               SQLITE_PREPARE_PERSISTENT, &store->statements[i],
                               NULL) != SQLITE_OK) {
            fail(error, path, sqlite3_errmsg(store->sqlite));
            return finding_store_close(store);
        }
    }
    (void)finding_store_changed(store);
    return store;
}

struct finding_store *finding_store_read(const char *state, struct error *error)
{
    char path[PATH_SIZE];
    int64_t version = 0;
    struct finding_store *store;

    if (!make_path(state, path, error) || access(path, F_OK) != 0) {
        return NULL;
    }
    store = open_store(path, SQLITE_OPEN_READONLY, error);
    if (store != NULL &&
        (!database_run(store->sqlite, "PRAGMA user_version", &version) ||
         version == 0)) {
        return finding_store_close(store); /* being made */
    }
    return store;
}

struct finding_store *finding_store_close(struct finding_store *store)
{
    if (store != NULL) {
        for (unsigned i = 0; i < STATEMENTS; i++) {
            sqlite3_finalize(store->statements[i]);
        }
        sqlite3_close(store->sqlite);
        free(store);
    }
    return NULL;
}

sqlite3 *finding_store_sqlite(const struct finding_store *store)
{
    return store->sqlite;
}

/* ---- statements ------------------------------------------------------------------ */

static bool step(struct finding_store *store, sqlite3_stmt *statement)
{
    bool good = sqlite3_step(statement) == SQLITE_DONE;

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    store->failed = store->failed || !good;
    return good;
}

static void begin(struct finding_store *store)
{
    if (!store->begun) {
        store->failed = false;
        store->begun = step(store, store->statements[BEGIN]);
    }
}

bool finding_store_commit(struct finding_store *store)
{
    bool good;

    if (!store->begun) {
        return true;
    }
    good = !store->failed && step(store, store->statements[COMMIT]);
    if (!good && sqlite3_get_autocommit(store->sqlite) == 0) {
        (void)step(store, store->statements[ROLLBACK]);
    }
    store->begun = false;
    return good;
}

/* ---- states ---------------------------------------------------------------------- */

void finding_store_save(struct finding_store *store, uint64_t identity, uint64_t number,
                        unsigned layout, struct span packed)
{
    sqlite3_stmt *statement = store->statements[SAVE];

    begin(store);
    sqlite3_bind_int64(statement, 1, (int64_t)identity);
    sqlite3_bind_int64(statement, 2, (int64_t)number);
    sqlite3_bind_int64(statement, 3, layout);
    sqlite3_bind_int64(statement, 4,
                       (int64_t)XXH3_64bits_withSeed(packed.at, packed.len, number));
    sqlite3_bind_blob(statement, 5, packed.at, (int)packed.len, SQLITE_STATIC);
    (void)step(store, statement);
}

size_t finding_store_load(struct finding_store *store, uint64_t identity,
                          unsigned layout, uint64_t *number, char *packed, size_t room)
{
    sqlite3_stmt *statement = store->statements[LOAD];
    size_t length = 0;

    sqlite3_bind_int64(statement, 1, (int64_t)identity);
    sqlite3_bind_int64(statement, 2, layout);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const void *state = sqlite3_column_blob(statement, 2);
        size_t bytes = (size_t)sqlite3_column_bytes(statement, 2);

        *number = (uint64_t)sqlite3_column_int64(statement, 0);
        if (state != NULL && bytes <= room &&
            (int64_t)XXH3_64bits_withSeed(state, bytes, *number) ==
                sqlite3_column_int64(statement, 1)) {
            memcpy(packed, state, bytes);
            length = bytes;
        }
    }
    sqlite3_reset(statement);
    return length;
}

/* ---- ratings and findings -------------------------------------------------------- */

void finding_store_rate(struct finding_store *store, const struct suspect_row *row)
{
    sqlite3_stmt *statement = store->statements[RATE];

    begin(store);
    sqlite3_bind_int64(statement, 1, (int64_t)row->identity);
    database_bind(statement, 2, row->team);
    database_bind(statement, 3, row->caller);
    sqlite3_bind_int64(statement, 4, row->grade);
    sqlite3_bind_double(statement, 5, row->score);
    sqlite3_bind_int64(statement, 6, row->turns);
    sqlite3_bind_int64(statement, 7, row->seen_ms);
    (void)step(store, statement);
    if (row->score > 0) {
        statement = store->statements[NOTE_SCORE];
        sqlite3_bind_int64(statement, 1, (int64_t)row->identity);
        sqlite3_bind_int64(statement, 2, row->seen_ms / MS_PER_HOUR);
        sqlite3_bind_double(statement, 3, row->score);
        (void)step(store, statement);
    }
}

bool finding_store_name(struct finding_store *store, uint64_t identity, char team[32],
                        char caller[48])
{
    sqlite3_stmt *statement = store->statements[NAME];
    bool found;

    sqlite3_bind_int64(statement, 1, (int64_t)identity);
    found = sqlite3_step(statement) == SQLITE_ROW;
    if (found) {
        (void)text_store(team, 32, span_text(database_text(statement, 0)));
        (void)text_store(caller, 48, span_text(database_text(statement, 1)));
    }
    sqlite3_reset(statement);
    return found;
}

bool finding_store_again(struct finding_store *store, const struct finding_row *row)
{
    sqlite3_stmt *statement = store->statements[FIND_AGAIN];

    begin(store);
    sqlite3_bind_int64(statement, 1, (int64_t)row->identity);
    sqlite3_bind_int64(statement, 2, row->last_ms);
    sqlite3_bind_int64(statement, 3, row->expires_ms);
    sqlite3_bind_double(statement, 4, row->score);
    sqlite3_bind_text(statement, 5, row->evidence, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 6, row->clears, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 7, row->shadow);
    return step(store, statement) && sqlite3_changes(store->sqlite) > 0;
}

bool finding_store_found(struct finding_store *store, const struct finding_row *row)
{
    sqlite3_stmt *statement = store->statements[FIND_NEW];

    if (finding_store_again(store, row)) {
        return false;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)row->identity);
    sqlite3_bind_text(statement, 2, row->team, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, row->caller, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, row->shadow);
    sqlite3_bind_int64(statement, 5, row->last_ms);
    sqlite3_bind_int64(statement, 6, row->expires_ms);
    sqlite3_bind_double(statement, 7, row->score);
    sqlite3_bind_double(statement, 8, row->threshold);
    sqlite3_bind_text(statement, 9, row->evidence, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 10, row->clears, -1, SQLITE_STATIC);
    return step(store, statement);
}

bool finding_store_changed(struct finding_store *store)
{
    sqlite3_stmt *statement = store->statements[VERSION];
    int64_t version = store->version;

    if (sqlite3_step(statement) == SQLITE_ROW) {
        version = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    if (version == store->version) {
        return false;
    }
    store->version = version;
    return true;
}

bool finding_store_sync(struct finding_store *store)
{
    return sqlite3_wal_checkpoint_v2(store->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                     NULL, NULL) == SQLITE_OK;
}

void finding_store_expire(struct finding_store *store, int64_t now_ms,
                          int64_t before_ms)
{
    begin(store);
    for (unsigned i = EXPIRE_REMARKS; i <= EXPIRE_IDENTITIES; i++) {
        (void)sqlite3_bind_int64(store->statements[i], 1, now_ms);
        (void)sqlite3_bind_int64(store->statements[i], 2, before_ms);
        (void)step(store, store->statements[i]);
    }
}

/* ---- calibration ----------------------------------------------------------------- */

/* The conformal quantile: of n people the ceil((n + 1)(1 - ALPHA))-th in the order of
 * their highest scores, the highest where there are too few. */
double finding_store_calibration(struct finding_store *store, uint64_t *people)
{
    static const char sql[] =
        "WITH people AS (SELECT max(score.score) AS highest FROM identity"
        " JOIN score ON score.identity = identity.id WHERE grade <> 4 AND NOT EXISTS"
        " (SELECT 1 FROM finding WHERE finding.identity = identity.id AND status <> 2)"
        " GROUP BY identity.id), n AS (SELECT count(*) AS n FROM people)"
        " SELECT highest, n FROM people, n ORDER BY highest LIMIT 1"
        " OFFSET (SELECT max(0, min(n, (99 * (n + 1) + 99) / 100) - 1) FROM n)";
    sqlite3_stmt *statement;
    double highest = 0;

    *people = 0;
    if (sqlite3_prepare_v2(store->sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        highest = sqlite3_column_double(statement, 0);
        *people = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return highest;
}

/* ---- people ---------------------------------------------------------------------- */

const char *finding_status_name(enum finding_status status)
{
    static const char *const names[] = { [FINDING_OPEN] = "open",
                                         [FINDING_APPEALED] = "appealed",
                                         [FINDING_DISMISSED] = "dismissed" };

    return names[status];
}

static bool add_remark(sqlite3 *sqlite, int64_t finding,
                       const struct remark_row *remark)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(sqlite,
                           "INSERT INTO remark SELECT id, ?2, ?3, ?4, ?5 FROM finding"
                           " WHERE id = ?1",
                           -1, &statement, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_bind_int64(statement, 1, finding);
    sqlite3_bind_int64(statement, 2, remark->at_ms);
    sqlite3_bind_text(statement, 3, remark->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, remark->by, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 5, remark->words, -1, SQLITE_STATIC);
    (void)sqlite3_step(statement);
    return sqlite3_finalize(statement) == SQLITE_OK && sqlite3_changes(sqlite) == 1;
}

/* An appeal against what was dismissed changes nothing any more. */
static bool set_status(sqlite3 *sqlite, int64_t finding, enum finding_status status)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(sqlite,
                           "UPDATE finding SET status = max(status, ?2) WHERE id = ?1",
                           -1, &statement, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_bind_int64(statement, 1, finding);
    sqlite3_bind_int64(statement, 2, status);
    (void)sqlite3_step(statement);
    return sqlite3_finalize(statement) == SQLITE_OK;
}

bool finding_remark(const char *state, int64_t finding, const struct remark_row *remark,
                    struct error *error)
{
    struct finding_store *store;
    enum finding_status status =
        strcmp(remark->kind, "dismissal") == 0 ? FINDING_DISMISSED
        : strcmp(remark->kind, "appeal") == 0  ? FINDING_APPEALED
                                               : FINDING_OPEN;
    char path[PATH_SIZE];
    bool good;

    if (!make_path(state, path, error)) {
        return false;
    }
    if (access(path, F_OK) != 0) {
        return fail(error, path, "nothing was found yet");
    }
    store = open_store(path, SQLITE_OPEN_READWRITE, error);
    if (store == NULL) {
        return false;
    }
    if (!database_run(store->sqlite, "BEGIN IMMEDIATE", NULL)) {
        fail(error, path, sqlite3_errmsg(store->sqlite));
        finding_store_close(store);
        return false;
    }
    good = add_remark(store->sqlite, finding, remark);
    if (!good) {
        error_add(error, (struct error_place){ 0 }, "there is no finding %lld",
                  (long long)finding);
    } else if (!set_status(store->sqlite, finding, status) ||
               !database_run(store->sqlite, "COMMIT", NULL)) {
        good = fail(error, path, sqlite3_errmsg(store->sqlite));
    }
    finding_store_close(store);
    return good;
}
