/* The words of prompts in any order: what a template keeps while its slots change. */
#ifndef ASSAY_FILTERS_DETECT_TOPIC_H
#define ASSAY_FILTERS_DETECT_TOPIC_H

#include "filters/detect/prompts.h"

/* Compares a prompt's words with those of the stratum's earlier prompts; then takes them
 * in. */
void topic_take(struct identity_state *state, enum stratum stratum,
                const struct prompt_sketch *prompt, struct likeness *likeness);

#endif
