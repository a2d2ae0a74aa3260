/* What the SQLite databases of the state folder have in common. */
#ifndef ASSAY_METER_DATABASE_H
#define ASSAY_METER_DATABASE_H

#include "proxy/base/check.h"

#include <sqlite3.h>

#include <stdbool.h>
#include <stdint.h>

/* Makes an empty file that its owner alone can read, if there is none: one that SQLite
 * makes could be read by everybody. It is given to the folder's owner, so that the
 * service can use what an administrator's command made. false: errno says why. */
bool database_make(const char *path, const char *folder) MUST_CHECK;

/* Runs a statement to its end; *number (if not NULL) is the first number that it
 * returns, and left alone if it returns nothing. */
bool database_run(sqlite3 *sqlite, const char *sql, int64_t *number) MUST_CHECK;

/* Runs one after the other, up to a NULL, as long as none fails. */
bool database_run_all(sqlite3 *sqlite, const char *const *statements) MUST_CHECK;

/* Runs a prepared statement that returns no rows, and resets it. */
bool database_step(sqlite3_stmt *statement);

/* Binds a text that lives until the statement is reset; NULL where it is
 * NULL or empty. */
void database_bind(sqlite3_stmt *statement, int at, const char *text);

/* A column's text until the next row; "" for NULL. */
const char *database_text(sqlite3_stmt *row, int column);

#endif
