/* Paths that no dialect claims, where a provider relays them. What a POST is answered
 * with is looked through for a usage in the shapes that most APIs share; nothing found
 * is an unknown count, never zero, and what is found is called partial. */
#include "filters/dialect/gemini_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    /* the one that registry_unknown() means */
    { METHOD_GET, "**", "unknown", ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { METHOD_POST, "**", "unknown", ROUTE_NO_BODY | ROUTE_LATER },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    OPENAI_USAGE("choices[].usage"),
    OPENAI_USAGE("x_groq.usage"),
    OPENAI_USAGE("response.usage"),
    OPENAI_USAGE("message.usage"),
    GEMINI_USAGE("usageMetadata"),
    GEMINI_USAGE("response.usageMetadata"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "modelVersion", SEEN_MODEL, SCAN_WHOLE },
    { "response.model", SEEN_MODEL, SCAN_WHOLE },
    { "response.modelVersion", SEEN_MODEL, SCAN_WHOLE },
    { "message.model", SEEN_MODEL, SCAN_WHOLE },
    { .path = NULL },
};

const struct dialect dialect_unknown = {
    .name = "unknown",
    .family = "",
    .routes = routes,
    .response = response,
    .merge = MERGE_REPLACE,
    .guessed = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = openai_refuse,
};
