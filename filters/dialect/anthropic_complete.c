/* POST /v1/complete, of the first models: it reports no usage, so that both sides are
 * estimated. */
#include "filters/dialect/anthropic_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/complete", "text_completion", 0 },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "max_tokens_to_sample", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "metadata.user_id", FACT_USER, SCAN_PIECES },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "completion", SEEN_SAID, SCAN_PIECES },
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
    .cut = anthropic_cut,
};
