/* What there is to call, and the tokenizer, which is free. */
#include "filters/dialect/cohere_shape.h"

enum { MODELS = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE };

static const struct dialect_route routes[] = {
    { METHOD_GET, "**/v1/models", "list_models", MODELS },
    { METHOD_GET, "**/v1/models/*", "get_model", MODELS },
    { METHOD_POST, "**/tokenize", "count_tokens", MODELS },
    { METHOD_POST, "**/detokenize", "count_tokens", MODELS },
    { .path = NULL },
};

const struct dialect dialect_cohere_models = {
    .name = "cohere.models",
    .family = "cohere",
    .routes = routes,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .refusal_status = cohere_refusal_status,
    .refuse = cohere_refuse,
};
