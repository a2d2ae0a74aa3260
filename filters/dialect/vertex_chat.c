/* Models of Mistral and AI21 on Vertex AI: OpenAI's chat, the model in the path. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/publishers/mistralai/models/{*}:rawPredict", "chat", 0 },
    { METHOD_POST, "**/publishers/mistralai/models/{*}:streamRawPredict", "chat",
      ROUTE_STREAM },
    { METHOD_POST, "**/publishers/ai21/models/{*}:rawPredict", "chat", 0 },
    { METHOD_POST, "**/publishers/ai21/models/{*}:streamRawPredict", "chat",
      ROUTE_STREAM },
    { .path = NULL },
};

const struct dialect dialect_vertex_chat = {
    .name = "vertex.chat",
    .family = "vertex",
    .routes = routes,
    .request = openai_chat_request,
    .response = openai_chat_response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = openai_refuse,
    .cut = openai_cut,
};
