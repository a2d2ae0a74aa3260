#include "proxy/identity/virtual_key.h"

#include "proxy/identity/key_store.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { PREFIX_LEN = 6, RANDOM_LEN = 26, CHECKSUM_LEN = 6, BITS_PER_CHARACTER = 5 };

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const struct error_place nowhere = { 0 };

/* ---- the text of a key ----------------------------------------------------------- */

static void checksum_put(const char *random, char checksum[CHECKSUM_LEN])
{
    uLong sum = crc32(0, (const Bytef *)random, RANDOM_LEN);

    for (size_t i = 0; i < CHECKSUM_LEN; i++) {
        checksum[i] = alphabet[(sum >> (i * BITS_PER_CHARACTER)) & 31];
    }
}

static bool key_generate(char key[KEY_TEXT_SIZE])
{
    unsigned char random[RANDOM_LEN];
    char *at = key + PREFIX_LEN;

    if (RAND_priv_bytes(random, sizeof random) != 1) {
        return false;
    }
    memcpy(key, "assay_", PREFIX_LEN);
    for (size_t i = 0; i < RANDOM_LEN; i++) {
        at[i] = alphabet[random[i] & 31];
    }
    checksum_put(at, at + RANDOM_LEN);
    key[KEY_TEXT_SIZE - 1] = '\0';
    OPENSSL_cleanse(random, sizeof random);
    return true;
}

static bool in_alphabet(char c)
{
    return (c >= '0' && c <= '9') ||
           (c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u');
}

bool key_well_formed(struct span key)
{
    char checksum[CHECKSUM_LEN];
    const char *random;

    if (key.len != KEY_TEXT_SIZE - 1 || !span_starts(key, SPAN("assay_"))) {
        return false;
    }
    random = key.at + PREFIX_LEN;
    for (size_t i = 0; i < RANDOM_LEN; i++) {
        if (!in_alphabet(random[i])) {
            return false;
        }
    }
    checksum_put(random, checksum);
    return memcmp(random + RANDOM_LEN, checksum, CHECKSUM_LEN) == 0;
}

/* ---- the store, for the command line --------------------------------------------- */

static bool row_make(struct key_row *row, char key[KEY_TEXT_SIZE], struct error *error)
{
    if (!key_generate(key) ||
        !key_digest(span_of(key, KEY_TEXT_SIZE - 1), &row->digest)) {
        error_add(error, nowhere, "no random numbers for a new key");
        return false;
    }
    for (size_t i = 0; i + 1 < KEY_ID_SIZE; i += 2) {
        snprintf(row->record.id + i, 3, "%02x", row->digest.bytes[i / 2]);
    }
    row->record.revoked = 0;
    return true;
}

bool key_add(const char *state, const struct key_record *wanted,
             char key[KEY_TEXT_SIZE], struct key_record *made, struct error *error)
{
    struct key_row row = { .record = *wanted };
    sqlite3 *db;
    bool added;

    if (!row_make(&row, key, error)) {
        return false;
    }
    db = key_store_open(state, error);
    added = db != NULL && key_store_insert(db, &row, error);
    key_store_close(db);
    if (!added) {
        OPENSSL_cleanse(key, KEY_TEXT_SIZE);
    }
    *made = row.record;
    return added;
}

struct listing {
    void (*each)(void *self, const struct key_record *);
    void *self;
};

static bool list_row(void *self, const struct key_row *row)
{
    const struct listing *listing = self;

    listing->each(listing->self, &row->record);
    return true;
}

bool key_list(const char *state, void (*each)(void *self, const struct key_record *),
              void *self, struct error *error)
{
    struct listing listing = { each, self };
    sqlite3 *db = key_store_open(state, error);
    bool listed = db != NULL && key_store_each(db, list_row, &listing, error);

    key_store_close(db);
    return listed;
}

bool key_revoke(const char *state, const char *id, int64_t at, struct error *error)
{
    sqlite3 *db;
    bool revoked;

    CHECK(at != 0);
    db = key_store_open(state, error);
    revoked = db != NULL && key_store_revoke(db, id, at, error);
    key_store_close(db);
    return revoked;
}

static bool rotatable(const struct key_record *record, struct error *error)
{
    if (record->revoked != 0) {
        error_add(error, nowhere, "the key %s is revoked already; add a new one",
                  record->id);
        return false;
    }
    return true;
}

bool key_rotate(const char *state, const char *id, const struct key_rotation *rotation,
                char key[KEY_TEXT_SIZE], struct key_record *made, struct error *error)
{
    struct key_row row = { 0 };
    struct key_record *record = &row.record;
    sqlite3 *db = key_store_open(state, error);
    bool rotated = db != NULL && key_store_begin(db, error) &&
                   key_store_find(db, id, record, error) && rotatable(record, error);

    if (rotated) {
        int64_t lifetime = record->expires - record->created;

        if (rotation->new_expires != 0) {
            record->expires = rotation->new_expires;
        } else if (record->expires != 0) {
            record->expires = rotation->now + lifetime;
        }
        record->created = rotation->now;
        rotated = row_make(&row, key, error) && key_store_insert(db, &row, error) &&
                  key_store_revoke(db, id, rotation->old_ends, error) &&
                  key_store_commit(db, error);
    }
    key_store_close(db);
    if (!rotated) {
        OPENSSL_cleanse(key, KEY_TEXT_SIZE);
    }
    *made = *record;
    return rotated;
}

/* ---- all keys, for the workers --------------------------------------------------- */

/* An open-addressing hash over the digests. */
struct key_table {
    struct key_row *rows;
    size_t count;
    size_t room;
    uint32_t *slots; /* 1 + the place in rows; 0: empty */
    size_t mask;     /* slots are a power of two, at least twice as many as rows */
};

/* Stands for an unknown key, so that it is judged like a known one. */
static const struct key_row nobody = { .record = { .revoked = INT64_MIN } };

static bool table_add(void *self, const struct key_row *row)
{
    struct key_table *table = self;

    if (table->count == table->room) {
        size_t room = table->room == 0 ? 64 : table->room * 2;
        struct key_row *rows = reallocarray(table->rows, room, sizeof *rows);

        if (rows == NULL) {
            return false;
        }
        table->rows = rows;
        table->room = room;
    }
    table->rows[table->count++] = *row;
    return true;
}

static size_t table_home(const struct key_table *table, const struct key_digest *digest)
{
    uint64_t hash;

    memcpy(&hash, digest->bytes, sizeof hash);
    return hash & table->mask;
}

static bool table_index(struct key_table *table)
{
    size_t slots = 16;

    while (slots < table->count * 2) {
        slots *= 2;
    }
    table->slots = calloc(slots, sizeof *table->slots);
    table->mask = slots - 1;
    if (table->slots == NULL || table->count >= UINT32_MAX) {
        return false;
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t slot = table_home(table, &table->rows[i].digest);

        while (table->slots[slot] != 0) {
            slot = (slot + 1) & table->mask;
        }
        table->slots[slot] = (uint32_t)i + 1;
    }
    return true;
}

struct key_table *key_table_load(const char *state, struct error *error)
{
    struct key_table *table = calloc(1, sizeof *table);
    sqlite3 *db = key_store_open(state, error);
    bool loaded;

    if (table == NULL || db == NULL) {
        key_store_close(db);
        return key_table_free(table);
    }
    loaded = key_store_each(db, table_add, table, error) && table_index(table);
    key_store_close(db);
    if (!loaded && !error_any(error)) {
        error_add(error, nowhere, "%s: no memory for the keys", state);
    }
    return loaded ? table : key_table_free(table);
}

struct key_table *key_table_free(struct key_table *table)
{
    if (table != NULL) {
        free(table->rows);
        free(table->slots);
        free(table);
    }
    return NULL;
}

size_t key_table_count(const struct key_table *table)
{
    return table->count;
}

int64_t key_record_end(const struct key_record *record)
{
    int64_t expires = record->expires == 0 ? INT64_MAX : record->expires;
    int64_t revoked = record->revoked == 0 ? INT64_MAX : record->revoked;

    return expires < revoked ? expires : revoked;
}

const struct key_record *key_table_find(const struct key_table *table, struct span key,
                                        int64_t now)
{
    const struct key_row *found = &nobody;
    struct key_digest digest;

    if (!key_digest(key, &digest)) {
        return NULL;
    }
    /* The whole run of slots is walked, also past the key. */
    for (size_t slot = table_home(table, &digest); table->slots[slot] != 0;
         slot = (slot + 1) & table->mask) {
        const struct key_row *row = &table->rows[table->slots[slot] - 1];

        if (key_digest_equal(&row->digest, &digest)) {
            found = row;
        }
    }
    return now < key_record_end(&found->record) ? &found->record : NULL;
}

/* ---- the watch ------------------------------------------------------------------- */

struct key_watch {
    sqlite3 *db;
    sqlite3_stmt *version;
    int64_t last;
};

static bool watch_read(struct key_watch *watch, int64_t *version)
{
    bool read = sqlite3_step(watch->version) == SQLITE_ROW;

    *version = sqlite3_column_int64(watch->version, 0);
    return sqlite3_reset(watch->version) == SQLITE_OK && read;
}

struct key_watch *key_watch_open(const char *state, struct error *error)
{
    struct key_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        error_add(error, nowhere, "%s: no memory for a watch on the keys", state);
        return NULL;
    }
    watch->db = key_store_open(state, error);
    if (watch->db == NULL) {
        return key_watch_close(watch);
    }
    if (sqlite3_prepare_v3(watch->db, "PRAGMA data_version", -1,
                           SQLITE_PREPARE_PERSISTENT, &watch->version,
                           NULL) != SQLITE_OK ||
        !watch_read(watch, &watch->last)) {
        error_add(error, nowhere, "%s: cannot watch the keys: %s", state,
                  sqlite3_errmsg(watch->db));
        return key_watch_close(watch);
    }
    return watch;
}

struct key_watch *key_watch_close(struct key_watch *watch)
{
    if (watch != NULL) {
        sqlite3_finalize(watch->version);
        key_store_close(watch->db);
        free(watch);
    }
    return NULL;
}

bool key_watch_changed(struct key_watch *watch)
{
    int64_t version;

    if (!watch_read(watch, &version)) {
        return true;
    }
    if (version == watch->last) {
        return false;
    }
    watch->last = version;
    return true;
}
