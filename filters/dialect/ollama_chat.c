/* POST /api/chat and /api/generate: lines of JSON unless the body says otherwise, the counts
 * in the last one. A prompt that was cached may be left uncounted. */
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
    { "system", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "prompt", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "suffix", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "messages[].content", FACT_INPUT_TEXT, SCAN_MEASURED },
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
    { "message.content", SEEN_TEXT, SCAN_MEASURED },
    { "message.thinking", SEEN_TEXT, SCAN_MEASURED },
    { "response", SEEN_TEXT, SCAN_MEASURED },
    { "thinking", SEEN_TEXT, SCAN_MEASURED },
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
