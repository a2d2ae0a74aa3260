/* POST /v1/messages. A stream tells its exact input in message_start, with a placeholder
 * for the output; the counts of message_delta are cumulative and replace. */
#include "filters/dialect/anthropic_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/messages", "chat", 0 },
    /* Claude Code warms its connection up with this */
    { METHOD_HEAD, "/api/hello", "hello", ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, false },
    { "stream", FACT_STREAM, false },
    { "max_tokens", FACT_MAX_OUTPUT, false },
    { "service_tier", FACT_SERVICE_TIER, false },
    { "metadata.user_id", FACT_USER, true },
    { "system", FACT_INPUT_TEXT, true },
    { "system[].text", FACT_INPUT_TEXT, true },
    { "messages[].content", FACT_INPUT_TEXT, true },
    { "messages[].content[].text", FACT_INPUT_TEXT, true },
    { "messages[].content[].thinking", FACT_INPUT_TEXT, true },
    { "messages[].content[].input", FACT_INPUT_JSON, false },
    { "messages[].content[].content", FACT_INPUT_TEXT, true },
    { "messages[].content[].content[].text", FACT_INPUT_TEXT, true },
    { "tools", FACT_INPUT_JSON, false },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "type", SEEN_TYPE, false },
    { "error", SEEN_ERROR, false },
    /* message_start */
    ANTHROPIC_USAGE("message.usage"),
    { "message.usage.output_tokens", COUNT_OUTPUT_START, false },
    { "message.model", SEEN_MODEL, false },
    /* message_delta, and a whole message */
    ANTHROPIC_USAGE("usage"),
    { "usage.output_tokens", COUNT_OUTPUT, false },
    { "model", SEEN_MODEL, false },
    { "delta.stop_reason", SEEN_FINISH, false },
    /* content_block_delta */
    { "delta.text", SEEN_TEXT, true },
    { "delta.thinking", SEEN_TEXT, true },
    { "delta.partial_json", SEEN_TEXT, true },
    { "content[].text", SEEN_TEXT, true },
    { "content[].thinking", SEEN_TEXT, true },
    { .path = NULL },
};

static bool terminal(struct span type)
{
    return span_equal(type, SPAN("message_stop"));
}

const struct dialect dialect_anthropic_messages = {
    .name = "anthropic.messages",
    .family = "anthropic",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_FIELDS,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .terminal = terminal,
    .balance = anthropic_balance,
    .refuse = anthropic_refuse,
};
