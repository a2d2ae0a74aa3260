/* What the dialects of Cohere have in common. */
#ifndef ASSAY_FILTERS_DIALECT_COHERE_SHAPE_H
#define ASSAY_FILTERS_DIALECT_COHERE_SHAPE_H

#include "filters/dialect.h"

/* The rows of a usage or meta object at `at`: `tokens` is what the model saw, cached
 * ones included; `billed_units`, which may be fewer, serve where there are none. */
/* clang-format off */
#define COHERE_USAGE(at)                                                               \
    { at, COUNT_USAGE, SCAN_WHOLE },                                                        \
    { at ".tokens.input_tokens", COUNT_INPUT, SCAN_WHOLE },                                 \
    { at ".tokens.output_tokens", COUNT_OUTPUT, SCAN_WHOLE },                               \
    { at ".tokens.cached_tokens", COUNT_CACHED, SCAN_WHOLE },                               \
    { at ".cached_tokens", COUNT_CACHED, SCAN_WHOLE },                                      \
    { at ".billed_units.input_tokens", COUNT_BACKUP_INPUT, SCAN_WHOLE },                    \
    { at ".billed_units.output_tokens", COUNT_BACKUP_OUTPUT, SCAN_WHOLE }
/* clang-format on */

/* As OpenAI's: what is cached is within the input. What is charged, which may be less,
 * stands beside it; where nothing else does, it is the count. */
void cohere_balance(const struct tally *tally, struct usage *usage);

/* Its SDKs try 429 again, however long the wait: a quota is 402, as for a used up
 * budget of Cohere's own. */
int cohere_refusal_status(enum fault fault);

/* {"id","message"} */
void cohere_refuse(const struct refusal *refusal, struct text *lines,
                   struct text *body);

#endif
