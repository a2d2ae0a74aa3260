/* Runs of assistants: /threads/T/runs. A run reports its usage once it is over, which a
 * stream shows as its last event, or whoever asks for it then. Steps report parts of
 * their run's usage. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/threads/runs", "invoke_agent", ROUTE_LATER },
    { METHOD_POST, "**/threads/*/runs", "invoke_agent", ROUTE_LATER },
    { METHOD_POST, "**/threads/*/runs/*/submit_tool_outputs", "invoke_agent",
      ROUTE_LATER },
    { METHOD_POST, "**/threads/*/runs/{*}/cancel", "cancel", OPENAI_ONCE },
    { METHOD_GET, "**/threads/*/runs", "list", OPENAI_STORED },
    { METHOD_GET, "**/threads/*/runs/{*}", "retrieve", OPENAI_ONCE },
    { METHOD_GET, "**/threads/*/runs/*/steps", "list", OPENAI_STORED },
    { METHOD_GET, "**/threads/*/runs/*/steps/*", "retrieve", OPENAI_STORED },
    { METHOD_POST, "**/threads", "create", OPENAI_STORED },
    { METHOD_GET, "**/threads/*", "retrieve", OPENAI_STORED },
    { METHOD_DELETE, "**/threads/*", "delete", OPENAI_STORED },
    { METHOD_POST, "**/threads/*/messages", "create", OPENAI_STORED },
    { METHOD_GET, "**/threads/*/messages", "list", OPENAI_STORED },
    { METHOD_GET, "**/threads/*/messages/*", "retrieve", OPENAI_STORED },
    { METHOD_POST, "**/assistants", "create", OPENAI_STORED },
    { METHOD_GET, "**/assistants", "list", OPENAI_STORED },
    { METHOD_GET, "**/assistants/*", "retrieve", OPENAI_STORED },
    { METHOD_POST, "**/assistants/*", "update", OPENAI_STORED },
    { METHOD_DELETE, "**/assistants/*", "delete", OPENAI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "max_completion_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "id", SEEN_ID, SCAN_WHOLE },
    { "status", SEEN_STATUS, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { .path = NULL },
};

static bool terminal(struct span status)
{
    return span_equal(status, SPAN("completed")) ||
           span_equal(status, SPAN("incomplete")) ||
           span_equal(status, SPAN("failed")) ||
           span_equal(status, SPAN("cancelled")) || span_equal(status, SPAN("expired"));
}

const struct dialect dialect_openai_assistants = {
    .name = "openai.assistants",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .object_prefix = "run_",
    .terminal = terminal,
    .balance = openai_balance,
    .refuse = openai_refuse,
    .cut = openai_cut,
};
