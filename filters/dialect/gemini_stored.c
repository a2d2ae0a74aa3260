/* What there is to call, and what Google keeps for its callers: files, caches, stores.
 * A cache costs by the hour that it is kept, which nobody can read here. */
#include "filters/dialect/gemini_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_GET, "**/models", "list_models", GEMINI_STORED },
    { METHOD_GET, "**/models/*", "get_model", GEMINI_STORED },
    { METHOD_POST, "**/cachedContents", "create", ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { METHOD_GET, "**/cachedContents", "list", GEMINI_STORED },
    { METHOD_GET, "**/cachedContents/*", "retrieve", GEMINI_STORED },
    { METHOD_PATCH, "**/cachedContents/*", "update", GEMINI_STORED },
    { METHOD_DELETE, "**/cachedContents/*", "delete", GEMINI_STORED },
    { METHOD_POST, "**/files", "upload", GEMINI_STORED },
    { METHOD_PUT, "**/files", "upload", GEMINI_STORED },
    { METHOD_GET, "**/files", "list", GEMINI_STORED },
    { METHOD_GET, "**/files/*", "retrieve", GEMINI_STORED },
    { METHOD_DELETE, "**/files/*", "delete", GEMINI_STORED },
    { METHOD_POST, "**/fileSearchStores", "create", GEMINI_STORED },
    { METHOD_GET, "**/fileSearchStores", "list", GEMINI_STORED },
    { METHOD_GET, "**/fileSearchStores/*", "retrieve", GEMINI_STORED },
    { METHOD_DELETE, "**/fileSearchStores/*", "delete", GEMINI_STORED },
    { METHOD_GET, "**/fileSearchStores/*/documents", "list", GEMINI_STORED },
    { METHOD_GET, "**/fileSearchStores/*/documents/*", "retrieve", GEMINI_STORED },
    { METHOD_DELETE, "**/fileSearchStores/*/documents/*", "delete", GEMINI_STORED },
    /* indexing embeds the file; no token of it is reported */
    { METHOD_POST, "**/fileSearchStores/*:uploadToFileSearchStore", "upload",
      ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { METHOD_PUT, "**/fileSearchStores/*:uploadToFileSearchStore", "upload",
      ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { METHOD_GET, "**/operations/*", "retrieve", GEMINI_STORED },
    { .path = NULL },
};

const struct dialect dialect_gemini_stored = {
    .name = "gemini.stored",
    .family = "gemini",
    .routes = routes,
    .credential_field = "x-goog-api-key",
    .credential_prefix = "",
    .refuse = gemini_refuse,
};
