/* models/M:embedContent and its like; on Vertex AI also :predict, whose embeddings say
 * their tokens one by one and whose images and videos have none. */
#include "filters/dialect/balance.h"
#include "filters/dialect/gemini_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/models/{*}:embedContent", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/models/{*}:batchEmbedContents", "embeddings", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/models/{*}:asyncBatchEmbedContent", "create_batch",
      ROUTE_NO_USAGE },
    { METHOD_POST, "**/models/{*}:predict", "predict", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/models/{*}:predictLongRunning", "predict", ROUTE_NO_USAGE },
    { METHOD_POST, "**/models/{*}:fetchPredictOperation", "retrieve", GEMINI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    GEMINI_CONTENT("content", FACT_INPUT_TEXT),
    GEMINI_CONTENT("requests[].content", FACT_INPUT_TEXT),
    { "instances[].content", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    GEMINI_USAGE("usageMetadata"),
    { "predictions[].embeddings.statistics.token_count", SUM_INPUT, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { .path = NULL },
};

static void balance(const struct tally *tally, struct usage *usage)
{
    balance_class(tally, COUNT_TOTAL, TOKENS_INPUT, usage);
    balance_class(tally, COUNT_INPUT, TOKENS_INPUT, usage);
    if (usage_knows(usage, TOKENS_INPUT)) {
        usage_set(usage, TOKENS_OUTPUT, 0); /* zeros are left out of the JSON */
    }
    balance_modality(tally, usage);
}

const struct dialect dialect_gemini_embed = {
    .name = "gemini.embed",
    .family = "gemini",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .quoted_counts = true,
    .credential_field = "x-goog-api-key",
    .credential_prefix = "",
    .balance = balance,
    .refuse = gemini_refuse,
};
