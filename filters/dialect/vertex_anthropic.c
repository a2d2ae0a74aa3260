/* Claude on Vertex AI: messages as Anthropic's own, the model in the path. */
#include "filters/dialect/anthropic_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/publishers/anthropic/models/count-tokens:rawPredict",
      "count_tokens", ROUTE_FREE | ROUTE_NO_USAGE },
    { METHOD_POST, "**/publishers/anthropic/models/{*}:rawPredict", "chat", 0 },
    { METHOD_POST, "**/publishers/anthropic/models/{*}:streamRawPredict", "chat",
      ROUTE_STREAM },
    { .path = NULL },
};

const struct dialect dialect_vertex_anthropic = {
    .name = "vertex.anthropic",
    .family = "vertex",
    .routes = routes,
    .request = anthropic_messages_request,
    .response = anthropic_messages_response,
    .merge = MERGE_FIELDS,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = anthropic_terminal,
    .balance = anthropic_balance,
    .refuse = anthropic_refuse,
    .cut = anthropic_cut,
};
