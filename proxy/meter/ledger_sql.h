/* The ledger's database, and the writer that adds entries within transactions. Every
 * SQL statement is made of constant texts.
 *
 * Four tables. What repeats (who, what, how it ended) is a row of `label`, written
 * once and then referred to by number; `exchange` has a row of plain integers per
 * entry, and a JSON object of those that few entries have; `line` has a row per line of
 * an entry, and `object` one per entry that is keyed by an object. */
#ifndef ASSAY_METER_LEDGER_SQL_H
#define ASSAY_METER_LEDGER_SQL_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/meter/entry.h"

#include <sqlite3.h>

struct ledger_db;

/* Opens `directory`/ledger.db for writing and creates what is missing, or NULL. One
 * of an older version is rewritten (ledger_upgrade.h). */
struct ledger_db *ledger_db_open(const char *directory, void (*tell)(const char *words),
                                 struct error *error);
struct ledger_db *ledger_db_close(struct ledger_db *db);

/* One transaction: false means that it must be rolled back. Adds `count` entries; one
 * whose id is there already is left as it is. */
bool ledger_db_begin(struct ledger_db *db) MUST_CHECK;
bool ledger_db_add(struct ledger_db *db, const struct entry *const *entries,
                   size_t count) MUST_CHECK;
bool ledger_db_commit(struct ledger_db *db) MUST_CHECK;
void ledger_db_rollback(struct ledger_db *db);

/* Deletes entries with lesser ids, the oldest first, at most so many: returns how many,
 * or -1. Names stay until ledger_db_forget_names(), which looks at every entry. Either
 * is a transaction of its own. */
int ledger_db_forget(struct ledger_db *db, uint64_t before_id, int most);
bool ledger_db_forget_names(struct ledger_db *db);

/* After a commit: waits until the disk has it, and moves the write-ahead log into the
 * database once it is long. Apart from the commit, so that nobody's journal slots wait
 * for the disk. */
bool ledger_db_sync(struct ledger_db *db) MUST_CHECK;

/* Why the last call failed. */
const char *ledger_db_reason(const struct ledger_db *db);

/* Opens `directory`/ledger.db for reading; NULL and an entry in *error on failure. */
sqlite3 *ledger_db_read(const char *directory, struct error *error);

#endif
