/* Paths that no dialect claims. Nothing is known of them, and nothing is counted: such an
 * exchange is recorded with unknown tokens, never with zero. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**", "unknown", ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { .path = NULL },
};

const struct dialect dialect_unknown = {
    .name = "unknown",
    .family = "",
    .routes = routes,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .refuse = openai_refuse,
};
