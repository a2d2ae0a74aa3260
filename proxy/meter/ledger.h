/* The ledger: settled exchanges in SQLite (WAL), written in batches by a thread of its
 * own, each exactly once. Readers (report, export, admin) open it for themselves.
 *
 * What a failure can cost: kill -9 nothing, for the journal keeps what is not
 * committed; a power failure what was settled within the last LEDGER_WINDOW_MS
 * and one commit.
 *
 * For people with sqlite3: the view `exchanges` has a readable row per exchange. */
#ifndef ASSAY_METER_LEDGER_H
#define ASSAY_METER_LEDGER_H

#include "proxy/meter/journal.h"

struct ledger;

/* An entry is committed at most this long after it was settled, and
 * the commit synced. */
enum { LEDGER_WINDOW_MS = 100 };

/* Opens or creates `directory`/ledger.db, for one writer. NULL and an entry in
 * *error on failure. One of an older version is rewritten, which takes some 10 s per
 * million entries: `tell` (may be NULL) gets lines for people meanwhile. */
struct ledger *ledger_open(const char *directory, void (*tell)(const char *words),
                           struct error *error);
struct ledger *ledger_close(struct ledger *ledger);

/* Settles what an earlier process left in the journal: in one transaction, repeatable
 * after a crash at any point. Returns false and an entry in *error on failure. */
bool ledger_recover(struct ledger *ledger, struct journal *journal,
                    struct error *error);

/* Starts the writer thread over `count` journals, which outlive it. After each commit
 * it calls `written` (may be NULL) for every entry of the batch, on its own thread. */
bool ledger_start(struct ledger *ledger, struct journal **journals, size_t count,
                  void (*written)(void *self, const struct entry *entry), void *self,
                  struct error *error);

/* Any thread: from now on its thread deletes entries that began so many days ago, a few
 * at a time, and names that no entry refers to any more. 0: none are. */
void ledger_keep(struct ledger *ledger, uint32_t days);

/* Writes what is settled, then ends the thread. */
void ledger_stop(struct ledger *ledger);

/* Any thread: false while commits fail (disk full, I/O error); they are tried again. */
bool ledger_healthy(const struct ledger *ledger);

/* Which entries to read. Time is that of the id, which is when the exchange was let
 * through to its provider. */
struct ledger_query {
    uint64_t since_ns; /* Unix time, inclusive; 0: from the beginning */
    uint64_t until_ns; /* exclusive; 0: to the end */
    uint64_t after_id; /* entries with greater ids only; 0: all */
    bool objects;      /* only those that are keyed by an object */
    bool newest_first; /* not together with `objects` */
};

/* Calls back for every entry in the order of their ids, until it returns
 * false. An entry comes back as it was settled, but for started_ns, which is
 * in whole microseconds. */
bool ledger_each(const char *directory, const struct ledger_query *query,
                 bool (*each)(void *self, const struct entry *entry), void *self,
                 struct error *error);

/* Dimensions of a report, as bits. */
enum ledger_by {
    LEDGER_BY_TEAM = 1 << 0,
    LEDGER_BY_CALLER = 1 << 1,
    LEDGER_BY_MODEL = 1 << 2, /* the response's model, else the request's */
    LEDGER_BY_TOOL = 1 << 3,
    LEDGER_BY_PROVIDER = 1 << 4,
    LEDGER_BY_DIALECT = 1 << 5,
    LEDGER_BY_DAY = 1 << 6, /* UTC */
    LEDGER_BY_OUTCOME = 1 << 7,
    LEDGER_BY_SOURCE = 1 << 8, /* usage_source */
    LEDGER_BY_TAG = 1 << 10, /* all tags of a call together, so that sums stay apart */
    LEDGER_BY_GRADE = 1 << 9 /* of the caller when the call was let through */
};

struct ledger_sum {
    const char *team, *caller, *model, *tool, *provider, *dialect, *day, *outcome,
        *source, *grade, *tag;
    uint64_t exchanges;
    uint64_t refused;      /* of them, nothing went upstream */
    uint64_t not_reported; /* of the others, charged (a whole error of the provider is
                              not) with usage not fully reported */
    uint64_t unpriced;     /* of the others, charged without a known price */
    uint64_t tokens[TOKEN_CLASSES];
    uint64_t unpriced_tokens;
    int64_t cost_nanousd;
};

/* Calls back once per group, largest cost first, then most tokens. Strings are borrowed
 * for the call and empty for dimensions that were not asked for. */
bool ledger_sums(const char *directory, const struct ledger_query *query, unsigned by,
                 void (*each)(void *self, const struct ledger_sum *sum), void *self,
                 struct error *error);

/* What providers reported beside what was counted here, for calls of which both are
 * known: visible output tokens. */
struct ledger_drift {
    const char *provider, *model;
    uint64_t calls;
    uint64_t reported;
    uint64_t counted;
    uint64_t apart; /* sum of how far single calls differ */
    uint64_t off;   /* ... from what is counted times the drift of all these calls */
};

/* Calls back per provider and model, most reported first. At most the last `calls` (0:
 * all) of the ledger's calls are looked at. */
bool ledger_drifts(const char *directory, const struct ledger_query *query,
                   uint64_t calls,
                   void (*each)(void *self, const struct ledger_drift *drift),
                   void *self, struct error *error);

#endif
