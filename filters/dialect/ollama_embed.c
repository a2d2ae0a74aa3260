/* POST /api/embed, and the older /api/embeddings, which counts nothing. */
#include "filters/dialect/ollama_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/api/embed", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/api/embeddings", "embeddings", ROUTE_INPUT_ONLY },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "input", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "prompt", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "prompt_eval_count", COUNT_INPUT, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { .path = NULL },
};

const struct dialect dialect_ollama_embed = {
    .name = "ollama.embed",
    .family = "ollama",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance_input,
    .refuse = ollama_refuse,
};
