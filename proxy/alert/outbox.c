#include "proxy/alert/outbox.h"

#include "proxy/base/text.h"
#include "proxy/meter/database.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAITING_MAX = 1000, BUSY_MS = 1000 };

static const char *const schema[] = {
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    /* next_ms is NULL once nothing is to be sent any more. */
    "CREATE TABLE IF NOT EXISTS message ("
    " receiver TEXT NOT NULL, id TEXT NOT NULL, body TEXT, tries INTEGER NOT NULL,"
    " made_ms INTEGER NOT NULL, next_ms INTEGER, keep_ms INTEGER NOT NULL,"
    " PRIMARY KEY (receiver, id)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS due ON message (receiver, next_ms)"
    " WHERE next_ms IS NOT NULL",
    NULL,
};

enum statement { PUT, COUNT, NEXT, LATER, DONE, SWEEP, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [PUT] = "INSERT OR IGNORE INTO message VALUES (?1, ?2, ?3, 0, ?4, ?4, ?5)",
    [COUNT] = "SELECT count(*) FROM message WHERE receiver = ?1 AND next_ms NOT NULL",
    [NEXT] = "SELECT id, body, tries, made_ms, next_ms FROM message"
             " WHERE receiver = ?1 AND next_ms NOT NULL ORDER BY next_ms LIMIT 1",
    [LATER] = "UPDATE message SET tries = tries + 1, next_ms = ?3"
              " WHERE receiver = ?1 AND id = ?2",
    [DONE] = "UPDATE message SET body = NULL, next_ms = NULL"
             " WHERE receiver = ?1 AND id = ?2",
    [SWEEP] = "DELETE FROM message WHERE next_ms IS NULL AND keep_ms <= ?1",
};

struct outbox {
    sqlite3 *sqlite;
    sqlite3_stmt *prepared[STATEMENTS];
};

static bool prepare(struct outbox *outbox, const char *path)
{
    if (sqlite3_open_v2(path, &outbox->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_busy_timeout(outbox->sqlite, BUSY_MS);
    if (!database_run_all(outbox->sqlite, schema)) {
        return false;
    }
    for (unsigned i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(outbox->sqlite, statements[i], -1,
                               SQLITE_PREPARE_PERSISTENT, &outbox->prepared[i],
                               NULL) != SQLITE_OK) {
            return false;
        }
    }
    return true;
}

struct outbox *outbox_open(const char *directory, struct error *error)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);
    char path[PATH_MAX];

    CHECK(outbox != NULL);
    snprintf(path, sizeof path, "%s/outbox.db", directory);
    if (!database_make(path, directory)) {
        error_add(error, (struct error_place){ 0 }, "%s cannot be used: %s", path,
                  strerror(errno));
        return outbox_close(outbox);
    }
    if (!prepare(outbox, path)) {
        error_add(error, (struct error_place){ 0 }, "%s cannot be used: %s", path,
                  outbox->sqlite == NULL ? "out of memory"
                                         : sqlite3_errmsg(outbox->sqlite));
        return outbox_close(outbox);
    }
    return outbox;
}

struct outbox *outbox_close(struct outbox *outbox)
{
    if (outbox != NULL) {
        for (unsigned i = 0; i < STATEMENTS; i++) {
            sqlite3_finalize(outbox->prepared[i]);
        }
        sqlite3_close(outbox->sqlite);
        free(outbox);
    }
    return NULL;
}

static sqlite3_stmt *begin(struct outbox *outbox, enum statement statement,
                           const char *receiver, const char *id)
{
    sqlite3_stmt *prepared = outbox->prepared[statement];

    sqlite3_bind_text(prepared, 1, receiver, -1, SQLITE_STATIC);
    if (id != NULL) {
        sqlite3_bind_text(prepared, 2, id, -1, SQLITE_STATIC);
    }
    return prepared;
}

/* The result of the only step. */
static int finish(sqlite3_stmt *prepared)
{
    int result = sqlite3_step(prepared);

    sqlite3_reset(prepared);
    sqlite3_clear_bindings(prepared);
    return result;
}

static bool is_full(struct outbox *outbox, const char *receiver)
{
    sqlite3_stmt *count = begin(outbox, COUNT, receiver, NULL);
    bool full = sqlite3_step(count) == SQLITE_ROW &&
                sqlite3_column_int(count, 0) >= WAITING_MAX;

    sqlite3_reset(count);
    return full;
}

enum outbox_put outbox_put(struct outbox *outbox, const char *receiver,
                           const struct outbox_message *message, int64_t keep_ms)
{
    sqlite3_stmt *put;

    if (is_full(outbox, receiver)) {
        return OUTBOX_FULL;
    }
    put = begin(outbox, PUT, receiver, message->id);
    sqlite3_bind_text(put, 3, message->body, -1, SQLITE_STATIC);
    sqlite3_bind_int64(put, 4, message->made_ms);
    sqlite3_bind_int64(put, 5, keep_ms);
    if (finish(put) != SQLITE_DONE) {
        return OUTBOX_BROKEN;
    }
    return sqlite3_changes(outbox->sqlite) > 0 ? OUTBOX_NEW : OUTBOX_KNOWN;
}

static void read_text(sqlite3_stmt *row, int column, char *array, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    text_store(array, size, span_text(text == NULL ? "" : text));
}

bool outbox_next(struct outbox *outbox, const char *receiver,
                 struct outbox_message *message)
{
    sqlite3_stmt *next = begin(outbox, NEXT, receiver, NULL);
    bool found = sqlite3_step(next) == SQLITE_ROW;

    if (found) {
        read_text(next, 0, message->id, sizeof message->id);
        read_text(next, 1, message->body, sizeof message->body);
        message->tries = (uint32_t)sqlite3_column_int(next, 2);
        message->made_ms = sqlite3_column_int64(next, 3);
        message->next_ms = sqlite3_column_int64(next, 4);
    }
    sqlite3_reset(next);
    return found;
}

bool outbox_later(struct outbox *outbox, const char *receiver, const char *id,
                  int64_t next_ms)
{
    sqlite3_stmt *later = begin(outbox, LATER, receiver, id);

    sqlite3_bind_int64(later, 3, next_ms);
    return finish(later) == SQLITE_DONE;
}

bool outbox_done(struct outbox *outbox, const char *receiver, const char *id)
{
    return finish(begin(outbox, DONE, receiver, id)) == SQLITE_DONE;
}

void outbox_sweep(struct outbox *outbox, int64_t now_ms)
{
    sqlite3_bind_int64(outbox->prepared[SWEEP], 1, now_ms);
    finish(outbox->prepared[SWEEP]);
}
