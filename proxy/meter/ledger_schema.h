/* The tables of the ledger as they are now, as statements that create them. Whoever
 * changes them (or ledger_column.def) makes a new schema: a number here, and a step to
 * it in ledger_upgrade.c. */
#ifndef ASSAY_METER_LEDGER_SCHEMA_H
#define ASSAY_METER_LEDGER_SCHEMA_H

/* In the file's header: which program it is of ("assy"), and which schema it has. */
enum { LEDGER_APPLICATION_ID = 0x61737379, LEDGER_SCHEMA = 4 };

/* For an empty database; NULL at the end. */
extern const char *const ledger_schema_tables[];

/* Ends every change of schema: the views, and the number. */
extern const char *const ledger_schema_views[];

#endif
