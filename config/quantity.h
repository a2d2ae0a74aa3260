/* Sizes and durations as operators write them. */
#ifndef ASSAY_CONFIG_QUANTITY_H
#define ASSAY_CONFIG_QUANTITY_H

#include "proxy/base/check.h"
#include "proxy/base/text.h"

/* "512", "64k", "64 KiB", "32 MiB", "1g": k, m and g (any case, with or without "iB")
 * are powers of 1024. "64 KB" is refused, because people disagree about what it is. */
bool size_parse(struct span text, uint64_t *bytes) MUST_CHECK;

/* "500ms", "30s", "5m", "2h", "1d"; a number without a unit is refused, except 0. */
bool duration_parse(struct span text, uint64_t *milliseconds) MUST_CHECK;

/* In the greatest unit that divides it: "32 MiB", "90s". */
void size_put(struct text *text, uint64_t bytes);
void duration_put(struct text *text, uint64_t milliseconds);

#endif
