/* The tables of the ledger, as statements that create them. */
#ifndef ASSAY_METER_LEDGER_SCHEMA_H
#define ASSAY_METER_LEDGER_SCHEMA_H

/* In the file's header: which program it is of ("assy"), and which schema it has. */
enum { LEDGER_APPLICATION_ID = 0x61737379, LEDGER_SCHEMA = 2 };

/* One transaction that makes an empty database a ledger; NULL at the end. */
extern const char *const ledger_schema[];

/* One transaction that brings a ledger of schema 1 to this one. */
extern const char *const ledger_schema_from_1[];

#endif
