/* POST /v1/complete, of the first models: it reports no usage, so that both sides are
 * estimated. */
#include "filters/dialect/anthropic_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/complete", "text_completion", 0 },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, false },
    { "stream", FACT_STREAM, false },
    { "max_tokens_to_sample", FACT_MAX_OUTPUT, false },
    { "metadata.user_id", FACT_USER, true },
    { "prompt", FACT_INPUT_TEXT, true },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "model", SEEN_MODEL, false },
    { "error", SEEN_ERROR, false },
    { "completion", SEEN_TEXT, true },
    { .path = NULL },
};

const struct dialect dialect_anthropic_complete = {
    .name = "anthropic.complete",
    .family = "anthropic",
    .routes = routes,
    .request = request,
    .response = response,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .balance = anthropic_balance,
    .refuse = anthropic_refuse,
};
