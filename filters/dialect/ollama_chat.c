/* POST /api/chat and /api/generate: lines of JSON unless the body says otherwise, the
 * counts in the last one. A prompt that was cached may be left uncounted. */
#include "filters/dialect/ollama_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/api/chat", "chat", ROUTE_STREAM_UNSAID },
    { METHOD_POST, "**/api/generate", "text_completion", ROUTE_STREAM_UNSAID },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "options.num_predict", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "system", FACT_SYSTEM, SCAN_RAW },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { "suffix", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].images", FACT_IMAGE, SCAN_WHOLE },
    { "messages[].content", FACT_SAID, SCAN_RAW },
    { "messages[].tool_calls", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "prompt_eval_count", COUNT_INPUT, SCAN_WHOLE },
    { "prompt_eval_cached_count", COUNT_CACHED, SCAN_WHOLE },
    { "eval_count", COUNT_OUTPUT, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "done", SEEN_END, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "message.content", SEEN_SAID, SCAN_PIECES },
    { "message.thinking", SEEN_TEXT, SCAN_PIECES },
    { "message.tool_calls[].function.name", SEEN_TOOL, SCAN_WHOLE },
    { "message.tool_calls[].function.arguments.**", SEEN_ARGUMENT, SCAN_PIECES },
    { "response", SEEN_SAID, SCAN_PIECES },
    { "thinking", SEEN_TEXT, SCAN_PIECES },
    { .path = NULL },
};

const struct dialect dialect_ollama_chat = {
    .name = "ollama.chat",
    .family = "ollama",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_FIELDS,
    .several_texts = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = ollama_refuse,
};
