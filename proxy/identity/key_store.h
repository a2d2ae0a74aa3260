/* The file behind virtual keys: `state`/keys.db, SQLite in WAL mode, readable
 * by its owner only. It holds digests, never keys. Functions that fail add an
 * entry to *error. */
#ifndef ASSAY_IDENTITY_KEY_STORE_H
#define ASSAY_IDENTITY_KEY_STORE_H

#include "proxy/base/error.h"
#include "proxy/identity/key_digest.h"
#include "proxy/identity/virtual_key.h"

#include <sqlite3.h>

struct key_row {
    struct key_digest digest;
    struct key_record record;
};

/* Opens the store, making the folder `state` (0700) and the file (0600) if need be.
 * NULL on failure. A connection is used by one thread at a time. */
sqlite3 *key_store_open(const char *state, struct error *error);

/* Rolls back what was begun and not committed; takes NULL; returns NULL. */
sqlite3 *key_store_close(sqlite3 *db);

/* From begin on no other connection writes, until commit or close. */
bool key_store_begin(sqlite3 *db, struct error *error);
bool key_store_commit(sqlite3 *db, struct error *error);

bool key_store_insert(sqlite3 *db, const struct key_row *row, struct error *error);

/* Calls `each` for every row, oldest first; the row lives during the call. Stops and
 * returns false where `each` does. */
bool key_store_each(sqlite3 *db, bool (*each)(void *self, const struct key_row *),
                    void *self, struct error *error);

/* The row of this id; an unknown id is a failure. */
bool key_store_find(sqlite3 *db, const char *id, struct key_record *record,
                    struct error *error);

/* From `at` on; an earlier revocation stays as it is. An unknown id is a failure. */
bool key_store_revoke(sqlite3 *db, const char *id, int64_t at, struct error *error);

#endif
