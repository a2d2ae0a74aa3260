/* POST /v1/chat of Writer: OpenAI's chat at a shorter path. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/chat", "chat", 0 },
    { .path = NULL },
};

const struct dialect dialect_writer_chat = {
    .name = "writer.chat",
    .family = "writer",
    .routes = routes,
    .request = openai_chat_request,
    .response = openai_chat_response,
    .merge = MERGE_REPLACE,
    .usage_splice = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = openai_refuse,
    .cut = openai_cut,
};
