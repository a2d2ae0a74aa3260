/* What would clear an identity: said beside the evidence. */
#ifndef ASSAY_FILTERS_DETECT_CLEARING_H
#define ASSAY_FILTERS_DETECT_CLEARING_H

#include "filters/detect/identity_state.h"
#include "proxy/base/text.h"

enum { CLEARING_MAX = 1000 };

/* How many ordinary turns bring the score below the threshold: prompts that did not
 * come before, at times of their own. More than CLEARING_MAX are CLEARING_MAX. */
unsigned clearing_turns(const struct identity_state *state, float threshold);

/* Appends a sentence of it. */
void clearing_put(struct text *out, const struct identity_state *state,
                  float threshold);

#endif
