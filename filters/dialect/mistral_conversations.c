/* POST /v1/conversations: turns that Mistral keeps. What connectors put in front of the
 * model is counted beside the prompt. */
#include "filters/dialect/mistral_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/conversations", "chat", 0 },
    { METHOD_POST, "**/v1/conversations/*", "chat", 0 },
    { METHOD_POST, "**/v1/conversations/*/restart", "chat", 0 },
    { METHOD_GET, "**/v1/conversations", "list", OPENAI_STORED },
    { METHOD_GET, "**/v1/conversations/*", "retrieve", OPENAI_STORED },
    { METHOD_GET, "**/v1/conversations/*/history", "list", OPENAI_STORED },
    { METHOD_GET, "**/v1/conversations/*/messages", "list", OPENAI_STORED },
    { METHOD_DELETE, "**/v1/conversations/*", "delete", OPENAI_STORED },
    /* charged by the page */
    { METHOD_POST, "**/v1/ocr", "ocr", ROUTE_NO_USAGE },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "completion_args.max_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "instructions", FACT_SYSTEM, SCAN_RAW },
    { "inputs[]", FACT_MESSAGE, SCAN_WHOLE },
    { "inputs[].role", FACT_ROLE, SCAN_WHOLE },
    { "inputs[].type", FACT_TYPE, SCAN_WHOLE },
    { "inputs[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "inputs", FACT_PROMPT, SCAN_RAW },
    { "inputs[].content", FACT_SAID, SCAN_RAW },
    { "inputs[].content[].text", FACT_SAID, SCAN_RAW },
    { "inputs[].result", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "usage.connector_tokens", COUNT_TOOL_INPUT, SCAN_WHOLE },
    { "type", SEEN_TYPE, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "outputs[].model", SEEN_MODEL, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "content", SEEN_SAID, SCAN_PIECES },
    { "content.text", SEEN_SAID, SCAN_PIECES },
    { "arguments", SEEN_ARGUMENTS, SCAN_PIECES },
    { "name", SEEN_TOOL, SCAN_WHOLE },
    { "outputs[].name", SEEN_TOOL, SCAN_WHOLE },
    { "outputs[].content", SEEN_SAID, SCAN_PIECES },
    { "outputs[].content[].text", SEEN_SAID, SCAN_PIECES },
    { "outputs[].arguments", SEEN_ARGUMENTS, SCAN_PIECES },
    { .path = NULL },
};

static bool terminal(struct span type)
{
    return span_equal(type, SPAN("conversation.response.done")) ||
           span_equal(type, SPAN("conversation.response.error"));
}

/* Connectors' tokens are input that the prompt is without, if the total
 * has them too. */
static void balance(const struct tally *tally, struct usage *usage)
{
    struct tally whole = *tally;
    uint64_t stated = tally->value[COUNT_INPUT] + tally->value[COUNT_OUTPUT];

    if (tally_has(tally, COUNT_TOOL_INPUT) && tally_has(tally, COUNT_TOTAL) &&
        tally->value[COUNT_TOTAL] == stated + tally->value[COUNT_TOOL_INPUT]) {
        whole.value[COUNT_INPUT] += tally->value[COUNT_TOOL_INPUT];
    }
    openai_balance(&whole, usage);
}

const struct dialect dialect_mistral_conversations = {
    .name = "mistral.conversations",
    .family = "mistral",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = terminal,
    .balance = balance,
    .refuse = mistral_refuse,
};
