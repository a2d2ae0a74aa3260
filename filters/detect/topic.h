#ifndef ASSAY_FILTERS_DETECT_TOPIC_H
#define ASSAY_FILTERS_DETECT_TOPIC_H

#include "filters/detect/identity_state.h"

/* How narrow the topic is: the length of the mean bag of words, 0 to 1; 0 before there are
 * TOPIC_MIN bags. */
float topic_focus(const struct identity_state *state);

#endif
