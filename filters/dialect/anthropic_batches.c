/* POST /v1/messages/batches: answered later, in a file that is asked for with GET, which
 * never bills. */
#include "filters/dialect/anthropic_shape.h"

enum { STORED = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE };

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/messages/batches", "create_batch",
      ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { METHOD_GET, "**/v1/messages/batches", "list", STORED },
    { METHOD_GET, "**/v1/messages/batches/*", "retrieve", STORED },
    { METHOD_GET, "**/v1/messages/batches/*/results", "retrieve", STORED },
    { METHOD_POST, "**/v1/messages/batches/*/cancel", "cancel", STORED },
    { METHOD_DELETE, "**/v1/messages/batches/*", "delete", STORED },
    { .path = NULL },
};

const struct dialect dialect_anthropic_batches = {
    .name = "anthropic.batches",
    .family = "anthropic",
    .routes = routes,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .refuse = anthropic_refuse,
};
