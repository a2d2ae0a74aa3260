/* POST /v2/chat, as events; /v1/chat, /v1/generate and /v1/summarize, as lines of JSON.
 * The version may stand in the provider's URL, or in a header. */
#include "filters/dialect/cohere_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/chat", "chat", 0 },
    { METHOD_POST, "**/generate", "text_completion", 0 },
    { METHOD_POST, "**/summarize", "text_completion", 0 },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "max_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "num_generations", FACT_CHOICES, SCAN_WHOLE },
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "chat_history[]", FACT_MESSAGE, SCAN_WHOLE },
    { "chat_history[].role", FACT_ROLE, SCAN_WHOLE },
    { "tool_results[]", FACT_RESULT, SCAN_WHOLE },
    { "messages[].content", FACT_SAID, SCAN_RAW },
    { "messages[].content[].text", FACT_SAID, SCAN_RAW },
    { "messages[].tool_calls", FACT_INPUT_JSON, SCAN_WHOLE },
    { "message", FACT_PROMPT, SCAN_RAW },
    { "preamble", FACT_SYSTEM, SCAN_RAW },
    { "chat_history[].message", FACT_SAID, SCAN_RAW },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { "text", FACT_PROMPT, SCAN_RAW },
    { "documents", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tool_results", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    COHERE_USAGE("usage"),
    COHERE_USAGE("delta.usage"),
    COHERE_USAGE("meta"),
    COHERE_USAGE("response.meta"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "type", SEEN_TYPE, SCAN_WHOLE },
    { "event_type", SEEN_TYPE, SCAN_WHOLE },
    { "is_finished", SEEN_END, SCAN_WHOLE },
    { "delta.error", SEEN_ERROR, SCAN_WHOLE },
    { "message.content[].text", SEEN_SAID, SCAN_PIECES },
    { "message.content[].thinking", SEEN_TEXT, SCAN_PIECES },
    { "message.tool_plan", SEEN_TEXT, SCAN_PIECES },
    { "message.tool_calls[].function.name", SEEN_TOOL, SCAN_WHOLE },
    { "delta.message.tool_calls.function.name", SEEN_TOOL, SCAN_WHOLE },
    { "message.tool_calls[].function.arguments", SEEN_ARGUMENTS, SCAN_PIECES },
    { "delta.message.content.text", SEEN_SAID, SCAN_PIECES },
    { "delta.message.content.thinking", SEEN_TEXT, SCAN_PIECES },
    { "delta.message.tool_plan", SEEN_TEXT, SCAN_PIECES },
    { "delta.message.tool_calls.function.arguments", SEEN_ARGUMENTS, SCAN_PIECES },
    { "text", SEEN_SAID, SCAN_PIECES },
    { "generations[].text", SEEN_SAID, SCAN_PIECES },
    { "summary", SEEN_SAID, SCAN_PIECES },
    { .path = NULL },
};

static bool terminal(struct span type)
{
    return span_equal(type, SPAN("message-end")) ||
           span_equal(type, SPAN("stream-end"));
}

const struct dialect dialect_cohere_chat = {
    .name = "cohere.chat",
    .family = "cohere",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .several_texts = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = terminal,
    .balance = cohere_balance,
    .refusal_status = cohere_refusal_status,
    .refuse = cohere_refuse,
};
