#include "proxy/meter/ledger_schema.h"

#include <assert.h>
#include <stddef.h>

#define TEXT(name, field)           #name " TEXT, "
#define WORD(name, value, to, from) #name " TEXT, "
#define MARK(name, field)           #name " INTEGER NOT NULL, "
static const char create_label[] = "CREATE TABLE label ("
#include "proxy/meter/ledger_column.def"
                                   "id INTEGER PRIMARY KEY) STRICT";
#undef TEXT
#undef WORD
#undef MARK

/* lead_us: how long before its id's millisecond an exchange began. */
#define NUMBER(name, field)            #name " INTEGER NOT NULL, "
#define KNOWN(name, value, known, bit) #name " INTEGER, "
static const char create_exchange[] = "CREATE TABLE exchange ("
                                      "id INTEGER PRIMARY KEY, "
                                      "label INTEGER NOT NULL, "
                                      "lead_us INTEGER NOT NULL, "
#include "proxy/meter/ledger_column.def"
                                      "cost_nanousd INTEGER, "
                                      "reported_nanousd INTEGER) STRICT";
#undef NUMBER
#undef KNOWN

/* A row per line of an entry. */
#define KNOWN(name, value, known, bit) #name " INTEGER, "
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

/* Few exchanges are billed once by an object's id: a small index. */
static const char create_object_index[] =
    "CREATE INDEX exchange_object ON exchange (object) WHERE object <> 0";

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
static const char create_exchanges[] =
    "CREATE VIEW exchanges AS SELECT " ID_TEXT " AS id, "
    "strftime('%Y-%m-%dT%H:%M:%fZ', " START_MS " / 1000.0, 'unixepoch') AS time, "
#include "proxy/meter/ledger_column.def"
    "e.cost_nanousd + " LINES_COST " AS cost_nanousd, "
    "(e.cost_nanousd + " LINES_COST ") / 1e9 AS cost_usd, e.reported_nanousd "
    "FROM exchange e JOIN label l ON l.id = e.label";
#undef TEXT
#undef WORD
#undef MARK
#undef NUMBER
#undef KNOWN

#define KNOWN(name, value, known, bit) "n." #name ", "
static const char create_lines[] =
    "CREATE VIEW lines AS SELECT " ID_TEXT " AS id, l.team, l.caller, l.provider, "
    "n.kind, ifnull(n.model, ifnull(l.response_model, l.request_model)) AS model, "
    "n.within, "
#include "proxy/meter/ledger_column.def"
    "n.cost_nanousd, n.cost_nanousd / 1e9 AS cost_usd "
    "FROM line n JOIN exchange e ON e.id = n.exchange JOIN label l ON l.id = e.label";
#undef KNOWN

static_assert(LEDGER_APPLICATION_ID == 1634956153 && LEDGER_SCHEMA == 3,
              "as in the statements below");

static const char *const step_from_nothing[] = {
    create_label, create_exchange, create_line, create_object_index, NULL,
};

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
    create_line,
    create_object_index,
    NULL,
};

const char *const *const ledger_schema_steps[LEDGER_SCHEMA] = {
    [0] = step_from_nothing,
    [1] = step_from_1,
    [2] = step_from_2,
};

const char *const ledger_schema_latest[] = {
    "DROP VIEW IF EXISTS exchanges",      create_exchanges,          create_lines,
    "PRAGMA application_id = 1634956153", "PRAGMA user_version = 3", NULL,
};
