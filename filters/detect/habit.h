/* What people repeat by habit, which is no evidence: "run the tests", one opener. */
#ifndef ASSAY_FILTERS_DETECT_HABIT_H
#define ASSAY_FILTERS_DETECT_HABIT_H

#include "filters/detect/signal.h"

/* Is this prompt, which came before, one that its conversation has an excuse for? Uses the
 * excuse up; a new prompt makes some. */
bool habit_excuses(const struct occasion *occasion);

#endif
