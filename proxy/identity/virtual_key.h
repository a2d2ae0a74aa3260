/* Virtual keys: what callers hold instead of a provider's credential.
 *
 * A key reads "assay_" + 26 random characters of base 32 (130 bits) + 6 characters of
 * their CRC-32 (so that a typo is told from an unknown key without a look-up, and
 * secret scanners can recognise it). The alphabet is Crockford's in lower case: no i,
 * l, o, u. Only the SHA-256 of the whole text is stored: so many random bits need no
 * slow hash. Keys live in `state`/keys.db; a change is effective within a second. */
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
    int64_t created; /* Unix seconds */
    int64_t expires; /* 0: never */
    int64_t revoked; /* 0: not revoked; may lie ahead (rotation with grace) */
};

/* The Unix second from which on the key is refused, as far as the record knows. */
int64_t key_record_end(const struct key_record *record);

/* The store, for the command line. Every function opens and closes it. false and an
 * entry in *error on failure.
 *
 * key_add() takes team, caller, label, created and expires of `wanted`. `key` is the
 * only copy of the text that will ever be: the caller shows it and wipes it. */
bool key_add(const char *state, const struct key_record *wanted,
             char key[KEY_TEXT_SIZE], struct key_record *made, struct error *error);
bool key_list(const char *state, void (*each)(void *self, const struct key_record *),
              void *self, struct error *error);
/* From `at` (Unix seconds, not 0) on the key of this id is refused. A revocation can be
 * moved forward, never back or undone. */
bool key_revoke(const char *state, const char *id, int64_t at, struct error *error);

/* In Unix seconds. */
struct key_rotation {
    int64_t now;         /* when the new key is made */
    int64_t old_ends;    /* from then on the old one is refused; not 0 */
    int64_t new_expires; /* 0: the new one lives as long as the old one was to */
};

/* A new key for the same team and caller in place of the one of this id. A key that is
 * revoked already, or will be, is not rotated. */
bool key_rotate(const char *state, const char *id, const struct key_rotation *rotation,
                char key[KEY_TEXT_SIZE], struct key_record *made, struct error *error);

/* Is this the shape of a virtual key, with the right checksum? */
bool key_well_formed(struct span key);

/* All keys, immutable, for the workers. */
struct key_table;

struct key_table *key_table_load(const char *state, struct error *error);
struct key_table *key_table_free(struct key_table *table);
size_t key_table_count(const struct key_table *table);

/* A watch on the store: cheap to ask several times a second. Open it before the table
 * is loaded, so that no change falls between the two. Used by one thread. */
struct key_watch;
struct key_watch *key_watch_open(const char *state, struct error *error);
struct key_watch *key_watch_close(struct key_watch *watch);
/* Did the store change since the last call, by whichever process? A store that cannot
 * be asked counts as changed, so that loading it again tells why. */
bool key_watch_changed(struct key_watch *watch);

/* Finds a key by its digest; unknown, expired and revoked keys take the same
 * path and the comparison takes constant time. NULL if the key is not valid at
 * `now` (Unix seconds). */
const struct key_record *key_table_find(const struct key_table *table, struct span key,
                                        int64_t now);

#endif
