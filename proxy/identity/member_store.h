/* Members of teams that were imported: a table beside the keys in `state`/keys.db, so
 * that the watch on the keys notices a change. */
#ifndef ASSAY_IDENTITY_MEMBER_STORE_H
#define ASSAY_IDENTITY_MEMBER_STORE_H

#include "proxy/base/error.h"

#include <sqlite3.h>

enum { MEMBER_TAGS_SIZE = 128, MEMBER_ALIAS_SIZE = 256 };

struct member_row {
    char team[32];
    char caller[48];
    bool service;                  /* declared automation, no person */
    char alias[MEMBER_ALIAS_SIZE]; /* what credentials call him; "": his name */
    char tags[MEMBER_TAGS_SIZE];   /* "cost_centre=4711,project=atlas" */
};

/* On a connection of key_store_open(). false and an entry in *error on failure. */

/* Within key_store_begin() and _commit(). */
bool member_store_clear(sqlite3 *db, struct error *error);
/* A member that stands in the team already is a failure. */
bool member_store_insert(sqlite3 *db, const struct member_row *row,
                         struct error *error);

/* Calls `each` for every row, by team and caller; the row lives during the call. Stops
 * and returns false where `each` does. */
bool member_store_each(sqlite3 *db, bool (*each)(void *self, const struct member_row *),
                       void *self, struct error *error);

#endif
