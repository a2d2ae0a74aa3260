/* GET /models: what there is to call. Names with a slash are two segments. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_GET, "**/models", "list_models", OPENAI_STORED },
    { METHOD_GET, "**/models/*", "get_model", OPENAI_STORED },
    { METHOD_GET, "**/models/*/*", "get_model", OPENAI_STORED },
    { .path = NULL },
};

const struct dialect dialect_openai_models = {
    .name = "openai.models",
    .family = "openai",
    .routes = routes,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .refuse = openai_refuse,
};
