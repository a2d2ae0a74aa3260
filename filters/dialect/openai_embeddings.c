/* POST /embeddings, and what else makes numbers of texts: input without output. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/deployments/{*}/embeddings", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/embeddings", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/multimodalembeddings", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/embeddings/multimodal", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/contextualizedembeddings", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/pooling", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/rerank", "rerank", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/reranking", "rerank", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/v1/ranking", "rerank", ROUTE_INPUT_ONLY }, /* NVIDIA */
    { METHOD_POST, "**/score", "score", ROUTE_INPUT_ONLY },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "input", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "query", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "documents[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "documents[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "text_1", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "text_2", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "text_2[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "service_tier", SEEN_TIER, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { .path = NULL },
};

const struct dialect dialect_openai_embeddings = {
    .name = "openai.embeddings",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance_input,
    .refuse = openai_refuse,
};
