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

/* The id as entry_id_text() writes it, and the time of the beginning, for people. */
/* clang-format off */
#define DIGIT(shift)                                                                   \
    " || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + ((e.id >> " #shift ") & 31), 1)"
#define ID_TEXT                                                                        \
    "'ax-'" DIGIT(60) DIGIT(55) DIGIT(50) DIGIT(45) DIGIT(40) DIGIT(35) DIGIT(30)      \
    DIGIT(25) DIGIT(20) DIGIT(15) DIGIT(10) DIGIT(5) DIGIT(0)
#define START_MS "(((e.id >> 22) + 1704067200000) * 1000 - e.lead_us) / 1000"
/* clang-format on */

#define TEXT(name, field)              "l." #name ", "
#define WORD(name, value, to, from)    "l." #name ", "
#define MARK(name, field)              "l." #name ", "
#define NUMBER(name, field)            "e." #name ", "
#define KNOWN(name, value, known, bit) "e." #name ", "
static const char create_view[] =
    "CREATE VIEW exchanges AS SELECT " ID_TEXT " AS id, "
    "strftime('%Y-%m-%dT%H:%M:%fZ', " START_MS " / 1000.0, 'unixepoch') AS time, "
#include "proxy/meter/ledger_column.def"
    "e.cost_nanousd, e.cost_nanousd / 1e9 AS cost_usd, e.reported_nanousd "
    "FROM exchange e JOIN label l ON l.id = e.label";
#undef TEXT
#undef WORD
#undef MARK
#undef NUMBER
#undef KNOWN

static_assert(LEDGER_APPLICATION_ID == 1634956153 && LEDGER_SCHEMA == 2,
              "as in the statements below");

const char *const ledger_schema[] = {
    "BEGIN IMMEDIATE",
    create_label,
    create_exchange,
    create_view,
    "PRAGMA application_id = 1634956153",
    "PRAGMA user_version = 2",
    "COMMIT",
    NULL,
};

const char *const ledger_schema_from_1[] = {
    "BEGIN IMMEDIATE",
    "ALTER TABLE exchange ADD COLUMN reserved_input INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN reserved_output INTEGER NOT NULL DEFAULT 0",
    "DROP VIEW exchanges",
    create_view,
    "PRAGMA user_version = 2",
    "COMMIT",
    NULL,
};
