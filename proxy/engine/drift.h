/* The provider's counts beside our own: how far they differ, and what that teaches
 * about models whose tokenizer is not public. */
#ifndef ASSAY_ENGINE_DRIFT_H
#define ASSAY_ENGINE_DRIFT_H

#include "proxy/engine/exchange.h"

/* Before the response is settled: notes in the exchange's facts what its model's
 * provider finds where a thousand tokens are counted here, for an estimate. */
void drift_expect(struct exchange *x);

/* After that: counts what was reported, if there is time for it, and learns from it. A
 * worker spends at most a hundredth of its time on this, so of much traffic only some
 * is counted. */
void drift_settle(struct exchange *x, struct entry *entry);

#endif
