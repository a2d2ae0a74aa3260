/* Evidence as JSON, in the form of the alarm lines of a replay. */
#ifndef ASSAY_FILTERS_DETECT_EVIDENCE_JSON_H
#define ASSAY_FILTERS_DETECT_EVIDENCE_JSON_H

#include "filters/detect/evidence.h"
#include "proxy/base/text.h"

enum { EVIDENCE_JSON_MAX = EVIDENCE_ROWS * 768 };

/* Appends seconds with three decimals. */
void evidence_put_time(struct text *out, int64_t unix_ms);

/* Appends an array of rows. */
void evidence_put_json(struct text *out, const struct evidence *evidence);

#endif
