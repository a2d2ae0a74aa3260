/* POST /chat/completions of Mistral, of its agents, and fill-in-the-middle: OpenAI's
 * chat, but a stream reports its usage unasked, and may not be asked for it. */
#include "filters/dialect/mistral_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/chat/completions", "chat", 0 },
    { METHOD_POST, "**/agents/completions", "chat", 0 },
    { METHOD_POST, "**/fim/completions", "text_completion", 0 },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "max_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "n", FACT_CHOICES, SCAN_WHOLE },
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "messages[].content", FACT_SAID, SCAN_RAW },
    { "messages[].content[].text", FACT_SAID, SCAN_RAW },
    { "messages[].tool_calls", FACT_INPUT_JSON, SCAN_WHOLE },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { "suffix", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },
    { "response_format", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

const struct dialect dialect_mistral_chat = {
    .name = "mistral.chat",
    .family = "mistral",
    .routes = routes,
    .request = request,
    .response = openai_chat_response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = mistral_refuse,
};
