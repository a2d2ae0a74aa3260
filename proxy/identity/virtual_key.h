/* Virtual keys: what callers hold instead of a provider's credential.
 *
 * A key reads "assay_" + 26 characters base 32 of 128 random bits + 6 characters of a
 * checksum (so that a typo is told from an unknown key without a look-up, and secret
 * scanners can recognise it). Only its SHA-256 is stored: 128 random bits need no slow
 * hash. Keys live in `state`/keys.db; a change is effective within a second. */
#ifndef ASSAY_IDENTITY_VIRTUAL_KEY_H
#define ASSAY_IDENTITY_VIRTUAL_KEY_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/base/span.h"

enum { KEY_TEXT_SIZE = 6 + 26 + 6 + 1, KEY_ID_SIZE = 13 };

/* A row of the store, as `assay keys list` shows it. No field can give the key back. */
struct key_record {
    char id[KEY_ID_SIZE]; /* public: 12 hex digits, derived from the digest */
    char team[32];
    char caller[48];
    char label[48];
    int64_t created;    /* Unix seconds */
    int64_t expires;    /* 0: never */
    int64_t revoked;    /* 0: not revoked; may lie ahead (rotation with grace) */
};

/* The store, for the command line. Every function opens and closes it. false and an entry
 * in *error on failure. */
bool key_add(const char *state, const struct key_record *wanted, char key[KEY_TEXT_SIZE],
             struct key_record *made, struct error *error);
bool key_list(const char *state, void (*each)(void *self, const struct key_record *),
              void *self, struct error *error);
/* From `at` (Unix seconds) on the key of this id is refused. */
bool key_revoke(const char *state, const char *id, int64_t at, struct error *error);

/* Is this the shape of a virtual key, with the right checksum? */
bool key_well_formed(struct span key);

/* All keys, immutable, for the workers. */
struct key_table;

struct key_table *key_table_load(const char *state, struct error *error);
struct key_table *key_table_free(struct key_table *table);
size_t key_table_count(const struct key_table *table);

/* A watch on the store: cheap to ask several times a second. */
struct key_watch;
struct key_watch *key_watch_open(const char *state, struct error *error);
struct key_watch *key_watch_close(struct key_watch *watch);
/* Did the store change since the last call? */
bool key_watch_changed(struct key_watch *watch);

/* Finds a key by its digest; unknown, expired and revoked keys take the same path and the
 * comparison takes constant time. NULL if the key is not valid at `now` (Unix seconds). */
const struct key_record *key_table_find(const struct key_table *table, struct span key,
                                        int64_t now);

#endif
