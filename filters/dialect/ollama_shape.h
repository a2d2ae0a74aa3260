/* What the dialects of Ollama have in common. */
#ifndef ASSAY_FILTERS_DIALECT_OLLAMA_SHAPE_H
#define ASSAY_FILTERS_DIALECT_OLLAMA_SHAPE_H

#include "filters/dialect.h"

/* {"error":"words"}: a string, or its clients print an object. */
void ollama_refuse(const struct refusal *refusal, struct text *lines,
                   struct text *body);

#endif
