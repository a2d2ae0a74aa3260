/* What the dialects of Amazon Bedrock have in common. */
#ifndef ASSAY_FILTERS_DIALECT_BEDROCK_SHAPE_H
#define ASSAY_FILTERS_DIALECT_BEDROCK_SHAPE_H

#include "filters/dialect.h"

/* The rows of a usage object of Converse, and of Nova's own, at `at`. */
/* clang-format off */
#define BEDROCK_USAGE(at)                                                              \
    { at ".inputTokens", COUNT_INPUT, SCAN_WHOLE },                                         \
    { at ".outputTokens", COUNT_OUTPUT, SCAN_WHOLE },                                       \
    { at ".totalTokens", COUNT_TOTAL, SCAN_WHOLE },                                         \
    { at ".cacheReadInputTokens", COUNT_CACHED, SCAN_WHOLE },                               \
    { at ".cacheReadInputTokenCount", COUNT_CACHED, SCAN_WHOLE },                           \
    { at ".cacheWriteInputTokens", COUNT_CACHE_WRITE, SCAN_WHOLE },                         \
    { at ".cacheWriteInputTokenCount", COUNT_CACHE_WRITE, SCAN_WHOLE },                     \
    { at ".cacheDetails[]", LIST_LIFETIME, SCAN_WHOLE },                                    \
    { at ".cacheDetails[].ttl", LIST_NAME, SCAN_WHOLE },                                    \
    { at ".cacheDetails[].inputTokens", LIST_NUMBER, SCAN_WHOLE }
/* clang-format on */

/* Cache reads and writes stand beside the input, but for OpenAI's models, where they
 * were seen inside; the total cannot tell. */
void bedrock_balance(const struct tally *tally, struct usage *usage);

/* SDKs of AWS know by the status what to try again, and heed nothing else: what must
 * not be tried again has a status of its own. */
int bedrock_refusal_status(enum fault fault);

/* {"message"} and lines that name the exception. */
void bedrock_refuse(const struct refusal *refusal, struct text *lines,
                    struct text *body);

#endif
