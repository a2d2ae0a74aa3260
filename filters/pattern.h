/* Patterns of paths, as in the routes of dialects. */
#ifndef ASSAY_FILTERS_PATTERN_H
#define ASSAY_FILTERS_PATTERN_H

#include "proxy/base/span.h"

#include <stdbool.h>

/* Does this canonical path fit the pattern? In a pattern
 *   *     is a segment or its front, at least one character: "{*}:predict"
 *   **    at the beginning is any prefix of whole segments, the empty one too
 *   { }   enclose what names the model; it may be several segments
 * and all else is itself. *model is the part in braces, within `path`; empty without. */
bool pattern_matches(struct span pattern, struct span path, struct span *model);

#endif
