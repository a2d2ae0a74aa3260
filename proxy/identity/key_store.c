#include "proxy/identity/key_store.h"

#include "proxy/base/text.h"
#include "proxy/meter/database.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* SCHEMA_VERSION stands in the file as user_version. */
enum { SCHEMA_VERSION = 2, BUSY_TIMEOUT_MS = 2000 };

static const struct error_place nowhere = { 0 };

static bool store_failed(sqlite3 *db, const char *what, struct error *error)
{
    error_add(error, nowhere, "%s: cannot %s: %s", sqlite3_db_filename(db, "main"),
              what, sqlite3_errmsg(db));
    return false;
}

/* A file that came from elsewhere (a backup, a copy) loses its looser mode. */
static bool file_restrict(const char *path)
{
    struct stat file;

    return stat(path, &file) == 0 &&
           ((file.st_mode & 077) == 0 || chmod(path, 0600) == 0);
}

static bool store_make(const char *state, const char *path, struct error *error)
{
    if (mkdir(state, 0700) != 0 && errno != EEXIST) {
        error_add(error, nowhere, "%s: cannot make the state folder: %s", state,
                  strerror(errno));
        return false;
    }
    if (!database_make(path, state) || !file_restrict(path)) {
        error_add(error, nowhere, "%s: cannot make the store of keys: %s", path,
                  strerror(errno));
        return false;
    }
    return true;
}

/* Also makes a store of version 1, which had no members, one of this version. */
static const char *const schema[] = {
    "BEGIN IMMEDIATE",
    "CREATE TABLE IF NOT EXISTS keys ("
    " digest BLOB PRIMARY KEY NOT NULL,"
    " id TEXT NOT NULL UNIQUE,"
    " team TEXT NOT NULL,"
    " caller TEXT NOT NULL,"
    " label TEXT NOT NULL,"
    " created INTEGER NOT NULL,"
    " expires INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS members ("
    " team TEXT NOT NULL,"
    " caller TEXT NOT NULL,"
    " service INTEGER NOT NULL,"
    " alias TEXT NOT NULL,"
    " tags TEXT NOT NULL,"
    " PRIMARY KEY (team, caller)"
    ") STRICT, WITHOUT ROWID",
    "PRAGMA user_version = 2",
    "COMMIT",
    NULL,
};

static bool store_prepare(sqlite3 *db, struct error *error)
{
    int64_t version = 0;

    sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    if (!database_run(db, "PRAGMA journal_mode = WAL", NULL) ||
        !database_run(db, "PRAGMA user_version", &version) ||
        (version < SCHEMA_VERSION && !database_run_all(db, schema))) {
        return store_failed(db, "open the store of keys", error);
    }
    if (version > SCHEMA_VERSION) {
        error_add(error, nowhere, "%s: was written by a newer assay (version %lld)",
                  sqlite3_db_filename(db, "main"), (long long)version);
        return false;
    }
    return true;
}

sqlite3 *key_store_open(const char *state, struct error *error)
{
    char path[PATH_MAX];
    sqlite3 *db = NULL;

    if (snprintf(path, sizeof path, "%s/keys.db", state) >= (int)sizeof path) {
        error_add(error, nowhere, "%s: the path is too long", state);
        return NULL;
    }
    if (!store_make(state, path, error)) {
        return NULL;
    }
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        error_add(error, nowhere, "%s: cannot open the store of keys: %s", path,
                  sqlite3_errmsg(db));
        return key_store_close(db);
    }
    return store_prepare(db, error) ? db : key_store_close(db);
}

sqlite3 *key_store_close(sqlite3 *db)
{
    sqlite3_close(db);
    return NULL;
}

bool key_store_begin(sqlite3 *db, struct error *error)
{
    return database_run(db, "BEGIN IMMEDIATE", NULL) ||
           store_failed(db, "lock the keys", error);
}

bool key_store_commit(sqlite3 *db, struct error *error)
{
    return database_run(db, "COMMIT", NULL) ||
           store_failed(db, "write the keys", error);
}

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    /* A failed bind leaves NULL behind, which the schema refuses. */
    (void)sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}

bool key_store_insert(sqlite3 *db, const struct key_row *row, struct error *error)
{
    const struct key_record *record = &row->record;
    sqlite3_stmt *statement;
    bool done = false;

    if (sqlite3_prepare_v2(db,
                           "INSERT INTO keys (digest, id, team, caller, label,"
                           " created, expires, revoked) VALUES (?, ?, ?, ?, ?, ?, ?, "
                           "?)",
                           -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_blob(statement, 1, row->digest.bytes, KEY_DIGEST_SIZE,
                          SQLITE_STATIC);
        bind_text(statement, 2, record->id);
        bind_text(statement, 3, record->team);
        bind_text(statement, 4, record->caller);
        bind_text(statement, 5, record->label);
        sqlite3_bind_int64(statement, 6, record->created);
        sqlite3_bind_int64(statement, 7, record->expires);
        sqlite3_bind_int64(statement, 8, record->revoked);
        done = sqlite3_step(statement) == SQLITE_DONE;
    }
    if (!done) {
        store_failed(db, "add a key", error);
    }
    sqlite3_finalize(statement);
    return done;
}

static struct span column_span(sqlite3_stmt *statement, int column)
{
    return span_text((const char *)sqlite3_column_text(statement, column));
}

/* False for a row that no assay wrote: a digest of another length, a text too long. */
static bool row_read(sqlite3_stmt *statement, struct key_row *row)
{
    struct key_record *record = &row->record;
    const void *digest = sqlite3_column_blob(statement, 0);

    if (digest == NULL || sqlite3_column_bytes(statement, 0) != KEY_DIGEST_SIZE) {
        return false;
    }
    memcpy(row->digest.bytes, digest, KEY_DIGEST_SIZE);
    record->created = sqlite3_column_int64(statement, 5);
    record->expires = sqlite3_column_int64(statement, 6);
    record->revoked = sqlite3_column_int64(statement, 7);
    return text_store(record->id, sizeof record->id, column_span(statement, 1)) &&
           text_store(record->team, sizeof record->team, column_span(statement, 2)) &&
           text_store(record->caller, sizeof record->caller,
                      column_span(statement, 3)) &&
           text_store(record->label, sizeof record->label, column_span(statement, 4));
}

static bool row_damaged(sqlite3 *db, struct error *error)
{
    error_add(error, nowhere, "%s: holds a damaged row",
              sqlite3_db_filename(db, "main"));
    return false;
}

static bool rows_walk(sqlite3 *db, sqlite3_stmt *statement,
                      bool (*each)(void *self, const struct key_row *), void *self,
                      struct error *error)
{
    struct key_row row;
    int result;

    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!row_read(statement, &row)) {
            return row_damaged(db, error);
        }
        if (!each(self, &row)) {
            return false;
        }
    }
    return result == SQLITE_DONE || store_failed(db, "read the keys", error);
}

bool key_store_each(sqlite3 *db, bool (*each)(void *self, const struct key_row *),
                    void *self, struct error *error)
{
    sqlite3_stmt *statement;
    bool done;

    if (sqlite3_prepare_v2(db,
                           "SELECT digest, id, team, caller, label, created, expires,"
                           " revoked FROM keys ORDER BY created, id",
                           -1, &statement, NULL) != SQLITE_OK) {
        return store_failed(db, "read the keys", error);
    }
    done = rows_walk(db, statement, each, self, error);
    sqlite3_finalize(statement);
    return done;
}

static bool id_unknown(const char *id, struct error *error)
{
    error_add(error, nowhere, "no key has the id '%s'; see assay keys list", id);
    return false;
}

struct search {
    const char *id;
    struct key_record *record;
    bool found;
};

static bool search_row(void *self, const struct key_row *row)
{
    struct search *search = self;

    if (strcmp(row->record.id, search->id) == 0) {
        *search->record = row->record;
        search->found = true;
    }
    return true;
}

bool key_store_find(sqlite3 *db, const char *id, struct key_record *record,
                    struct error *error)
{
    struct search search = { .id = id, .record = record };

    if (!key_store_each(db, search_row, &search, error)) {
        return false;
    }
    return search.found || id_unknown(id, error);
}

bool key_store_revoke(sqlite3 *db, const char *id, int64_t at, struct error *error)
{
    sqlite3_stmt *statement;
    bool done = false;

    if (sqlite3_prepare_v2(db,
                           "UPDATE keys SET revoked ="
                           " CASE WHEN revoked = 0 THEN ?1 ELSE min(revoked, ?1) END"
                           " WHERE id = ?2",
                           -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, at);
        bind_text(statement, 2, id);
        done = sqlite3_step(statement) == SQLITE_DONE;
    }
    if (!done) {
        store_failed(db, "revoke a key", error);
    }
    sqlite3_finalize(statement);
    return done && (sqlite3_changes(db) == 1 || id_unknown(id, error));
}
