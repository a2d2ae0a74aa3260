/* What the dialects of Gemini have in common, at its own API and at Vertex AI. */
#ifndef ASSAY_FILTERS_DIALECT_GEMINI_SHAPE_H
#define ASSAY_FILTERS_DIALECT_GEMINI_SHAPE_H

#include "filters/dialect.h"

/* The rows of a usageMetadata object at `at`. */
/* clang-format off */
#define GEMINI_USAGE(at)                                                               \
    { at, COUNT_USAGE, SCAN_WHOLE },                                                        \
    { at ".promptTokenCount", COUNT_INPUT, SCAN_WHOLE },                                    \
    { at ".cachedContentTokenCount", COUNT_CACHED, SCAN_WHOLE },                            \
    { at ".toolUsePromptTokenCount", COUNT_TOOL_INPUT, SCAN_WHOLE },                        \
    { at ".candidatesTokenCount", COUNT_OUTPUT, SCAN_WHOLE },                               \
    { at ".responseTokenCount", COUNT_OUTPUT, SCAN_WHOLE },                                 \
    { at ".thoughtsTokenCount", COUNT_REASONING, SCAN_WHOLE },                              \
    { at ".totalTokenCount", COUNT_TOTAL, SCAN_WHOLE },                                     \
    { at ".serviceTier", SEEN_TIER, SCAN_WHOLE },                                           \
    { at ".trafficType", SEEN_TIER, SCAN_WHOLE },                                           \
    GEMINI_PARTS(at ".promptTokensDetails", LIST_INPUT, ".tokenCount"),                \
    GEMINI_PARTS(at ".promptTokenDetails", LIST_INPUT, ".tokenCount"),                 \
    GEMINI_PARTS(at ".toolUsePromptTokensDetails", LIST_INPUT, ".tokenCount"),         \
    GEMINI_PARTS(at ".candidatesTokensDetails", LIST_OUTPUT, ".tokenCount"),           \
    GEMINI_PARTS(at ".responseTokensDetails", LIST_OUTPUT, ".tokenCount")

/* A list of {modality, number}. */
#define GEMINI_PARTS(at, list, number)                                                 \
    { at "[]", list, SCAN_WHOLE },                                                          \
    { at "[].modality", LIST_NAME, SCAN_WHOLE },                                            \
    { at "[]" number, LIST_NUMBER, SCAN_WHOLE }

/* Text of a content object in a request. */
#define GEMINI_CONTENT(at, text)                                                       \
    { at ".parts[].text", text, SCAN_RAW },                                                 \
    { at ".parts.text", text, SCAN_RAW },                                                   \
    { at ".parts[].functionCall.args", FACT_INPUT_JSON, SCAN_WHOLE },                       \
    { at ".parts[].functionResponse.response", FACT_INPUT_JSON, SCAN_WHOLE }

/* What else of it tells whose words it has. */
#define GEMINI_CONTENT_TURN(at)                                                        \
    { at ".parts[].functionResponse", FACT_RESULT, SCAN_WHOLE },                            \
    { at ".parts[].function_response", FACT_RESULT, SCAN_WHOLE },                           \
    { at ".parts[].inlineData", FACT_IMAGE, SCAN_WHOLE },                                   \
    { at ".parts[].inline_data", FACT_IMAGE, SCAN_WHOLE },                                  \
    { at ".parts[].fileData", FACT_IMAGE, SCAN_WHOLE },                                     \
    { at ".parts[].file_data", FACT_IMAGE, SCAN_WHOLE }

/* Google's own tools; functions are declared beside them. */
#define GEMINI_TOOLS(at)                                                               \
    { at ".google_search", FACT_WEB_SEARCH, SCAN_WHOLE }, \
    { at ".googleSearch", FACT_WEB_SEARCH, SCAN_WHOLE }, \
    { at ".google_search_retrieval", FACT_WEB_SEARCH, SCAN_WHOLE }, \
    { at ".googleSearchRetrieval", FACT_WEB_SEARCH, SCAN_WHOLE }, \
    { at ".enterprise_web_search", FACT_WEB_SEARCH, SCAN_WHOLE }, \
    { at ".enterpriseWebSearch", FACT_WEB_SEARCH, SCAN_WHOLE }, \
    { at ".google_maps", FACT_MAPS_SEARCH, SCAN_WHOLE }, \
    { at ".googleMaps", FACT_MAPS_SEARCH, SCAN_WHOLE }, \
    { at ".code_execution", FACT_CODE_EXECUTION, SCAN_WHOLE }, \
    { at ".codeExecution", FACT_CODE_EXECUTION, SCAN_WHOLE }, \
    { at ".url_context", FACT_URL_CONTEXT, SCAN_WHOLE }, \
    { at ".urlContext", FACT_URL_CONTEXT, SCAN_WHOLE }, \
    { at ".file_search", FACT_FILE_SEARCH, SCAN_WHOLE }, \
    { at ".fileSearch", FACT_FILE_SEARCH, SCAN_WHOLE }, \
    { at ".retrieval", FACT_FILE_SEARCH, SCAN_WHOLE }, \
    { at ".computer_use", FACT_COMPUTER_USE, SCAN_WHOLE }, \
    { at ".computerUse", FACT_COMPUTER_USE, SCAN_WHOLE }
/* clang-format on */

enum {
    /* Objects that Google keeps, and lists of them. */
    GEMINI_STORED = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE,
    /* ... and where their usage shows, which is counted once. */
    GEMINI_ONCE = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_ONCE
};

/* The prompt has the cached tokens in it; what tools put in front of the model
 * stands beside it, and thoughts beside the candidates. Zeros are left out of the
 * JSON, so that a count that is missing beside others is 0; a missing prompt is
 * what the total has more. */
void gemini_balance(const struct tally *tally, struct usage *usage);

/* {"error":{"code","message","status"}} */
void gemini_refuse(const struct refusal *refusal, struct text *lines,
                   struct text *body);

#endif
