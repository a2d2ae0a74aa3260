/* POST /responses and what belongs to it. A stream's terminal event carries the whole
 * response object, its usage included, whether it completed, failed or was cut short. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/responses", "chat", 0 },
    { METHOD_POST, "**/responses/compact", "compact", 0 },
    { METHOD_POST, "**/responses/input_tokens", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { METHOD_GET, "**/responses/*", "retrieve", OPENAI_STORED },
    { METHOD_GET, "**/responses/*/input_items", "list", OPENAI_STORED },
    { METHOD_POST, "**/responses/*/cancel", "cancel", OPENAI_STORED },
    { METHOD_DELETE, "**/responses/*", "delete", OPENAI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, false },
    { "stream", FACT_STREAM, false },
    { "background", FACT_BACKGROUND, false },
    { "max_output_tokens", FACT_MAX_OUTPUT, false },
    { "service_tier", FACT_SERVICE_TIER, false },
    { "prompt_cache_key", FACT_SESSION, true },
    { "instructions", FACT_INPUT_TEXT, true },
    { "input", FACT_INPUT_TEXT, true },
    { "input[].content", FACT_INPUT_TEXT, true },
    { "input[].content[].text", FACT_INPUT_TEXT, true },
    { "input[].arguments", FACT_INPUT_TEXT, true },
    { "input[].output", FACT_INPUT_TEXT, true },
    { "input[].output[].text", FACT_INPUT_TEXT, true },
    { "input[].summary[].text", FACT_INPUT_TEXT, true },
    { "tools", FACT_INPUT_JSON, false },
    { "text.format", FACT_INPUT_JSON, false },
    { .path = NULL },
};

/* clang-format off */
#define RESPONSE_OBJECT(at)                                                            \
    OPENAI_USAGE(at "usage"),                                                          \
    { at "tool_usage.web_search.num_requests", COUNT_WEB_SEARCHES, false },            \
    { at "model", SEEN_MODEL, false },                                                 \
    { at "service_tier", SEEN_TIER, false },                                           \
    { at "error", SEEN_ERROR, false }
/* clang-format on */

static const struct scan_path response[] = {
    RESPONSE_OBJECT(""),
    RESPONSE_OBJECT("response."),
    { "type", SEEN_TYPE, false },
    { "delta", SEEN_TEXT, true },
    /* a whole answer; a stream's terminal event repeats these below "response" */
    { "output[].content[].text", SEEN_TEXT, true },
    { "output[].content[].refusal", SEEN_TEXT, true },
    { "output[].summary[].text", SEEN_TEXT, true },
    { "output[].arguments", SEEN_TEXT, true },
    { .path = NULL },
};

static bool terminal(struct span type)
{
    return span_equal(type, SPAN("response.completed")) ||
           span_equal(type, SPAN("response.incomplete")) ||
           span_equal(type, SPAN("response.failed")) || span_equal(type, SPAN("error"));
}

const struct dialect dialect_openai_responses = {
    .name = "openai.responses",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = terminal,
    .balance = openai_balance,
    .refuse = openai_refuse,
};
