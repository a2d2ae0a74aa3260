/* POST /v1/messages. A stream tells its exact input in message_start,
 * with a placeholder for the output; the counts of message_delta are
 * cumulative and replace. */
#include "filters/dialect/anthropic_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/messages", "chat", 0 },
    /* Claude Code warms its connection up with this */
    { METHOD_HEAD, "/api/hello", "hello", ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { .path = NULL },
};

const struct scan_path anthropic_messages_request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "max_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "speed", FACT_SPEED, SCAN_WHOLE },
    { "fallbacks[]", FACT_MORE_MODELS, SCAN_WHOLE },
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },
    { "metadata.user_id", FACT_USER, SCAN_PIECES },
    { "system", FACT_SYSTEM, SCAN_RAW },
    { "system[].text", FACT_SYSTEM, SCAN_RAW },
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "messages[].content", FACT_SAID, SCAN_RAW },
    { "messages[].content[].text", FACT_SAID, SCAN_RAW },
    { "messages[].content[].thinking", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "messages[].content[].input", FACT_INPUT_JSON, SCAN_WHOLE },
    { "messages[].content[].content", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "messages[].content[].content[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

const struct scan_path anthropic_messages_response[] = {
    { "type", SEEN_TYPE, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    ANTHROPIC_RESPONSE,
    { .path = NULL },
};

bool anthropic_terminal(struct span type)
{
    return span_equal(type, SPAN("message_stop"));
}

const struct dialect dialect_anthropic_messages = {
    .name = "anthropic.messages",
    .family = "anthropic",
    .routes = routes,
    .request = anthropic_messages_request,
    .response = anthropic_messages_response,
    .merge = MERGE_FIELDS,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .terminal = anthropic_terminal,
    .balance = anthropic_balance,
    .refuse = anthropic_refuse,
    .cut = anthropic_cut,
};
