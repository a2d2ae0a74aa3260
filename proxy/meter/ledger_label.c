#include "proxy/meter/ledger_label.h"

#define XXH_INLINE_ALL
#include "proxy/base/fault.h"
#include "proxy/meter/database.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

/* The texts of an entry lie side by side. */
enum {
    LABEL_TEXTS_END =
        offsetof(struct entry, tags) + sizeof(((struct entry *)NULL)->tags),
    LABEL_TEXTS_AT = offsetof(struct entry, team),
    LABEL_TEXTS = LABEL_TEXTS_END - LABEL_TEXTS_AT
};

/* What an entry's label is made of: its texts as they lie in the entry, and the rest. */
struct label_marks {
    uint16_t status;
    uint8_t outcome, fault, stream, free, drained, source, flags, service, grade, turn,
        known_lifetimes, known_modalities;
};

struct label_key {
    char texts[LABEL_TEXTS];
    struct label_marks marks;
};
static_assert(sizeof(struct label_key) == LABEL_TEXTS + 14, "no padding is compared");

/* The cache: LABEL_WAYS places per set. */
enum { LABEL_SETS = 1024, LABEL_WAYS = 4 };

struct label_known {
    XXH128_hash_t hash;
    int64_t id; /* 0: an empty place */
};

struct ledger_labels {
    sqlite3_stmt *add;
    uint64_t seed;         /* a client that cannot know it cannot make labels collide */
    uint8_t turn;          /* which place of a full set is given up next */
    struct label_key last; /* what the last entry's label was made of */
    int64_t last_id;       /* its number; 0: there is none */
    struct label_known known[LABEL_SETS][LABEL_WAYS];
};

/* By name: a ledger that began with an older schema has later columns at its end. */
#define TEXT(name, field)           #name ", "
#define WORD(name, value, to, from) #name ", "
#define MARK(name, field)           #name ", "
#define BITS(name, field)           #name ", "
static const char insert_label[] = "INSERT INTO label ("
#include "proxy/meter/ledger_column.def"
#undef TEXT
#undef WORD
#undef MARK
#undef BITS
#define TEXT(name, field)           "?, "
#define WORD(name, value, to, from) "?, "
#define MARK(name, field)           "?, "
#define BITS(name, field)           "?, "
                                   "id) VALUES ("
#include "proxy/meter/ledger_column.def"
                                   "NULL)";
#undef TEXT
#undef WORD
#undef MARK
#undef BITS

struct ledger_labels *ledger_labels_new(sqlite3 *sqlite)
{
    struct ledger_labels *labels = calloc(1, sizeof *labels);

    CHECK(labels != NULL);
    CHECK(getrandom(&labels->seed, sizeof labels->seed, 0) == sizeof labels->seed);
    return sqlite3_prepare_v3(sqlite, insert_label, -1, SQLITE_PREPARE_PERSISTENT,
                              &labels->add, NULL) == SQLITE_OK
               ? labels
               : ledger_labels_free(labels);
}

struct ledger_labels *ledger_labels_free(struct ledger_labels *labels)
{
    if (labels != NULL) {
        sqlite3_finalize(labels->add);
        free(labels);
    }
    return NULL;
}

void ledger_labels_forget(struct ledger_labels *labels)
{
    memset(labels->known, 0, sizeof labels->known);
    labels->last_id = 0;
}

static struct label_marks label_marks(const struct entry *entry)
{
    return (struct label_marks){
        .status = entry->status,
        .outcome = entry->outcome,
        .fault = entry->fault,
        .stream = entry->stream,
        .free = entry->free,
        .drained = entry->drained,
        .source = entry->usage.source,
        .flags = entry->usage.flags,
        .service = entry->service,
        .grade = entry->grade,
        .turn = entry->turn,
        .known_lifetimes = entry->usage.known_lifetimes,
        .known_modalities = entry->usage.known_modalities,
    };
}

static const char *outcome_word(unsigned value)
{
    return outcome_name(value);
}

static const char *usage_source_word(unsigned value)
{
    return usage_source_name(value);
}

static const char *fault_word(unsigned value)
{
    return value == FAULT_NONE ? "" : fault_row(value)->name;
}

static const char *grade_word(unsigned value)
{
    return grade_name(value);
}

static const char *turn_class_word(unsigned value)
{
    return turn_class_name(value);
}

static bool label_add(struct ledger_labels *labels, const struct entry *entry)
{
    sqlite3_stmt *statement = labels->add;
    int at = 1;

#define TEXT(name, field)           database_bind(statement, at++, entry->field);
#define WORD(name, value, to, from) database_bind(statement, at++, to(entry->value));
#define MARK(name, field)           sqlite3_bind_int64(statement, at++, entry->field);
#define BITS(name, field)           sqlite3_bind_int64(statement, at++, entry->field);
#include "proxy/meter/ledger_column.def"
#undef TEXT
#undef WORD
#undef MARK
#undef BITS
    return database_step(statement);
}

/* The number of the label that labels->last is the key of, and the entry has; 0 on failure. */
static int64_t find_label(struct ledger_labels *labels, const struct entry *entry)
{
    XXH128_hash_t hash =
        XXH3_128bits_withSeed(&labels->last, sizeof labels->last, labels->seed);
    struct label_known *set = labels->known[hash.low64 % LABEL_SETS], *place;

    for (int way = 0; way < LABEL_WAYS; way++) {
        if (set[way].id != 0 && XXH128_isEqual(set[way].hash, hash)) {
            return set[way].id;
        }
    }
    if (!label_add(labels, entry)) {
        return 0;
    }
    place = &set[labels->turn++ % LABEL_WAYS];
    *place = (struct label_known){ hash, sqlite3_last_insert_rowid(
                                             sqlite3_db_handle(labels->add)) };
    return place->id;
}

/* Often it is the label of the entry before. */
int64_t ledger_label(struct ledger_labels *labels, const struct entry *entry)
{
    const struct label_marks marks = label_marks(entry);
    const char *texts = (const char *)entry + LABEL_TEXTS_AT;

    if (labels->last_id == 0 ||
        memcmp(&labels->last.marks, &marks, sizeof marks) != 0 ||
        memcmp(labels->last.texts, texts, LABEL_TEXTS) != 0) {
        memcpy(labels->last.texts, texts, LABEL_TEXTS);
        labels->last.marks = marks;
        labels->last_id = find_label(labels, entry);
    }
    return labels->last_id;
}
