/* The reading half of ledger.h: its own connection, one statement, one snapshot. */
#include "proxy/base/clock.h"
#include "proxy/base/fault.h"
#include "proxy/meter/ledger.h"
#include "proxy/meter/ledger_sql.h"

#include <stdlib.h>

static bool fail(sqlite3 *sqlite, struct error *error)
{
    error_add(error, (struct error_place){ 0 }, "ledger: cannot be read: %s",
              sqlite3_errmsg(sqlite));
    return false;
}

/* Binds ?1 and ?2, the ids that a query is about: from ?1 on, below ?2. */
static void bind_range(sqlite3_stmt *statement, const struct ledger_query *query)
{
    uint64_t from = query->since_ns == 0 ? 0 : entry_id_at(query->since_ns);
    uint64_t until = query->until_ns == 0 ? INT64_MAX : entry_id_at(query->until_ns);

    if (from <= query->after_id) {
        from = query->after_id + 1;
    }
    sqlite3_bind_int64(statement, 1, from > INT64_MAX ? INT64_MAX : (int64_t)from);
    sqlite3_bind_int64(statement, 2, (int64_t)until);
}

/* ---- entries --------------------------------------------------------------------- */

#define NUMBER(name, field)            ", e." #name
#define KNOWN(name, value, known, bit) ", e." #name
#define SELECT_ENTRIES                 "SELECT e.id, e.label, e.lead_us, e.cost_nanousd, o.hash, e.rare"
#define ALL_IN_RANGE                                                                   \
    " FROM exchange e LEFT JOIN object o ON o.exchange = e.id"                         \
    " WHERE e.id >= ?1 AND e.id < ?2 ORDER BY e.id"
static const char select_entries[] = SELECT_ENTRIES
#include "proxy/meter/ledger_column.def"
    ALL_IN_RANGE;
static const char select_newest[] = SELECT_ENTRIES
#include "proxy/meter/ledger_column.def"
    ALL_IN_RANGE " DESC";
static const char select_objects[] = SELECT_ENTRIES
#include "proxy/meter/ledger_column.def"
    " FROM object o CROSS JOIN exchange e ON e.id = o.exchange"
    " WHERE o.exchange >= ?1 AND o.exchange < ?2 ORDER BY o.exchange";
#undef SELECT_ENTRIES
#undef ALL_IN_RANGE
#undef NUMBER
#undef KNOWN

#define RARE(name, field)                   ", json_extract(?1, '$." #name "')"
#define PART(name, array, index, known, at) ", json_extract(?1, '$." #name "')"
static const char select_rare[] = "SELECT json_extract(?1, '$.reported_nanousd')"
#include "proxy/meter/ledger_column.def"
    ;
#undef RARE
#undef PART

#define TEXT(name, field)           ", " #name
#define WORD(name, value, to, from) ", " #name
#define MARK(name, field)           ", " #name
#define BITS(name, field)           ", " #name
static const char select_label[] = "SELECT id"
#include "proxy/meter/ledger_column.def"
                                   " FROM label WHERE id = ?1";
#undef TEXT
#undef WORD
#undef MARK
#undef BITS

#define KNOWN(name, value, known, bit)      ", " #name
#define PART(name, array, index, known, at) ", " #name
#define SELECT_LINES                        "SELECT exchange, number, kind, model, within, cost_nanousd"
#define IN_RANGE                            " FROM line WHERE exchange >= ?1 AND exchange < ?2 ORDER BY exchange"
static const char select_lines[] = SELECT_LINES
#include "proxy/meter/ledger_column.def"
    IN_RANGE ", number";
static const char select_newest_lines[] = SELECT_LINES
#include "proxy/meter/ledger_column.def"
    IN_RANGE " DESC, number";
#undef SELECT_LINES
#undef IN_RANGE
#undef KNOWN
#undef PART

static struct span column_span(sqlite3_stmt *row, int at)
{
    const void *text = sqlite3_column_text(row, at);

    return span_of(text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(row, at));
}

static uint64_t column_number(sqlite3_stmt *row, int at)
{
    int64_t number = sqlite3_column_int64(row, at);

    return number < 0 ? 0 : (uint64_t)number;
}

static bool column_known(sqlite3_stmt *row, int at)
{
    return sqlite3_column_type(row, at) != SQLITE_NULL;
}

/* The value that `name` has this word for; `otherwise` where none has. */
#define OF_WORD(type, count, name, otherwise)                                          \
    static uint8_t type##_of_word(struct span word)                                    \
    {                                                                                  \
        for (unsigned i = 0; i < (count); i++) {                                       \
            if (span_equal(word, span_text(name(i)))) {                                \
                return (uint8_t)i;                                                     \
            }                                                                          \
        }                                                                              \
        return otherwise;                                                              \
    }

static const char *fault_name(unsigned fault)
{
    return fault_row(fault)->name;
}

OF_WORD(outcome, OUTCOMES, outcome_name, OUTCOME_UNKNOWN)
OF_WORD(usage_source, USAGE_SOURCES, usage_source_name, USAGE_NONE)
OF_WORD(fault, FAULT_COUNT, fault_name, FAULT_NONE)
OF_WORD(grade, GRADES, grade_name, GRADE_UNRATED)
OF_WORD(turn_class, TURN_CLASSES, turn_class_name, TURN_CLASS_NONE)
OF_WORD(line_kind, LINE_KINDS, line_kind_name, LINE_SUB_MODEL)

static void read_line(sqlite3_stmt *row, struct line *line)
{
    int at = 6;

    *line = (struct line){
        .usage.reported_nanousd = -1,
        .kind = line_kind_of_word(column_span(row, 2)),
        .within = column_number(row, 4) != 0,
        .priced = column_known(row, 5),
        .cost_nanousd = sqlite3_column_int64(row, 5),
    };
    text_store(line->model, sizeof line->model, column_span(row, 3));
#define KNOWN(name, value, known, bit)                                                 \
    line->known |= (uint8_t)(column_known(row, at) ? 1U << (bit) : 0);                 \
    line->value = column_number(row, at++);
#define PART(name, array, index, known, bit)                                           \
    line->usage.known |= (uint8_t)(column_known(row, at) ? 1U << (bit) : 0);           \
    line->usage.array[index] = column_number(row, at++);
#include "proxy/meter/ledger_column.def"
#undef KNOWN
#undef PART
}

/* The lines in the order of their exchanges, read along with these. */
struct lines {
    sqlite3_stmt *row;
    bool more; /* the row is one that was not taken yet */
    bool newest_first;
};

static bool next_line(struct lines *lines)
{
    int result = sqlite3_step(lines->row);

    lines->more = result == SQLITE_ROW;
    return lines->more || result == SQLITE_DONE;
}

/* Is that one of an exchange that comes after this entry? */
static bool line_is_later(const struct lines *lines, const struct entry *entry)
{
    uint64_t id = column_number(lines->row, 0);

    return lines->newest_first ? id < entry->id : id > entry->id;
}

static bool take_lines(struct lines *lines, struct entry *entry)
{
    bool good = true;

    while (good && lines->more && !line_is_later(lines, entry)) {
        if (column_number(lines->row, 0) == entry->id &&
            entry->line_count < LINES_MAX) {
            read_line(lines->row, &entry->lines[entry->line_count++]);
        }
        good = next_line(lines);
    }
    return good;
}

/* Labels that were read lately: exchanges have few different ones. */
enum { LABELS = 256 };
struct labels {
    sqlite3_stmt *row;
    struct known_label {
        int64_t id; /* 0: none */
        struct entry entry;
    } known[LABELS];
};

static void read_label(sqlite3_stmt *row, struct entry *entry)
{
    int at = 1;

#define TEXT(name, field)                                                              \
    text_store(entry->field, sizeof entry->field, column_span(row, at++));
#define WORD(name, value, to, from) entry->value = from(column_span(row, at++));
#define MARK(name, field)                                                              \
    entry->field = (__typeof__(entry->field))column_number(row, at++);
#define BITS(name, field) MARK(name, field)
#include "proxy/meter/ledger_column.def"
#undef TEXT
#undef WORD
#undef MARK
#undef BITS
}

/* What a label says, and nothing else; NULL if it cannot be read. */
static const struct entry *find_label(struct labels *labels, int64_t id)
{
    struct known_label *known = &labels->known[(uint64_t)id % LABELS];

    if (known->id == id) {
        return &known->entry;
    }
    *known = (struct known_label){ .id = 0 };
    sqlite3_reset(labels->row);
    sqlite3_bind_int64(labels->row, 1, id);
    if (sqlite3_step(labels->row) != SQLITE_ROW) {
        return NULL;
    }
    read_label(labels->row, &known->entry);
    known->id = id;
    return &known->entry;
}

static bool read_rare(sqlite3_stmt *row, struct span rare, struct entry *entry)
{
    int at = 1;

    sqlite3_reset(row);
    sqlite3_bind_text(row, 1, (const char *)rare.at, (int)rare.len, SQLITE_STATIC);
    if (sqlite3_step(row) != SQLITE_ROW) {
        return false;
    }
    if (column_known(row, 0)) {
        entry->usage.reported_nanousd = sqlite3_column_int64(row, 0);
    }
#define RARE(name, field)                                                              \
    entry->field = (__typeof__(entry->field))column_number(row, at++);
#define PART(name, array, index, known, bit)                                           \
    entry->usage.known |= (uint8_t)(column_known(row, at) ? 1U << (bit) : 0);          \
    entry->usage.array[index] = column_number(row, at++);
#include "proxy/meter/ledger_column.def"
#undef RARE
#undef PART
    return true;
}

/* What entries are read from. */
struct reader {
    sqlite3_stmt *row;
    sqlite3_stmt *rare;
    struct lines lines;
    struct labels labels;
};

static bool read_entry(struct reader *reader, struct entry *entry)
{
    sqlite3_stmt *row = reader->row;
    const struct entry *label =
        find_label(&reader->labels, sqlite3_column_int64(row, 1));
    int64_t lead_us = sqlite3_column_int64(row, 2);
    struct span rare = column_span(row, 5);
    struct line *lines = entry->lines;
    int at = 6;

    if (label == NULL) {
        return false;
    }
    *entry = *label;
    entry->lines = lines;
    entry->id = column_number(row, 0);
    entry->started_ns =
        (entry_id_time(entry->id) / NS_PER_US - (uint64_t)lead_us) * NS_PER_US;
    entry->priced = column_known(row, 3);
    entry->cost_nanousd = sqlite3_column_int64(row, 3);
    entry->object = column_number(row, 4);
    entry->usage.reported_nanousd = -1;
#define NUMBER(name, field)                                                            \
    entry->field = (__typeof__(entry->field))column_number(row, at++);
#define KNOWN(name, value, known, bit)                                                 \
    entry->known |= (uint8_t)(column_known(row, at) ? 1U << (bit) : 0);                \
    entry->value = column_number(row, at++);
#include "proxy/meter/ledger_column.def"
#undef NUMBER
#undef KNOWN
    return (rare.len == 0 || read_rare(reader->rare, rare, entry)) &&
           take_lines(&reader->lines, entry);
}

/* SQLITE_DONE: all were read, or nobody wants more. */
static int each_entry(struct reader *reader,
                      bool (*each)(void *self, const struct entry *entry), void *self)
{
    struct line room[LINES_MAX];
    struct entry entry = { .lines = room };
    int result;

    if (!next_line(&reader->lines)) {
        return SQLITE_ERROR;
    }
    while ((result = sqlite3_step(reader->row)) == SQLITE_ROW) {
        if (!read_entry(reader, &entry)) {
            return SQLITE_ERROR;
        }
        if (!each(self, &entry)) {
            return SQLITE_DONE;
        }
    }
    return result;
}

static int prepare_range(sqlite3 *sqlite, const char *sql,
                         const struct ledger_query *query, sqlite3_stmt **statement)
{
    int result = sqlite3_prepare_v2(sqlite, sql, -1, statement, NULL);

    if (result == SQLITE_OK) {
        bind_range(*statement, query);
    }
    return result;
}

static bool reader_open(struct reader *reader, sqlite3 *sqlite,
                        const struct ledger_query *query)
{
    const char *entries = query->objects        ? select_objects
                          : query->newest_first ? select_newest
                                                : select_entries;
    const char *lines = query->newest_first ? select_newest_lines : select_lines;

    reader->lines.newest_first = query->newest_first;
    /* One snapshot for all. */
    return sqlite3_exec(sqlite, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
           prepare_range(sqlite, entries, query, &reader->row) == SQLITE_OK &&
           prepare_range(sqlite, lines, query, &reader->lines.row) == SQLITE_OK &&
           sqlite3_prepare_v2(sqlite, select_rare, -1, &reader->rare, NULL) ==
               SQLITE_OK &&
           sqlite3_prepare_v2(sqlite, select_label, -1, &reader->labels.row, NULL) ==
               SQLITE_OK;
}

static void reader_close(struct reader *reader)
{
    sqlite3_finalize(reader->row);
    sqlite3_finalize(reader->rare);
    sqlite3_finalize(reader->lines.row);
    sqlite3_finalize(reader->labels.row);
    free(reader);
}

bool ledger_each(const char *directory, const struct ledger_query *query,
                 bool (*each)(void *self, const struct entry *entry), void *self,
                 struct error *error)
{
    sqlite3 *sqlite = ledger_db_read(directory, error);
    struct reader *reader;
    bool good;

    CHECK(!(query->objects && query->newest_first));
    if (sqlite == NULL) {
        return false;
    }
    reader = calloc(1, sizeof *reader);
    CHECK(reader != NULL);
    good = (reader_open(reader, sqlite, query) &&
            each_entry(reader, each, self) == SQLITE_DONE) ||
           fail(sqlite, error);
    reader_close(reader);
    sqlite3_close(sqlite);
    return good;
}

/* ---- sums ------------------------------------------------------------------------ */

/* SQLite's own sum() fails where a sum overflows: then one absurd count from a provider
 * would take the whole report away. This one stays at the greatest number. */
static void saturating_step(sqlite3_context *context, int count, sqlite3_value **values)
{
    int64_t *sum = sqlite3_aggregate_context(context, sizeof *sum);

    (void)count;
    if (sum != NULL &&
        __builtin_add_overflow(*sum, sqlite3_value_int64(values[0]), sum)) {
        *sum = INT64_MAX;
    }
}

static void saturating_value(sqlite3_context *context)
{
    int64_t *sum = sqlite3_aggregate_context(context, 0);

    sqlite3_result_int64(context, sum == NULL ? 0 : *sum);
}

/* ?3 is the set of dimensions, as enum ledger_by. First by label, which needs no texts,
 * then by the texts of the labels. What a line is billed at its own model, its
 * exchange's model does not have: tokens that both have are taken from it again. */
/* clang-format off */
#define DAY                                                                            \
    " CASE WHEN ?3 & 64"                                                               \
    "  THEN (((e.id >> 22) + 1704067200000) * 1000 - e.lead_us) / 86400000000 END AS day,"
#define TOKENS_OF(t)                                                                   \
    " add_up(" t ".input) AS input, add_up(" t ".cache_read) AS cache_read,"           \
    " add_up(" t ".cache_write) AS cache_write, add_up(" t ".output) AS output,"       \
    " add_up(" t ".reasoning) AS reasoning,"
#define ALL_OF(t)                                                                      \
    "(ifnull(" t ".input, 0) + ifnull(" t ".cache_read, 0) + ifnull(" t                \
    ".cache_write, 0) + ifnull(" t ".output, 0) + ifnull(" t ".reasoning, 0))"
static const char select_sums[] =
    "WITH by_label AS ("
    "SELECT e.label AS label, NULL AS model," DAY
    " count(*) AS exchanges,"
    " count(*) - count(e.cost_nanousd) AS unpriced," TOKENS_OF("e")
    " add_up(CASE WHEN e.cost_nanousd IS NULL THEN " ALL_OF("e") " ELSE 0 END)"
    "  AS unpriced_tokens,"
    " add_up(e.cost_nanousd) AS cost"
    " FROM exchange e WHERE e.id >= ?1 AND e.id < ?2 GROUP BY 1, 2, 3"
    " UNION ALL "
    "SELECT e.label, ifnull(n.model, '')," DAY " 0, 0," TOKENS_OF("n")
    " add_up(CASE WHEN n.cost_nanousd IS NULL THEN " ALL_OF("n") " ELSE 0 END),"
    " add_up(n.cost_nanousd)"
    " FROM line n JOIN exchange e ON e.id = n.exchange"
    " WHERE n.exchange >= ?1 AND n.exchange < ?2 GROUP BY 1, 2, 3"
    " UNION ALL "
    "SELECT e.label, NULL," DAY " 0, 0,"
    " add_up(-n.input), add_up(-n.cache_read), add_up(-n.cache_write),"
    " add_up(-n.output), add_up(-n.reasoning),"
    " add_up(CASE WHEN e.cost_nanousd IS NULL THEN -" ALL_OF("n") " ELSE 0 END), 0"
    " FROM line n JOIN exchange e ON e.id = n.exchange"
    " WHERE n.exchange >= ?1 AND n.exchange < ?2 AND n.within GROUP BY 1, 2, 3)"
    "SELECT"
    " CASE WHEN ?3 & 1 THEN l.team END,"
    " CASE WHEN ?3 & 2 THEN l.caller END,"
    " CASE WHEN ?3 & 4 THEN"
    "  ifnull(s.model, ifnull(l.response_model, l.request_model)) END,"
    " CASE WHEN ?3 & 8 THEN l.tool END,"
    " CASE WHEN ?3 & 16 THEN l.provider END,"
    " CASE WHEN ?3 & 32 THEN l.dialect END,"
    " date(s.day * 86400, 'unixepoch'),"
    " CASE WHEN ?3 & 128 THEN l.outcome END,"
    " CASE WHEN ?3 & 256 THEN l.usage_source END,"
    " CASE WHEN ?3 & 512 THEN l.grade END,"
    " CASE WHEN ?3 & 1024 THEN l.tags END,"
    " add_up(s.exchanges),"
    " add_up(s.exchanges * (l.outcome = 'refused')),"
    " add_up(s.exchanges * (l.outcome <> 'refused' AND NOT l.free"
    "  AND l.usage_source <> 'reported'"
    "  AND NOT (l.outcome = 'complete' AND l.status >= 400))),"
    " add_up(s.unpriced * (l.outcome <> 'refused' AND NOT l.free)),"
    " add_up(s.input), add_up(s.cache_read), add_up(s.cache_write), add_up(s.output),"
    " add_up(s.reasoning),"
    " add_up(s.unpriced_tokens * NOT l.free),"
    " add_up(s.cost) AS cost,"
    " add_up(s.input + s.cache_read + s.cache_write + s.output + s.reasoning) AS tokens"
    " FROM by_label s JOIN label l ON l.id = s.label"
    " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    " ORDER BY cost DESC, tokens DESC, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11";
/* clang-format on */
#undef DAY
#undef TOKENS_OF
#undef ALL_OF

static const char *column_word(sqlite3_stmt *row, int at)
{
    const void *text = sqlite3_column_text(row, at);

    return text == NULL ? "" : text;
}

static void read_sum(sqlite3_stmt *row, struct ledger_sum *sum)
{
    int at = 11;

    *sum = (struct ledger_sum){
        .team = column_word(row, 0),
        .caller = column_word(row, 1),
        .model = column_word(row, 2),
        .tool = column_word(row, 3),
        .provider = column_word(row, 4),
        .dialect = column_word(row, 5),
        .day = column_word(row, 6),
        .outcome = column_word(row, 7),
        .source = column_word(row, 8),
        .grade = column_word(row, 9),
        .tag = column_word(row, 10),
    };
    sum->exchanges = column_number(row, at++);
    sum->refused = column_number(row, at++);
    sum->not_reported = column_number(row, at++);
    sum->unpriced = column_number(row, at++);
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        sum->tokens[of] = column_number(row, at++);
    }
    sum->unpriced_tokens = column_number(row, at++);
    sum->cost_nanousd = sqlite3_column_int64(row, at);
}

bool ledger_sums(const char *directory, const struct ledger_query *query, unsigned by,
                 void (*each)(void *self, const struct ledger_sum *sum), void *self,
                 struct error *error)
{
    sqlite3 *sqlite = ledger_db_read(directory, error);
    sqlite3_stmt *statement = NULL;
    struct ledger_sum sum;
    bool good;
    int result;

    if (sqlite == NULL) {
        return false;
    }
    result = sqlite3_create_function(sqlite, "add_up", 1, SQLITE_UTF8, NULL, NULL,
                                     saturating_step, saturating_value);
    if (result == SQLITE_OK) {
        result = sqlite3_prepare_v2(sqlite, select_sums, -1, &statement, NULL);
    }
    if (result == SQLITE_OK) {
        bind_range(statement, query);
        sqlite3_bind_int64(statement, 3, by);
        while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
            read_sum(statement, &sum);
            each(self, &sum);
        }
    }
    good = result == SQLITE_DONE || fail(sqlite, error);
    sqlite3_finalize(statement);
    sqlite3_close(sqlite);
    return good;
}

/* ---- drift ----------------------------------------------------------------------- */

static const char select_drifts[] =
    "WITH call AS ("
    " SELECT l.provider, ifnull(l.response_model, l.request_model) AS model,"
    "  e.output, e.local_output AS counted"
    " FROM (SELECT label, output, json_extract(rare, '$.local_output') AS local_output"
    "  FROM exchange WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3) e"
    " JOIN label l ON l.id = e.label"
    " WHERE e.local_output > 0 AND e.output > 0), "
    "whole AS ("
    " SELECT provider, model, count(*) AS calls, sum(output) AS output,"
    "  sum(counted) AS counted FROM call GROUP BY 1, 2) "
    "SELECT w.provider, w.model, w.calls, w.output, w.counted,"
    " sum(abs(c.output - c.counted)),"
    " sum(abs(c.output - CAST(round(1.0 * c.counted * w.output / w.counted)"
    "  AS INTEGER)))"
    " FROM call c JOIN whole w ON w.provider IS c.provider AND w.model IS c.model"
    " GROUP BY 1, 2 ORDER BY w.output DESC, 1, 2";

bool ledger_drifts(const char *directory, const struct ledger_query *query,
                   uint64_t calls,
                   void (*each)(void *self, const struct ledger_drift *drift),
                   void *self, struct error *error)
{
    sqlite3 *sqlite = ledger_db_read(directory, error);
    sqlite3_stmt *row = NULL;
    bool good;
    int result;

    if (sqlite == NULL) {
        return false;
    }
    result = prepare_range(sqlite, select_drifts, query, &row);
    if (result == SQLITE_OK) {
        sqlite3_bind_int64(row, 3, calls == 0 ? -1 : (int64_t)calls);
        while ((result = sqlite3_step(row)) == SQLITE_ROW) {
            const struct ledger_drift drift = {
                .provider = column_word(row, 0),
                .model = column_word(row, 1),
                .calls = column_number(row, 2),
                .reported = column_number(row, 3),
                .counted = column_number(row, 4),
                .apart = column_number(row, 5),
                .off = column_number(row, 6),
            };

            each(self, &drift);
        }
    }
    good = result == SQLITE_DONE || fail(sqlite, error);
    sqlite3_finalize(row);
    sqlite3_close(sqlite);
    return good;
}
