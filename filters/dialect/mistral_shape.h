/* What the dialects of Mistral have in common. */
#ifndef ASSAY_FILTERS_DIALECT_MISTRAL_SHAPE_H
#define ASSAY_FILTERS_DIALECT_MISTRAL_SHAPE_H

#include "filters/dialect.h"

/* {"object":"error","message","type","code"} */
void mistral_refuse(const struct refusal *refusal, struct text *lines,
                    struct text *body);

#endif
