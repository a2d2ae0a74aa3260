/* GET /v1/models: what there is to call. */
#include "filters/dialect/anthropic_shape.h"

enum { LIST = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE };

static const struct dialect_route routes[] = {
    { METHOD_GET, "**/v1/models", "list_models", LIST },
    { METHOD_GET, "**/v1/models/*", "get_model", LIST },
    { .path = NULL },
};

const struct dialect dialect_anthropic_models = {
    .name = "anthropic.models",
    .family = "anthropic",
    .routes = routes,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .refuse = anthropic_refuse,
};
