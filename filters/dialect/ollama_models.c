/* What there is to call, and what puts it there. */
#include "filters/dialect/ollama_shape.h"

enum { MODELS = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE };

static const struct dialect_route routes[] = {
    { METHOD_GET, "**/api/tags", "list_models", MODELS },
    { METHOD_GET, "**/api/ps", "list_models", MODELS },
    { METHOD_GET, "**/api/version", "version", MODELS },
    { METHOD_HEAD, "/", "hello", MODELS },
    { METHOD_GET, "/", "hello", MODELS },
    { METHOD_POST, "**/api/show", "get_model", MODELS },
    { METHOD_POST, "**/api/pull", "pull", MODELS },
    { .path = NULL },
};

const struct dialect dialect_ollama_models = {
    .name = "ollama.models",
    .family = "ollama",
    .routes = routes,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .refuse = ollama_refuse,
};
