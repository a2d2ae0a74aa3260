/* The prompts of one identity that resemble each other. */
#ifndef ASSAY_FILTERS_DETECT_CLUSTERS_H
#define ASSAY_FILTERS_DETECT_CLUSTERS_H

#include "filters/detect/identity_state.h"

/* How much the prompt resembles the most similar cluster, 0 to 1; then takes it in. */
float clusters_take(struct identity_state *state, const struct prompt_sketch *prompt);

#endif
