#include "proxy/identity/member_store.h"

#include "proxy/base/text.h"

static const struct error_place nowhere = { 0 };

static bool store_failed(sqlite3 *db, const char *what, struct error *error)
{
    error_add(error, nowhere, "%s: cannot %s: %s", sqlite3_db_filename(db, "main"),
              what, sqlite3_errmsg(db));
    return false;
}

bool member_store_clear(sqlite3 *db, struct error *error)
{
    return sqlite3_exec(db, "DELETE FROM members", NULL, NULL, NULL) == SQLITE_OK ||
           store_failed(db, "replace the members", error);
}

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    /* A failed bind leaves NULL behind, which the schema refuses. */
    (void)sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}

bool member_store_insert(sqlite3 *db, const struct member_row *row, struct error *error)
{
    sqlite3_stmt *statement;
    bool done = false;

    if (sqlite3_prepare_v2(db,
                           "INSERT INTO members (team, caller, service, alias, tags)"
                           " VALUES (?, ?, ?, ?, ?)",
                           -1, &statement, NULL) == SQLITE_OK) {
        bind_text(statement, 1, row->team);
        bind_text(statement, 2, row->caller);
        sqlite3_bind_int(statement, 3, row->service);
        bind_text(statement, 4, row->alias);
        bind_text(statement, 5, row->tags);
        done = sqlite3_step(statement) == SQLITE_DONE;
    }
    if (!done) {
        store_failed(db, "add a member", error);
    }
    sqlite3_finalize(statement);
    return done;
}

static bool column_store(sqlite3_stmt *statement, int column, char *array, size_t size)
{
    return text_store(array, size,
                      span_text((const char *)sqlite3_column_text(statement, column)));
}

/* False for a row that no assay wrote. */
static bool row_read(sqlite3_stmt *statement, struct member_row *row)
{
    row->service = sqlite3_column_int(statement, 2) != 0;
    return column_store(statement, 0, row->team, sizeof row->team) &&
           column_store(statement, 1, row->caller, sizeof row->caller) &&
           column_store(statement, 3, row->alias, sizeof row->alias) &&
           column_store(statement, 4, row->tags, sizeof row->tags);
}

static bool rows_walk(sqlite3 *db, sqlite3_stmt *statement,
                      bool (*each)(void *self, const struct member_row *), void *self,
                      struct error *error)
{
    struct member_row row;
    int result;

    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!row_read(statement, &row)) {
            error_add(error, nowhere, "%s: holds a damaged member",
                      sqlite3_db_filename(db, "main"));
            return false;
        }
        if (!each(self, &row)) {
            return false;
        }
    }
    return result == SQLITE_DONE || store_failed(db, "read the members", error);
}

bool member_store_each(sqlite3 *db, bool (*each)(void *self, const struct member_row *),
                       void *self, struct error *error)
{
    sqlite3_stmt *statement;
    bool walked;

    if (sqlite3_prepare_v2(db,
                           "SELECT team, caller, service, alias, tags FROM members"
                           " ORDER BY team, caller",
                           -1, &statement, NULL) != SQLITE_OK) {
        return store_failed(db, "read the members", error);
    }
    walked = rows_walk(db, statement, each, self, error);
    sqlite3_finalize(statement);
    return walked;
}
