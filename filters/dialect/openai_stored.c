/* What OpenAI checks free of charge and keeps for its callers. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/moderations", "moderation", ROUTE_FREE | ROUTE_NO_USAGE },
    { METHOD_POST, "**/files", "upload", OPENAI_STORED },
    { METHOD_GET, "**/files", "list", OPENAI_STORED },
    { METHOD_GET, "**/files/*", "retrieve", OPENAI_STORED },
    { METHOD_DELETE, "**/files/*", "delete", OPENAI_STORED },
    { METHOD_POST, "**/uploads", "upload", OPENAI_STORED },
    { METHOD_POST, "**/uploads/*/parts", "upload", OPENAI_STORED },
    { METHOD_POST, "**/uploads/*/complete", "upload", OPENAI_STORED },
    { METHOD_POST, "**/uploads/*/cancel", "cancel", OPENAI_STORED },
    { METHOD_POST, "**/conversations", "create", OPENAI_STORED },
    { METHOD_GET, "**/conversations/*", "retrieve", OPENAI_STORED },
    { METHOD_POST, "**/conversations/*", "update", OPENAI_STORED },
    { METHOD_DELETE, "**/conversations/*", "delete", OPENAI_STORED },
    { METHOD_GET, "**/conversations/*/items", "list", OPENAI_STORED },
    { METHOD_POST, "**/conversations/*/items", "update", OPENAI_STORED },
    { METHOD_POST, "**/vector_stores", "create", OPENAI_STORED },
    { METHOD_GET, "**/vector_stores", "list", OPENAI_STORED },
    { METHOD_GET, "**/vector_stores/*", "retrieve", OPENAI_STORED },
    { METHOD_POST, "**/vector_stores/*", "update", OPENAI_STORED },
    { METHOD_DELETE, "**/vector_stores/*", "delete", OPENAI_STORED },
    { METHOD_POST, "**/vector_stores/*/files", "update", OPENAI_STORED },
    { METHOD_GET, "**/vector_stores/*/files", "list", OPENAI_STORED },
    { METHOD_GET, "**/vector_stores/*/files/*", "retrieve", OPENAI_STORED },
    { METHOD_DELETE, "**/vector_stores/*/files/*", "delete", OPENAI_STORED },
    { METHOD_POST, "**/vector_stores/*/search", "search", OPENAI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { .path = NULL },
};

const struct dialect dialect_openai_stored = {
    .name = "openai.stored",
    .family = "openai",
    .routes = routes,
    .request = request,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .refuse = openai_refuse,
};
