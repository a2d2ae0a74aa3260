/* POST /v1/moderations and /v1/classifications, of a text or a chat: unlike OpenAI's
 * they are charged, by the token. */
#include "filters/dialect/mistral_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/moderations", "moderation", ROUTE_INPUT_ONLY },
    { METHOD_POST, "**/classifications", "classify", ROUTE_INPUT_ONLY },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "input", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[].content", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[][].content", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { .path = NULL },
};

const struct dialect dialect_mistral_moderations = {
    .name = "mistral.moderations",
    .family = "mistral",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance_input,
    .refuse = mistral_refuse,
};
