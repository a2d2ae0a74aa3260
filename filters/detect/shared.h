/* Prompts that resemble those of other identities: a ring of keys. */
#ifndef ASSAY_FILTERS_DETECT_SHARED_H
#define ASSAY_FILTERS_DETECT_SHARED_H

#include "filters/detect/signal.h"

/* Does the prompt resemble those of others, and is that evidence? */
bool shared_wins(const struct occasion *occasion);

#endif
