/* POST /v1/chat of Writer: OpenAI's chat at a shorter path. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/chat", "chat", 0 },
    { .path = NULL },
};

/* Chunks repeat as a delta what they have as a message. */
static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "service_tier", SEEN_TIER, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "choices[].finish_reason", SEEN_FINISH, SCAN_WHOLE },
    OPENAI_CHAT_TEXT("choices[].message"),
    { .path = NULL },
};

const struct dialect dialect_writer_chat = {
    .name = "writer.chat",
    .family = "writer",
    .routes = routes,
    .request = openai_chat_request,
    .response = response,
    .merge = MERGE_REPLACE,
    .usage_splice = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = openai_refuse,
    .cut = openai_cut,
};
