/* POST /completions: prompts without roles. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/deployments/{*}/completions", "text_completion", 0 }, /* Azure */
    { METHOD_POST, "**/completions", "text_completion", 0 },
    { METHOD_POST, "**/v1/edits", "text_completion", 0 }, /* by an instruction */
    { .path = NULL },
};

static const struct scan_path request[] = {
    OPENAI_REQUEST,
    /* candidates beyond n are generated and billed, but not shown */
    { "best_of", FACT_CHOICES, SCAN_WHOLE },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { "prompt[]", FACT_PROMPT, SCAN_RAW },
    { "suffix", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "instruction", FACT_PROMPT, SCAN_RAW },
    { "input", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "service_tier", SEEN_TIER, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "choices[].finish_reason", SEEN_FINISH, SCAN_WHOLE },
    { "choices[].text", SEEN_SAID, SCAN_PIECES },
    { .path = NULL },
};

const struct dialect dialect_openai_completions = {
    .name = "openai.completions",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .usage_splice = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = openai_refuse,
    .cut = openai_cut,
};
