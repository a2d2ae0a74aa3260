/* Cuts text into the pieces that byte-pair encoding never joins, as the regular
 * expressions of the encodings do (tiktoken_ext/openai_public.py), with scanners
 * written by hand. \s is White_Space, \p{...} is Unicode 16.0, letters of
 * contractions match without case. */
#ifndef ASSAY_FILTERS_COUNT_SPLIT_H
#define ASSAY_FILTERS_COUNT_SPLIT_H

#include "proxy/base/span.h"

enum split_pattern { SPLIT_CL100K, SPLIT_O200K };

enum split_more {
    SPLIT_LAST, /* the text ends here */
    SPLIT_MORE, /* text may follow, so a piece that it could change is left */
};

/* Cuts pieces off the front of UTF-8 text shorter than 4 GiB: the n-th ends before byte
 * ends[n]. Returns how many, at most `max`. Fewer and not all of the text: what is left
 * begins with a piece that needs more text, or with one that touches invalid UTF-8
 * (with SPLIT_LAST, always that). */
size_t split_text(enum split_pattern pattern, struct span text, enum split_more more,
                  uint32_t *ends, size_t max);

#endif
