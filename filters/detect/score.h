/* What the bets come to. */
#ifndef ASSAY_FILTERS_DETECT_SCORE_H
#define ASSAY_FILTERS_DETECT_SCORE_H

#include "filters/detect/identity_state.h"
#include "proxy/meter/grade.h"

/* In nats; people of the reference stay below 11. */
#define SCORE_WATCH 11.0F
#define SCORE_FLAG  16.0F
#define SCORE_MAX   30.0F /* of one family of signals, and of a ring */

enum { SCORE_MIN_TURNS = 8 }; /* with fewer, nobody is rated */

/* The score after the last turn; 0 before turn SCORE_MIN_TURNS. */
float score_of(const struct identity_state *state);

enum grade grade_of(const struct identity_state *state, float threshold);

#endif
