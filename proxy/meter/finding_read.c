/* The reading half of finding_store.h. */
#include "proxy/meter/database.h"
#include "proxy/meter/finding_parts.h"
#include "proxy/meter/finding_store.h"

/* The rows of one question. */
struct rows {
    sqlite3_stmt *statement;
    sqlite3 *sqlite;
};

static bool fail(const struct rows *rows, struct error *error)
{
    error_add(error, (struct error_place){ 0 }, "findings cannot be read: %s",
              sqlite3_errmsg(rows->sqlite));
    return false;
}

static bool rows_begin(struct rows *rows, struct finding_store *store, const char *sql,
                       struct error *error)
{
    rows->sqlite = finding_store_sqlite(store);
    return sqlite3_prepare_v2(rows->sqlite, sql, -1, &rows->statement, NULL) ==
               SQLITE_OK ||
           fail(rows, error);
}

static bool rows_next(struct rows *rows)
{
    return sqlite3_step(rows->statement) == SQLITE_ROW;
}

static bool rows_end(struct rows *rows, struct error *error)
{
    return sqlite3_finalize(rows->statement) == SQLITE_OK || fail(rows, error);
}

static void bind_query(sqlite3_stmt *statement, const struct finding_query *query)
{
    database_bind(statement, 1, query->team);
    database_bind(statement, 2, query->caller);
    sqlite3_bind_int64(statement, 3, query->id);
    sqlite3_bind_int64(statement, 4, query->now_ms);
}

bool finding_store_each(struct finding_store *store, const struct finding_query *query,
                        void (*each)(void *self, const struct finding_row *row),
                        void *self, struct error *error)
{
    struct rows rows;

    if (!rows_begin(&rows, store,
                    "SELECT id, identity, team, caller, status, shadow, first_ms,"
                    " last_ms, expires_ms, score, threshold, evidence, clears"
                    " FROM finding WHERE (?1 IS NULL OR team = ?1)"
                    " AND (?2 IS NULL OR caller = ?2) AND (?3 = 0 OR id = ?3)"
                    " AND expires_ms > ?4 ORDER BY last_ms DESC, id DESC",
                    error)) {
        return false;
    }
    bind_query(rows.statement, query);
    while (rows_next(&rows)) {
        sqlite3_stmt *at = rows.statement;
        const struct finding_row row = {
            .id = sqlite3_column_int64(at, 0),
            .identity = (uint64_t)sqlite3_column_int64(at, 1),
            .team = database_text(at, 2),
            .caller = database_text(at, 3),
            .status = (enum finding_status)(sqlite3_column_int64(at, 4) % 3),
            .shadow = sqlite3_column_int64(at, 5) != 0,
            .first_ms = sqlite3_column_int64(at, 6),
            .last_ms = sqlite3_column_int64(at, 7),
            .expires_ms = sqlite3_column_int64(at, 8),
            .score = sqlite3_column_double(at, 9),
            .threshold = sqlite3_column_double(at, 10),
            .evidence = database_text(at, 11),
            .clears = database_text(at, 12),
        };

        each(self, &row);
    }
    return rows_end(&rows, error);
}

bool finding_store_suspects(struct finding_store *store,
                            const struct finding_query *query,
                            void (*each)(void *self, const struct suspect_row *row),
                            void *self, struct error *error)
{
    struct rows rows;

    if (!rows_begin(
            &rows, store,
            "SELECT id, team, caller, grade, score, turns, seen_ms, state, layout,"
            " (SELECT max(expires_ms) FROM finding f WHERE f.identity = identity.id"
            "  AND status = 2 AND expires_ms > ?4)"
            " FROM identity WHERE (?1 IS NULL OR team = ?1)"
            " AND (?2 IS NULL OR caller = ?2) AND (?3 = 0 OR id = ?3)"
            " AND caller IS NOT NULL ORDER BY team, caller",
            error)) {
        return false;
    }
    bind_query(rows.statement, query);
    while (rows_next(&rows)) {
        sqlite3_stmt *at = rows.statement;
        const struct suspect_row row = {
            .identity = (uint64_t)sqlite3_column_int64(at, 0),
            .team = database_text(at, 1),
            .caller = database_text(at, 2),
            .grade = (enum grade)(sqlite3_column_int64(at, 3) % GRADES),
            .score = sqlite3_column_double(at, 4),
            .turns = (uint32_t)sqlite3_column_int64(at, 5),
            .seen_ms = sqlite3_column_int64(at, 6),
            .state = span_of(sqlite3_column_blob(at, 7),
                             (size_t)sqlite3_column_bytes(at, 7)),
            .layout = (unsigned)sqlite3_column_int64(at, 8),
            .dismissed_until_ms = sqlite3_column_int64(at, 9),
        };

        each(self, &row);
    }
    return rows_end(&rows, error);
}

bool finding_store_grades(struct finding_store *store,
                          void (*each)(void *self, uint64_t identity, enum grade grade),
                          void *self, struct error *error)
{
    struct rows rows;

    if (!rows_begin(&rows, store, "SELECT id, grade FROM identity WHERE grade > 0",
                    error)) {
        return false;
    }
    while (rows_next(&rows)) {
        each(self, (uint64_t)sqlite3_column_int64(rows.statement, 0),
             (enum grade)(sqlite3_column_int64(rows.statement, 1) % GRADES));
    }
    return rows_end(&rows, error);
}

bool finding_store_remarks(struct finding_store *store, int64_t finding,
                           void (*each)(void *self, const struct remark_row *row),
                           void *self, struct error *error)
{
    struct rows rows;

    if (!rows_begin(&rows, store,
                    "SELECT at_ms, kind, by, words FROM remark WHERE finding = ?1"
                    " ORDER BY at_ms, rowid",
                    error)) {
        return false;
    }
    sqlite3_bind_int64(rows.statement, 1, finding);
    while (rows_next(&rows)) {
        const struct remark_row row = {
            .at_ms = sqlite3_column_int64(rows.statement, 0),
            .kind = database_text(rows.statement, 1),
            .by = database_text(rows.statement, 2),
            .words = database_text(rows.statement, 3),
        };

        each(self, &row);
    }
    return rows_end(&rows, error);
}

bool finding_store_scores(struct finding_store *store, uint64_t identity,
                          void (*each)(void *self, const struct score_row *row),
                          void *self, struct error *error)
{
    struct rows rows;

    if (!rows_begin(&rows, store,
                    "SELECT hour, score FROM score WHERE identity = ?1 ORDER BY hour",
                    error)) {
        return false;
    }
    sqlite3_bind_int64(rows.statement, 1, (int64_t)identity);
    while (rows_next(&rows)) {
        const struct score_row row = {
            .hour = sqlite3_column_int64(rows.statement, 0),
            .score = sqlite3_column_double(rows.statement, 1),
        };

        each(self, &row);
    }
    return rows_end(&rows, error);
}
