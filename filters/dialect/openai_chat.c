/* POST /chat/completions: OpenAI's, and that of everybody who speaks it. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/deployments/{*}/chat/completions", "chat", 0 }, /* Azure */
    { METHOD_POST, "**/chat/completions", "chat", 0 },
    { METHOD_POST, "/openai", "chat", 0 },                   /* Pollinations */
    { METHOD_POST, "**/text/chatcompletion_v2", "chat", 0 }, /* MiniMax */
    { METHOD_POST, "**/serving-endpoints/{*}/invocations", "chat", 0 }, /* Databricks */
    { METHOD_GET, "**/chat/deferred-completion/{*}", "retrieve",
      OPENAI_ONCE }, /* xAI */
    /* stored completions repeat a usage that was counted when they were made */
    { METHOD_GET, "**/chat/completions", "list", OPENAI_STORED },
    { METHOD_GET, "**/chat/completions/*", "retrieve", OPENAI_STORED },
    { METHOD_POST, "**/chat/completions/*", "update", OPENAI_STORED },
    { METHOD_DELETE, "**/chat/completions/*", "delete", OPENAI_STORED },
    { METHOD_GET, "**/chat/completions/*/messages", "list", OPENAI_STORED },
    { .path = NULL },
};

const struct scan_path openai_chat_request[] = {
    OPENAI_REQUEST,
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "messages[].content", FACT_SAID, SCAN_RAW },
    { "messages[].content[].text", FACT_SAID, SCAN_RAW },
    { "messages[].reasoning_content", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "messages[].tool_calls", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "functions", FACT_INPUT_JSON, SCAN_WHOLE },
    { "response_format", FACT_INPUT_JSON, SCAN_WHOLE },
    /* xAI: the answer comes later, and is asked for by the id that comes now */
    { "deferred", FACT_BACKGROUND, SCAN_WHOLE },
    { .path = NULL },
};

const struct scan_path openai_chat_response[] = {
    OPENAI_USAGE("usage"),
    /* Groq repeats its usage here, and leaves out the other if it was not asked for */
    OPENAI_USAGE("x_groq.usage"),
    /* ... and what the models of a compound system have of it */
    OPENAI_SUB_MODELS("usage_breakdown.models"),
    OPENAI_SUB_MODELS("x_groq.usage_breakdown.models"),
    /* Moonshot */
    OPENAI_USAGE("choices[].usage"),
    /* llama.cpp, where the usage was not asked for; the cache stands beside prompt_n */
    { "timings.prompt_n", COUNT_BACKUP_INPUT, SCAN_WHOLE },
    { "timings.cache_n", COUNT_BACKUP_CACHED, SCAN_WHOLE },
    { "timings.predicted_n", COUNT_BACKUP_OUTPUT, SCAN_WHOLE },
    { "request_id", SEEN_ID, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "service_tier", SEEN_TIER, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "x_groq.error", SEEN_ERROR, SCAN_WHOLE },
    { "choices[].finish_reason", SEEN_FINISH, SCAN_WHOLE },
    OPENAI_CHAT_TEXT("choices[].delta"),
    OPENAI_CHAT_TEXT("choices[].message"),
    { .path = NULL },
};

const struct dialect dialect_openai_chat = {
    .name = "openai.chat",
    .family = "openai",
    .routes = routes,
    .request = openai_chat_request,
    .response = openai_chat_response,
    .merge = MERGE_REPLACE,
    .usage_splice = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance_backed,
    .refuse = openai_refuse,
    .cut = openai_cut,
};
