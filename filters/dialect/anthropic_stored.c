/* Files and what else Anthropic keeps for its callers. */
#include "filters/dialect/anthropic_shape.h"

enum { STORED = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE };

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/files", "upload", STORED },
    { METHOD_GET, "**/v1/files", "list", STORED },
    { METHOD_GET, "**/v1/files/*", "retrieve", STORED },
    { METHOD_GET, "**/v1/files/*/content", "retrieve", STORED },
    { METHOD_DELETE, "**/v1/files/*", "delete", STORED },
    { METHOD_POST, "**/v1/skills", "create", STORED },
    { METHOD_GET, "**/v1/skills", "list", STORED },
    { METHOD_GET, "**/v1/skills/*", "retrieve", STORED },
    { METHOD_DELETE, "**/v1/skills/*", "delete", STORED },
    { .path = NULL },
};

const struct dialect dialect_anthropic_stored = {
    .name = "anthropic.stored",
    .family = "anthropic",
    .routes = routes,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .refuse = anthropic_refuse,
};
