/* The tables of the ledger, as statements that create them. */
#ifndef ASSAY_METER_LEDGER_SCHEMA_H
#define ASSAY_METER_LEDGER_SCHEMA_H

/* In the file's header: which program it is of ("assy"), and which schema it has. */
enum { LEDGER_APPLICATION_ID = 0x61737379, LEDGER_SCHEMA = 4 };

/* What each schema lacks of a later one, by its number; NULL at the end. An empty
 * database (0) lacks everything. */
extern const char *const *const ledger_schema_steps[LEDGER_SCHEMA];

/* Ends every change of schema: the views as they are now, and the number. */
extern const char *const ledger_schema_latest[];

#endif
