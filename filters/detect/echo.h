/* Prompts that repeat what a model answered: a bot that feeds answers back. */
#ifndef ASSAY_FILTERS_DETECT_ECHO_H
#define ASSAY_FILTERS_DETECT_ECHO_H

#include "filters/detect/reference.h"
#include "filters/turn/turn.h"

/* The prompt's samples that are looked for among those of responses: the smallest,
 * ascending, at most ECHO_SAMPLES. Returns how many. A response keeps no more; looking for
 * more would hide the echo of a long one. */
unsigned echo_samples(const struct prompt_sketch *prompt,
                      uint32_t samples[ECHO_SAMPLES]);

#endif
