#include "proxy/meter/ledger_sql.h"

#include "proxy/base/clock.h"
#include "proxy/meter/database.h"
#include "proxy/meter/ledger_label.h"
#include "proxy/meter/ledger_schema.h"
#include "proxy/meter/ledger_upgrade.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- statements ------------------------------------------------------------------ */

/* By name: a ledger that began with an older schema has later columns at its end. */
#define NUMBER(name, field)            #name ", "
#define KNOWN(name, value, known, bit) #name ", "
static const char insert_exchanges[] =
    "INSERT OR IGNORE INTO exchange (id, label, lead_us, "
#include "proxy/meter/ledger_column.def"
    "cost_nanousd, rare) VALUES ";
#undef NUMBER
#undef KNOWN
#define NUMBER(name, field)            "?, "
#define KNOWN(name, value, known, bit) "?, "
static const char exchange_row[] = "(?, ?, ?, "
#include "proxy/meter/ledger_column.def"
                                   "?, ?)";
#undef NUMBER
#undef KNOWN

static const char insert_object[] =
    "INSERT OR IGNORE INTO object (exchange, hash) VALUES (?, ?)";

#define KNOWN(name, value, known, bit)      #name ", "
#define PART(name, array, index, known, at) #name ", "
static const char insert_line[] =
    "INSERT OR IGNORE INTO line (exchange, number, kind, model, within, "
#include "proxy/meter/ledger_column.def"
#undef KNOWN
#undef PART
#define KNOWN(name, value, known, bit)      "?, "
#define PART(name, array, index, known, at) "?, "
    "cost_nanousd) VALUES (?, ?, ?, ?, ?, "
#include "proxy/meter/ledger_column.def"
    "?)";
#undef KNOWN
#undef PART

/* ---- the writer ------------------------------------------------------------------ */

/* What a column was bound to last. SQLite keeps it from row to row, and most columns
 * of most rows are those of an earlier row. */
struct bound {
    int64_t value;
    bool known; /* false: NULL, as in a statement that is new */
};

enum {
#define NUMBER(name, field)            BOUND_##name,
#define KNOWN(name, value, known, bit) BOUND_##name,
#include "proxy/meter/ledger_column.def"
#undef NUMBER
#undef KNOWN
    COLUMNS_BETWEEN
};

/* Besides these: id, label, lead_us, cost_nanousd; and then `rare`. */
enum { NUMBER_COLUMNS = COLUMNS_BETWEEN + 4, EXCHANGE_COLUMNS };

/* Exchanges are inserted so many at a time: to start and end a statement costs as much
 * as half a row. */
enum { ROWS = 8 };

/* A JSON object of everything that can be rare. */
enum { RARE_SIZE = 1024 };

struct exchange_row {
    struct bound bound[NUMBER_COLUMNS];
    size_t rare_len; /* 0: NULL */
    char rare[RARE_SIZE];
};

struct exchange_insert {
    sqlite3_stmt *statement;
    size_t count;
    struct exchange_row rows[ROWS]; /* of which `count` are used */
};

/* A write-ahead log of this many pages is moved into the database. */
enum { LOG_PAGES = 1000 };

struct ledger_db {
    sqlite3 *sqlite;
    sqlite3_stmt *begin, *commit, *rollback, *add_object, *add_line;
    struct exchange_insert add_exchanges, add_exchange; /* ROWS of them; one */
    struct ledger_labels *labels;
    int log_pages; /* of the write-ahead log after the last commit */
};

/* Counts beyond what SQLite can hold are not counts; the greatest number
 * stands for them. */
static int64_t storable(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void bind_number(sqlite3_stmt *statement, int *at, uint64_t value)
{
    sqlite3_bind_int64(statement, (*at)++, storable(value));
}

static void bind_known(sqlite3_stmt *statement, int *at, uint64_t value, bool known)
{
    if (known) {
        bind_number(statement, at, value);
    } else {
        sqlite3_bind_null(statement, (*at)++);
    }
}

static void bind_money(sqlite3_stmt *statement, int at, int64_t nanousd, bool known)
{
    if (known) {
        sqlite3_bind_int64(statement, at, nanousd);
    } else {
        sqlite3_bind_null(statement, at);
    }
}

/* ---- writing --------------------------------------------------------------------- */

bool ledger_db_begin(struct ledger_db *db)
{
    return database_step(db->begin);
}

bool ledger_db_commit(struct ledger_db *db)
{
    return database_step(db->commit);
}

void ledger_db_rollback(struct ledger_db *db)
{
    /* Fails if SQLite has rolled back by itself already, which is as good. */
    if (sqlite3_get_autocommit(db->sqlite) == 0) {
        (void)database_step(db->rollback);
    }
    ledger_labels_forget(db->labels); /* they were rolled back too */
}

/* Runs a statement of two numbers once. */
static bool run_once(struct ledger_db *db, const char *sql, int64_t first,
                     int64_t second)
{
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL) == SQLITE_OK;

    if (good && sqlite3_bind_parameter_count(statement) == 2) {
        sqlite3_bind_int64(statement, 1, first);
        sqlite3_bind_int64(statement, 2, second);
    }
    good = good && database_step(statement);
    sqlite3_finalize(statement);
    return good;
}

#define OLDEST "(SELECT id FROM exchange WHERE id < ?1 ORDER BY id LIMIT ?2)"

int ledger_db_forget(struct ledger_db *db, uint64_t before_id, int most)
{
    int64_t before = (int64_t)before_id;
    int count = -1;

    if (!ledger_db_begin(db)) {
        return -1;
    }
    if (run_once(db, "DELETE FROM line WHERE exchange IN " OLDEST, before, most) &&
        run_once(db, "DELETE FROM object WHERE exchange IN " OLDEST, before, most) &&
        run_once(db, "DELETE FROM exchange WHERE id IN " OLDEST, before, most)) {
        count = sqlite3_changes(db->sqlite);
    }
    if (count < 0 || !ledger_db_commit(db)) {
        ledger_db_rollback(db);
        return -1;
    }
    return count;
}

bool ledger_db_forget_names(struct ledger_db *db)
{
    ledger_labels_forget(db->labels);
    return run_once(db,
                    "DELETE FROM label WHERE id NOT IN (SELECT label FROM exchange)", 0,
                    0);
}

static bool sync_log(struct ledger_db *db)
{
    sqlite3_file *log = NULL;

    return sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER,
                                (void *)&log) == SQLITE_OK &&
           log != NULL && log->pMethods != NULL &&
           log->pMethods->xSync(log, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) ==
               SQLITE_OK;
}

bool ledger_db_sync(struct ledger_db *db)
{
    if (!sync_log(db)) {
        return false;
    }
    if (db->log_pages < LOG_PAGES) {
        return true;
    }
    db->log_pages = 0;
    return sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                                     NULL) == SQLITE_OK;
}

/* Called by SQLite after each commit. */
static int note_log_pages(void *self, sqlite3 *sqlite, const char *name, int pages)
{
    struct ledger_db *db = self;

    (void)sqlite;
    (void)name;
    db->log_pages = pages;
    return SQLITE_OK;
}

static bool add_line(struct ledger_db *db, const struct entry *entry, uint8_t number)
{
    const struct line *line = &entry->lines[number];
    sqlite3_stmt *statement = db->add_line;
    int at = 1;

    sqlite3_bind_int64(statement, at++, (int64_t)entry->id);
    bind_number(statement, &at, number);
    database_bind(statement, at++, line_kind_name(line->kind));
    database_bind(statement, at++, line->model);
    bind_number(statement, &at, line->within);
#define KNOWN(name, value, known, bit)                                                 \
    bind_known(statement, &at, line->value, (line->known >> (bit)&1) != 0);
#define PART(name, array, index, known, at_bit)                                        \
    bind_known(statement, &at, line->usage.array[index],                               \
               (line->usage.known >> (at_bit)&1) != 0);
#include "proxy/meter/ledger_column.def"
#undef KNOWN
#undef PART
    bind_money(statement, at, line->cost_nanousd, line->priced);
    return database_step(statement);
}

static bool add_object(struct ledger_db *db, const struct entry *entry)
{
    sqlite3_bind_int64(db->add_object, 1, (int64_t)entry->id);
    sqlite3_bind_int64(db->add_object, 2, storable(entry->object));
    return database_step(db->add_object);
}

static inline void put_rare(struct text *rare, struct span key, uint64_t value,
                            bool there)
{
    if (there) {
        text_put_char(rare, rare->len == 0 ? '{' : ',');
        text_put(rare, key);
        text_put_i64(rare, storable(value));
    }
}

/* Writes the entry's `rare`, nothing if it has none, and returns its length. */
static size_t write_rare(const struct entry *entry, char memory[RARE_SIZE])
{
    const struct usage *usage = &entry->usage;
    struct text rare = text_over(memory, RARE_SIZE);

#define RARE(name, field)                                                              \
    put_rare(&rare, SPAN("\"" #name "\":"), entry->field, entry->field != 0);
#define PART(name, array, index, known, at)                                            \
    put_rare(&rare, SPAN("\"" #name "\":"), usage->array[index],                       \
             usage->array[index] != 0 && (usage->known >> (at)&1) != 0);
#include "proxy/meter/ledger_column.def"
#undef RARE
#undef PART
    put_rare(&rare, SPAN("\"reported_nanousd\":"), (uint64_t)usage->reported_nanousd,
             usage->reported_nanousd >= 0);
    if (rare.len > 0) {
        text_put_char(&rare, '}');
    }
    CHECK(!rare.full);
    return rare.len;
}

static void bind_rare(struct exchange_insert *insert, struct exchange_row *row, int at,
                      const struct entry *entry)
{
    size_t before = row->rare_len;

    row->rare_len = write_rare(entry, row->rare);
    if (row->rare_len > 0) {
        sqlite3_bind_text(insert->statement, at, row->rare, (int)row->rare_len,
                          SQLITE_STATIC);
    } else if (before > 0) {
        sqlite3_bind_null(insert->statement, at);
    }
}

/* Binds a row's next number, which is the statement's parameter *at, from 1. */
static void bind_next(sqlite3_stmt *statement, struct bound **next, int *at,
                      int64_t value, bool known)
{
    struct bound *bound = (*next)++;
    int parameter = (*at)++;

    if (bound->known == known && (!known || bound->value == value)) {
        return;
    }
    *bound = (struct bound){ value, known };
    if (known) {
        sqlite3_bind_int64(statement, parameter, value);
    } else {
        sqlite3_bind_null(statement, parameter);
    }
}

static void bind_exchange(struct exchange_insert *insert, size_t number,
                          const struct entry *entry, int64_t label)
{
    sqlite3_stmt *statement = insert->statement;
    struct exchange_row *row = &insert->rows[number];
    struct bound *next = row->bound;
    int at = (int)number * EXCHANGE_COLUMNS + 1;

#define BIND(value, known) bind_next(statement, &next, &at, value, known)
    BIND((int64_t)entry->id, true);
    BIND(label, true);
    BIND((int64_t)(entry_id_time(entry->id) / NS_PER_US) -
             (int64_t)(entry->started_ns / NS_PER_US),
         true);
#define NUMBER(name, field) BIND(storable(entry->field), true);
#define KNOWN(name, value, known, bit)                                                 \
    BIND(storable(entry->value), (entry->known >> (bit)&1) != 0);
#include "proxy/meter/ledger_column.def"
#undef NUMBER
#undef KNOWN
    BIND(entry->cost_nanousd, entry->priced);
#undef BIND
    bind_rare(insert, row, at, entry);
}

/* What an entry has in other tables. */
static bool add_parts(struct ledger_db *db, const struct entry *entry)
{
    if (entry->object != 0 && !add_object(db, entry)) {
        return false;
    }
    for (uint8_t i = 0; i < entry->line_count; i++) {
        if (!add_line(db, entry, i)) {
            return false;
        }
    }
    return true;
}

/* Adds insert->count entries. */
static bool add_entries(struct ledger_db *db, struct exchange_insert *insert,
                        const struct entry *const *entries)
{
    for (size_t i = 0; i < insert->count; i++) {
        int64_t label = ledger_label(db->labels, entries[i]);

        if (label == 0 || !add_parts(db, entries[i])) {
            return false;
        }
        bind_exchange(insert, i, entries[i], label);
    }
    return database_step(insert->statement);
}

bool ledger_db_add(struct ledger_db *db, const struct entry *const *entries,
                   size_t count)
{
    while (count > 0) {
        struct exchange_insert *insert =
            count < ROWS ? &db->add_exchange : &db->add_exchanges;

        if (!add_entries(db, insert, entries)) {
            return false;
        }
        entries += insert->count;
        count -= insert->count;
    }
    return true;
}

const char *ledger_db_reason(const struct ledger_db *db)
{
    return sqlite3_errmsg(db->sqlite);
}

/* ---- opening --------------------------------------------------------------------- */

static bool fail(struct error *error, const char *path, const char *why)
{
    error_add(error, (struct error_place){ 0 }, "ledger %s: %s", path, why);
    return false;
}

static bool prepare(sqlite3 *sqlite, const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, statement,
                              NULL) == SQLITE_OK;
}

static bool prepare_insert(sqlite3 *sqlite, size_t count,
                           struct exchange_insert *insert)
{
    char memory[2048];
    struct text sql = text_over(memory, sizeof memory);

    text_put(&sql, span_text(insert_exchanges));
    for (size_t i = 0; i < count; i++) {
        text_put(&sql, i == 0 ? SPAN("") : SPAN(", "));
        text_put(&sql, span_text(exchange_row));
    }
    text_put(&sql, span_of("", 1));
    CHECK(!sql.full);
    insert->count = count;
    return prepare(sqlite, sql.at, &insert->statement);
}

static const char *const writer_settings[] = {
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL", /* ledger_db_sync() does what FULL adds */
    "PRAGMA journal_size_limit = 16777216",
    "PRAGMA cache_size = -1024",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",
    NULL,
};

/* Is this a ledger that this program can use? An empty database is one of version 0. */
static bool read_version(sqlite3 *sqlite, const char *path, int64_t *version,
                         struct error *error)
{
    int64_t application, tables;

    if (!database_run(sqlite, "PRAGMA application_id", &application) ||
        !database_run(sqlite, "PRAGMA user_version", version) ||
        !database_run(sqlite, "SELECT count(*) FROM sqlite_schema", &tables)) {
        return fail(error, path, sqlite3_errmsg(sqlite));
    }
    if (application != LEDGER_APPLICATION_ID && tables > 0) {
        return fail(error, path, "is a database of another program");
    }
    if (*version > LEDGER_SCHEMA) {
        error_add(error, (struct error_place){ 0 },
                  "ledger %s: was written by a newer version of assay (schema %lld, "
                  "this one knows %d)",
                  path, (long long)*version, LEDGER_SCHEMA);
        return false;
    }
    return true;
}

static bool open_writer(struct ledger_db *db, const char *path,
                        void (*tell)(const char *words), struct error *error)
{
    int64_t version;

    if (sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        return fail(error, path,
                    db->sqlite == NULL ? "no memory" : sqlite3_errmsg(db->sqlite));
    }
    sqlite3_busy_timeout(db->sqlite, 1000);
    if (!read_version(db->sqlite, path, &version, error)) {
        return false;
    }
    sqlite3_wal_hook(db->sqlite, note_log_pages, db);
    if (!database_run_all(db->sqlite, writer_settings) ||
        !ledger_upgrade(db->sqlite, version, tell) ||
        !prepare(db->sqlite, "BEGIN IMMEDIATE", &db->begin) ||
        !prepare(db->sqlite, "COMMIT", &db->commit) ||
        !prepare(db->sqlite, "ROLLBACK", &db->rollback) ||
        !prepare_insert(db->sqlite, ROWS, &db->add_exchanges) ||
        !prepare_insert(db->sqlite, 1, &db->add_exchange) ||
        !prepare(db->sqlite, insert_object, &db->add_object) ||
        !prepare(db->sqlite, insert_line, &db->add_line)) {
        return fail(error, path, sqlite3_errmsg(db->sqlite));
    }
    db->labels = ledger_labels_new(db->sqlite);
    return db->labels != NULL || fail(error, path, sqlite3_errmsg(db->sqlite));
}

enum { PATH_SIZE = 4096 };

static bool make_path(const char *directory, char path[PATH_SIZE], struct error *error)
{
    int length = snprintf(path, PATH_SIZE, "%s/ledger.db", directory);

    return (length > 0 && length < PATH_SIZE) ||
           fail(error, directory, "has too long a path");
}

struct ledger_db *ledger_db_open(const char *directory, void (*tell)(const char *words),
                                 struct error *error)
{
    struct ledger_db *db;
    char path[PATH_SIZE];

    if (!make_path(directory, path, error)) {
        return NULL;
    }
    if (!database_make(path, directory)) {
        fail(error, path, strerror(errno));
        return NULL;
    }
    /* Statistics that nobody reads cost a lock per allocation. Too late, and no harm,
     * if SQLite was used before. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    db = calloc(1, sizeof *db);
    CHECK(db != NULL);
    return open_writer(db, path, tell, error) ? db : ledger_db_close(db);
}

struct ledger_db *ledger_db_close(struct ledger_db *db)
{
    if (db == NULL) {
        return NULL;
    }
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    sqlite3_finalize(db->rollback);
    sqlite3_finalize(db->add_exchanges.statement);
    sqlite3_finalize(db->add_exchange.statement);
    sqlite3_finalize(db->add_object);
    sqlite3_finalize(db->add_line);
    ledger_labels_free(db->labels);
    sqlite3_close(db->sqlite);
    free(db);
    return NULL;
}

sqlite3 *ledger_db_read(const char *directory, struct error *error)
{
    char path[PATH_SIZE];
    sqlite3 *sqlite = NULL;
    int64_t version;

    if (!make_path(directory, path, error)) {
        return NULL;
    }
    if (sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        fail(error, path, sqlite == NULL ? "no memory" : sqlite3_errmsg(sqlite));
        sqlite3_close(sqlite);
        return NULL;
    }
    sqlite3_busy_timeout(sqlite, 1000);
    if (!read_version(sqlite, path, &version, error)) {
        sqlite3_close(sqlite);
        return NULL;
    }
    if (version < LEDGER_SCHEMA) {
        fail(error, path,
             version == 0 ? "holds no ledger yet"
                          : "was written by an older version; 'assay run' updates it");
        sqlite3_close(sqlite);
        return NULL;
    }
    return sqlite;
}
