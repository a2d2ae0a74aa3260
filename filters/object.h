/* Ids of the objects that providers keep, as numbers. */
#ifndef ASSAY_FILTERS_OBJECT_H
#define ASSAY_FILTERS_OBJECT_H

#include "proxy/base/span.h"

/* Never 0. */
uint64_t object_hash(struct span id);

#endif
