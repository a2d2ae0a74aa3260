/* What the analyst writes down, and finds again after a restart, all in the state
 * folder: findings and saved states (findings.db), what identities share (company,
 * renewed whole: versioned, checksummed, moved into place), and the calls since then
 * (turns/). Saved states and the company are at most CASEBOOK_ROUND_MS old; what came
 * after is taken in again from the calls. So kill -9 costs the calls not yet observed,
 * a power failure in addition what the disk had not yet got. */
#ifndef ASSAY_ANALYST_CASEBOOK_H
#define ASSAY_ANALYST_CASEBOOK_H

#include "config/config.h"
#include "filters/detect/detector.h"
#include "proxy/alert/webhook.h"
#include "proxy/analyst/call_order.h"
#include "proxy/analyst/grades.h"

enum { CASEBOOK_ROUND_MS = 60 * 1000 };

struct casebook;

/* NULL and an entry in *error on failure. The grades are those of its analyst. */
struct casebook *casebook_open(const char *state, struct grades *grades,
                               struct error *error);
/* Takes NULL; returns NULL. */
struct casebook *casebook_close(struct casebook *casebook);

/* Where the detector's states go. */
struct state_keeper casebook_keeper(struct casebook *casebook);

/* Puts grades in force and has the detector take in what an
 * earlier process observed. */
bool casebook_recover(struct casebook *casebook, struct detector *detector,
                      struct error *error) MUST_CHECK;

/* What is in force from now on. */
void casebook_use(struct casebook *casebook, const struct config_detection *detection,
                  const struct config_retention *retention);
void casebook_alert(struct casebook *casebook, struct webhook *webhook);

/* A call that the detector is about to observe as its next. */
void casebook_call(struct casebook *casebook, const struct analyst_call *call,
                   uint64_t number);

/* A finding that the detector made at this call: about its caller or, from what they
 * share, about another. */
void casebook_found(struct casebook *casebook, const struct analyst_call *call,
                    const struct finding *finding, struct detector *detector);

/* Hands what was written since the last time to the system, goes on with the round
 * of saving, and deletes what is too old. To be called after every few calls, and
 * now and then. */
void casebook_maintain(struct casebook *casebook, struct detector *detector,
                       uint64_t now_ns, int64_t unix_ms);

/* Saves all, for a restart. */
void casebook_finish(struct casebook *casebook, struct detector *detector);

/* The score from which traffic is automated-looking: as configured, or as calibrated if
 * that is higher. */
float casebook_threshold(const struct casebook *casebook);

#endif
