/* The detector: all identities and what they share, one call at a time. For one thread;
 * the live analyst and `assay replay` run this same code. */
#ifndef ASSAY_FILTERS_DETECT_DETECTOR_H
#define ASSAY_FILTERS_DETECT_DETECTOR_H

#include "filters/detect/evidence.h"
#include "filters/detect/score.h"
#include "proxy/base/check.h"
#include "proxy/base/span.h"

struct detector;

/* Where states go that have no room in memory, and come from again. The packed bytes are
 * those of state_pack(); `number` is that of the last call in them. */
struct state_keeper {
    void *self;
    void (*save)(void *self, uint64_t identity, uint64_t number, struct span packed);
    /* false: not known there. */
    bool (*load)(void *self, uint64_t identity, uint64_t *number,
                 struct identity_state *state);
};

struct detector_options {
    uint32_t without;      /* signals left out: bit n is the n-th of signals[] */
    float threshold;       /* SCORE_FLAG, or higher by calibration */
    bool alone;            /* look at each identity by itself */
    unsigned prompts_log2; /* room for what identities share: company_table_new() */
    unsigned samples_log2;
    uint64_t memory;            /* bytes that states may take up; 0: no bound */
    struct state_keeper keeper; /* load NULL: none, and what has no room is lost */
};

/* What is known after a turn. */
struct finding {
    uint64_t identity;
    int64_t at_ms; /* the turn's beginning */
    uint32_t turns;
    float score;
    enum grade grade;
    bool alarm;
    struct evidence evidence; /* if alarm */
};

typedef void detector_found(void *self, const struct finding *finding);

struct detector *detector_new(const struct detector_options *options);
struct detector *detector_free(struct detector *detector);

/* From now on. */
void detector_threshold(struct detector *detector, float threshold);

/* Takes in the next call, in the order of begin_ms, and tells what is found: once after
 * each turn, and of other identities when the turn shows that they share their prompts.
 * False without memory for a new identity: the call is not counted. */
bool detector_observe(struct detector *detector, const struct turn *turn,
                      detector_found *found, void *self) MUST_CHECK;

/* How many calls are worth expecting at once; the state of more would push out the first's. */
enum { DETECTOR_AHEAD = 16 };

/* These calls are observed next: asks memory for what is known of all of them at once, so
 * that none waits for it alone. Changes nothing; without it, calls only take longer. */
void detector_expect(struct detector *detector, const struct turn *const *turns,
                     size_t count);

/* After a restart: takes in call `number` of those that an earlier process observed, from 1,
 * into what does not have it yet. Tells nothing. */
bool detector_recover(struct detector *detector, const struct turn *turn,
                      uint64_t number) MUST_CHECK;

/* The number of the last call observed or recovered; the next has the next. */
uint64_t detector_number(const struct detector *detector);
void detector_begin_after(struct detector *detector, uint64_t number);

/* Gives states that changed to the keeper, a few at a time: returns true when all that had
 * changed when the round began are there. */
bool detector_save_some(struct detector *detector);

/* What identities share: for a keeper of its own. */
struct company_table *detector_company(struct detector *detector);

/* Borrowed until the next call; NULL for an unknown identity. */
const struct identity_state *detector_state(struct detector *detector,
                                            uint64_t identity);

/* How many identities are in memory. */
size_t detector_identities(const struct detector *detector);

#endif
