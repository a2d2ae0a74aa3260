/* Makes of a ledger that an older version of assay wrote one with the tables of
 * today. */
#ifndef ASSAY_METER_LEDGER_UPGRADE_H
#define ASSAY_METER_LEDGER_UPGRADE_H

#include "proxy/base/check.h"

#include <sqlite3.h>

#include <stdbool.h>
#include <stdint.h>

/* From schema `from`, at most LEDGER_SCHEMA (0: an empty database), in one transaction,
 * which ends with the connection where it fails: sqlite3_errmsg() says why.
 *
 * That may take minutes: `tell` (may be NULL) gets a line for people when it begins,
 * every ten seconds, and at the end; nothing where there is nothing to rewrite. */
bool ledger_upgrade(sqlite3 *sqlite, int64_t from,
                    void (*tell)(const char *words)) MUST_CHECK;

#endif
