/* POST /v1/messages/count_tokens: an estimate by the provider, free of charge. The
 * number in the answer is no usage. */
#include "filters/dialect/anthropic_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/messages/count_tokens", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "metadata.user_id", FACT_USER, SCAN_PIECES },
    { .path = NULL },
};

const struct dialect dialect_anthropic_count_tokens = {
    .name = "anthropic.count_tokens",
    .family = "anthropic",
    .routes = routes,
    .request = request,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .refuse = anthropic_refuse,
};
