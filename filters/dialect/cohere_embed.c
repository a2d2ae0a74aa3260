/* POST /embed and /rerank: input without output. A rerank is charged by searches and
 * tells no tokens. */
#include "filters/dialect/balance.h"
#include "filters/dialect/cohere_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/embed", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/rerank", "rerank", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/classify", "classify", ROUTE_INPUT_ONLY },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "texts[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "inputs[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "inputs[].content[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "query", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "documents[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "documents[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    COHERE_USAGE("meta"),
    { .path = NULL },
};

static void balance(const struct tally *tally, struct usage *usage)
{
    const struct tally backed = balance_backup(tally);

    openai_balance_input(&backed, usage);
}

const struct dialect dialect_cohere_embed = {
    .name = "cohere.embed",
    .family = "cohere",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = balance,
    .refusal_status = cohere_refusal_status,
    .refuse = cohere_refuse,
};
