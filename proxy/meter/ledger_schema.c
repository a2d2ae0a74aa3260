#include "proxy/meter/ledger_schema.h"

#include "proxy/meter/usage.h"

#include <assert.h>
#include <stddef.h>

#define TEXT(name, field)           #name " TEXT, "
#define WORD(name, value, to, from) #name " TEXT, "
#define MARK(name, field)           #name " INTEGER NOT NULL, "
#define BITS(name, field)           #name " INTEGER NOT NULL, "
static const char create_label[] = "CREATE TABLE label ("
#include "proxy/meter/ledger_column.def"
                                   "id INTEGER PRIMARY KEY) STRICT";
#undef TEXT
#undef WORD
#undef MARK
#undef BITS

/* lead_us: how long before its id's millisecond an exchange began. None of the numbers
 * is ever NULL, but SQLite would look at each of every row. */
#define NUMBER(name, field)            #name " INTEGER, "
#define KNOWN(name, value, known, bit) #name " INTEGER, "
static const char create_exchange[] = "CREATE TABLE exchange ("
                                      "id INTEGER PRIMARY KEY, "
                                      "label INTEGER, "
                                      "lead_us INTEGER, "
#include "proxy/meter/ledger_column.def"
                                      "cost_nanousd INTEGER, "
                                      "rare TEXT) STRICT";
#undef NUMBER
#undef KNOWN

/* A row per line of an entry. */
#define KNOWN(name, value, known, bit)      #name " INTEGER, "
#define PART(name, array, index, known, at) #name " INTEGER, "
static const char create_line[] = "CREATE TABLE line ("
                                  "exchange INTEGER NOT NULL, "
                                  "number INTEGER NOT NULL, "
                                  "kind TEXT NOT NULL, "
                                  "model TEXT, "
                                  "within INTEGER NOT NULL, "
#include "proxy/meter/ledger_column.def"
                                  "cost_nanousd INTEGER, "
                                  "PRIMARY KEY (exchange, number)) "
                                  "STRICT, WITHOUT ROWID";
#undef KNOWN
#undef PART

/* Few exchanges are billed once by an object's id, which has this hash. */
static const char create_object[] = "CREATE TABLE object ("
                                    "exchange INTEGER PRIMARY KEY, "
                                    "hash INTEGER NOT NULL) STRICT";

/* A label has a bit per part, by the number in ledger_column.def. */
#define PART(name, array, index, known, at)                                            \
    static_assert((index) == (at), #name " has a number of its own");
#include "proxy/meter/ledger_column.def"
#undef PART

/* The id as entry_id_text() writes it, and the time of the beginning, for people. */
/* clang-format off */
#define DIGIT(shift)                                                                   \
    " || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + ((e.id >> " #shift ") & 31), 1)"
#define ID_TEXT                                                                        \
    "'ax-'" DIGIT(60) DIGIT(55) DIGIT(50) DIGIT(45) DIGIT(40) DIGIT(35) DIGIT(30)      \
    DIGIT(25) DIGIT(20) DIGIT(15) DIGIT(10) DIGIT(5) DIGIT(0)
#define START_MS "(((e.id >> 22) + 1704067200000) * 1000 - e.lead_us) / 1000"
#define LINES_COST                                                                     \
    "ifnull((SELECT sum(n.cost_nanousd) FROM line n WHERE n.exchange = e.id), 0)"
/* clang-format on */

#define TEXT(name, field)              "l." #name ", "
#define WORD(name, value, to, from)    "l." #name ", "
#define MARK(name, field)              "l." #name ", "
#define NUMBER(name, field)            "e." #name ", "
#define KNOWN(name, value, known, bit) "e." #name ", "
#define RARE(name, field)                                                              \
    "ifnull(json_extract(e.rare, '$." #name "'), 0) AS " #name ", "
#define PART(name, array, index, known, at)                                            \
    "ifnull(json_extract(e.rare, '$." #name "'), CASE WHEN l." #known " >> " #at       \
    " & 1 THEN 0 END) AS " #name ", "
static const char create_exchanges[] =
    "CREATE VIEW exchanges AS SELECT " ID_TEXT " AS id, "
    "strftime('%Y-%m-%dT%H:%M:%fZ', " START_MS " / 1000.0, 'unixepoch') AS time, "
#include "proxy/meter/ledger_column.def"
    "ifnull((SELECT o.hash FROM object o WHERE o.exchange = e.id), 0) AS object, "
    "e.cost_nanousd + " LINES_COST " AS cost_nanousd, "
    "(e.cost_nanousd + " LINES_COST ") / 1e9 AS cost_usd, "
    "json_extract(e.rare, '$.reported_nanousd') AS reported_nanousd "
    "FROM exchange e JOIN label l ON l.id = e.label";
#undef TEXT
#undef WORD
#undef MARK
#undef NUMBER
#undef KNOWN
#undef RARE
#undef PART

#define KNOWN(name, value, known, bit)      "n." #name ", "
#define PART(name, array, index, known, at) "n." #name ", "
static const char create_lines[] =
    "CREATE VIEW lines AS SELECT " ID_TEXT " AS id, l.team, l.caller, l.provider, "
    "n.kind, ifnull(n.model, ifnull(l.response_model, l.request_model)) AS model, "
    "n.within, "
#include "proxy/meter/ledger_column.def"
    "n.cost_nanousd, n.cost_nanousd / 1e9 AS cost_usd "
    "FROM line n JOIN exchange e ON e.id = n.exchange JOIN label l ON l.id = e.label";
#undef KNOWN
#undef PART

static_assert(LEDGER_APPLICATION_ID == 1634956153 && LEDGER_SCHEMA == 4,
              "as in the statements below");

const char *const ledger_schema_tables[] = {
    create_label, create_exchange, create_line, create_object, NULL,
};

const char *const ledger_schema_views[] = {
    "DROP VIEW IF EXISTS exchanges",
    create_exchanges,
    "DROP VIEW IF EXISTS lines",
    create_lines,
    "PRAGMA application_id = 1634956153",
    "PRAGMA user_version = 4",
    NULL,
};
