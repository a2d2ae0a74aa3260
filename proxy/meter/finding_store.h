/* What the detector knows and found, in `state`/findings.db: the saved states of
 * identities as bytes, their scores over time, findings with their evidence, and
 * what people remarked on them. No text of any prompt. The analyst alone writes,
 * in transactions, but for remarks, which come from other processes; readers open
 * it for themselves.
 *
 * kill -9 costs what was not committed; a power failure the last few seconds more. */
#ifndef ASSAY_METER_FINDING_STORE_H
#define ASSAY_METER_FINDING_STORE_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/base/span.h"
#include "proxy/meter/entry.h"
#include "proxy/meter/grade.h"

enum finding_status {
    FINDING_OPEN,
    FINDING_APPEALED, /* its subject disagrees, and nobody decided yet */
    FINDING_DISMISSED /* somebody decided that it is none */
};

/* Strings are borrowed. */
struct finding_row {
    int64_t id;
    uint64_t identity;
    const char *team, *caller;
    enum finding_status status;
    bool shadow; /* found in shadow mode: nobody is flagged */
    int64_t first_ms, last_ms, expires_ms;
    double score;         /* the highest */
    double threshold;     /* in force when it was found */
    const char *evidence; /* a JSON array of rows, of the latest turn that showed it */
    const char *clears;   /* a sentence */
};

/* An identity as it was after its last turn. */
struct suspect_row {
    uint64_t identity;
    const char *team, *caller;
    enum grade grade;
    double score;
    uint32_t turns;
    int64_t seen_ms;
    int64_t dismissed_until_ms; /* 0: no finding on it was dismissed */
    struct span state;          /* packed; empty: not saved yet */
    unsigned layout;
};

struct remark_row {
    int64_t at_ms;
    const char *kind; /* note, appeal, dismissal */
    const char *by, *words;
};

struct score_row {
    int64_t hour; /* of Unix time */
    double score; /* the highest in it */
};

struct finding_store;

/* For the analyst. NULL and an entry in *error on failure. */
struct finding_store *finding_store_open(const char *state, struct error *error);
/* The same file for reading; NULL without an entry in *error if there is none yet. */
struct finding_store *finding_store_read(const char *state, struct error *error);
/* Takes NULL; returns NULL. */
struct finding_store *finding_store_close(struct finding_store *store);

/* ---- the analyst ----------------------------------------------------------------- */

/* Writing begins a transaction; this ends it. false if it could not be written; it is
 * not tried again. */
bool finding_store_commit(struct finding_store *store) MUST_CHECK;

void finding_store_save(struct finding_store *store, uint64_t identity, uint64_t number,
                        unsigned layout, struct span packed);
/* Returns the length of the packed state; 0: none of this layout, or not as
 * it was saved. */
size_t finding_store_load(struct finding_store *store, uint64_t identity,
                          unsigned layout, uint64_t *number, char *packed, size_t room);

/* Who an identity is and how it stands; its score goes into the hour's. */
void finding_store_rate(struct finding_store *store, const struct suspect_row *row);

/* The names of an identity; false if it was never rated. */
bool finding_store_name(struct finding_store *store, uint64_t identity, char team[32],
                        char caller[48]);

/* Takes a finding in: into the one on this identity that stands, or as a new one, and
 * returns true then. One that was dismissed takes it in silently until it expires. */
bool finding_store_found(struct finding_store *store, const struct finding_row *row);

/* The first half of that: false if none stands. Without `clears` that stays
 * as it was. */
bool finding_store_again(struct finding_store *store, const struct finding_row *row);

/* Did another process write since the last call? */
bool finding_store_changed(struct finding_store *store);

/* What is committed survives a power failure. */
bool finding_store_sync(struct finding_store *store) MUST_CHECK;

/* The score that all but one in a hundred of the installation's own people stay at or
 * below: all but declared services and those on whom a finding stands. Those whose
 * findings were dismissed count. 0 if nobody scored yet. */
double finding_store_calibration(struct finding_store *store, uint64_t *people);

/* Deletes findings that expired, and whatever was not seen since `before_ms`. */
void finding_store_expire(struct finding_store *store, int64_t now_ms,
                          int64_t before_ms);

/* ---- readers --------------------------------------------------------------------- */

/* Which: NULL is any. */
struct finding_query {
    const char *team, *caller;
    int64_t id;     /* 0: any */
    int64_t now_ms; /* those that expired before it are left out */
};

/* The latest first. false and an entry in *error on failure. Rows live
 * during the call. */
bool finding_store_each(struct finding_store *store, const struct finding_query *query,
                        void (*each)(void *self, const struct finding_row *row),
                        void *self, struct error *error);

/* Identities by name. */
bool finding_store_suspects(struct finding_store *store,
                            const struct finding_query *query,
                            void (*each)(void *self, const struct suspect_row *row),
                            void *self, struct error *error);

/* Those who are rated. */
bool finding_store_grades(struct finding_store *store,
                          void (*each)(void *self, uint64_t identity, enum grade grade),
                          void *self, struct error *error);

/* In the order of time. */
bool finding_store_remarks(struct finding_store *store, int64_t finding,
                           void (*each)(void *self, const struct remark_row *row),
                           void *self, struct error *error);
bool finding_store_scores(struct finding_store *store, uint64_t identity,
                          void (*each)(void *self, const struct score_row *row),
                          void *self, struct error *error);

/* ---- people ---------------------------------------------------------------------- */

/* Notes a remark on a finding: "note", "appeal" or "dismissal", the latter two with
 * what follows from them. false and an entry in *error, also for an unknown finding. */
bool finding_remark(const char *state, int64_t finding, const struct remark_row *remark,
                    struct error *error);

const char *finding_status_name(enum finding_status status);

#endif
