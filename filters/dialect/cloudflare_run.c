/* POST /client/v4/accounts/A/ai/run/M of Workers AI: the model is the rest of the path.
 * A whole answer wraps the result; a stream's last event has the usage as it is. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/ai/run/{*/*/*}", "chat", 0 },
    { METHOD_POST, "**/ai/run/{*/*}", "chat", 0 },
    { METHOD_POST, "**/ai/run/{*}", "chat", 0 },
    { METHOD_GET, "**/ai/models/*", "list_models", OPENAI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "max_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { "text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "text[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input", FACT_PROMPT, SCAN_RAW },
    { "instructions", FACT_SYSTEM, SCAN_RAW },
    { "messages[].content", FACT_SAID, SCAN_RAW },
    { "messages[].content[].text", FACT_SAID, SCAN_RAW },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    OPENAI_USAGE("result.usage"),
    /* models that answer as OpenAI's Responses do */
    OPENAI_USAGE("response.usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "result.model", SEEN_MODEL, SCAN_WHOLE },
    { "response.model", SEEN_MODEL, SCAN_WHOLE },
    { "result.shape", SEEN_VECTOR, SCAN_WHOLE }, /* of embeddings */
    { "response", SEEN_SAID, SCAN_PIECES },
    { "result.response", SEEN_SAID, SCAN_PIECES },
    { "delta", SEEN_SAID, SCAN_PIECES },
    { "result.output[].content[].text", SEEN_SAID, SCAN_PIECES },
    { "choices[].finish_reason", SEEN_FINISH, SCAN_WHOLE },
    OPENAI_CHAT_TEXT("choices[].delta"),
    OPENAI_CHAT_TEXT("result.choices[].message"),
    { .path = NULL },
};

/* {"success":false,"errors":[{"code","message"}]} */
static void refuse(const struct refusal *refusal, struct text *lines, struct text *body)
{
    (void)lines;
    text_put(body, SPAN("{\"result\":null,\"success\":false,\"errors\":[{\"code\":"));
    text_put_u64(body, (uint64_t)refusal->status);
    text_put(body, SPAN(",\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN("}],\"messages\":[]}"));
}

const struct dialect dialect_cloudflare_run = {
    .name = "cloudflare.run",
    .family = "cloudflare",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = refuse,
};
