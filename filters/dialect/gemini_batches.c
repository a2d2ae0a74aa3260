/* models/M:batchGenerateContent: answered later, in an object that has every answer
 * with its usage. It is counted when it first shows. */
#include "filters/dialect/gemini_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/models/{*}:batchGenerateContent", "create_batch",
      ROUTE_NO_BODY | ROUTE_LATER | ROUTE_BATCH },
    { METHOD_GET, "**/batches", "list", GEMINI_STORED },
    { METHOD_GET, "**/{batches/*}", "retrieve",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_ONCE | ROUTE_BATCH },
    { METHOD_POST, "**/batches/*:cancel", "cancel", GEMINI_STORED },
    { METHOD_DELETE, "**/batches/*", "delete", GEMINI_STORED },
    { .path = NULL },
};

/* clang-format off */
#define ANSWER_USAGE(at)                                                               \
    { at, LINE_IS_PART, SCAN_WHOLE },                                                       \
    { at ".promptTokenCount", IN_LINE(COUNT_INPUT), SCAN_WHOLE },                           \
    { at ".cachedContentTokenCount", IN_LINE(COUNT_CACHED), SCAN_WHOLE },                   \
    { at ".toolUsePromptTokenCount", IN_LINE(COUNT_TOOL_INPUT), SCAN_WHOLE },               \
    { at ".candidatesTokenCount", IN_LINE(COUNT_OUTPUT), SCAN_WHOLE },                      \
    { at ".thoughtsTokenCount", IN_LINE(COUNT_REASONING), SCAN_WHOLE },                     \
    { at ".totalTokenCount", IN_LINE(COUNT_TOTAL), SCAN_WHOLE }
/* clang-format on */

static const struct scan_path response[] = {
    { "name", SEEN_ID, SCAN_WHOLE },
    ANSWER_USAGE("response.inlinedResponses.inlinedResponses[].response.usageMetadata"),
    { .path = NULL },
};

const struct dialect dialect_gemini_batches = {
    .name = "gemini.batches",
    .family = "gemini",
    .routes = routes,
    .response = response,
    .merge = MERGE_REPLACE,
    .quoted_counts = true,
    .object_prefix = "batches/",
    .credential_field = "x-goog-api-key",
    .credential_prefix = "",
    .balance = gemini_balance,
    .refuse = gemini_refuse,
};
