/* POST /embeddings: input without output. */
#include "filters/dialect/balance.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/embeddings", "embeddings", 0 },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "input", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "service_tier", SEEN_TIER, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { .path = NULL },
};

/* Voyage and Jina state only the total. */
static void balance(const struct tally *tally, struct usage *usage)
{
    balance_class(tally, COUNT_TOTAL, TOKENS_INPUT, usage);
    balance_class(tally, COUNT_INPUT, TOKENS_INPUT, usage);
    balance_class(tally, COUNT_OUTPUT, TOKENS_OUTPUT, usage);
    balance_modality(tally, usage);
}

const struct dialect dialect_openai_embeddings = {
    .name = "openai.embeddings",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .input_only = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = balance,
    .refuse = openai_refuse,
};
