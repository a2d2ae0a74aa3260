/* The detector: all identities and what they share, one call at a time. For one thread;
 * the live analyst and `assay replay` run this same code. */
#ifndef ASSAY_FILTERS_DETECT_DETECTOR_H
#define ASSAY_FILTERS_DETECT_DETECTOR_H

#include "filters/detect/evidence.h"
#include "filters/detect/score.h"
#include "proxy/base/check.h"

struct detector;

struct detector_options {
    uint32_t without;      /* signals left out: bit n is the n-th of signals[] */
    float threshold;       /* SCORE_FLAG, or higher by calibration */
    bool alone;            /* look at each identity by itself */
    unsigned prompts_log2; /* room for what identities share: company_table_new() */
    unsigned samples_log2;
};

/* What is known after a turn. */
struct finding {
    uint64_t identity;
    int64_t at_ms; /* the turn's beginning */
    float score;
    enum grade grade;
    bool alarm;
    struct evidence evidence; /* if alarm */
};

typedef void detector_found(void *self, const struct finding *finding);

struct detector *detector_new(const struct detector_options *options);
struct detector *detector_free(struct detector *detector);

/* Takes in the next call, in the order of begin_ms, and tells what is found: once after
 * each turn, and of other identities when the turn shows that they share their prompts.
 * False without memory for a new identity: the call is not counted. */
bool detector_observe(struct detector *detector, const struct turn *turn,
                      detector_found *found, void *self) MUST_CHECK;

/* Borrowed until the next call of detector_observe(); NULL for an unknown identity. */
const struct identity_state *detector_state(const struct detector *detector,
                                            uint64_t identity);

#endif
