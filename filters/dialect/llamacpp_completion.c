/* POST /completion and /infill of llama.cpp's server, which count at the top level. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/completion", "text_completion", 0 },
    { METHOD_POST, "**/infill", "text_completion", 0 },
    { METHOD_POST, "**/tokenize", "count_tokens", OPENAI_STORED },
    { METHOD_POST, "**/detokenize", "count_tokens", OPENAI_STORED },
    { METHOD_POST, "**/apply-template", "count_tokens", OPENAI_STORED },
    { METHOD_GET, "**/props", "get_model", OPENAI_STORED },
    { METHOD_GET, "**/health", "health", OPENAI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "n_predict", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { "input_prefix", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input_suffix", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "tokens_evaluated", COUNT_INPUT, SCAN_WHOLE },
    { "tokens_predicted", COUNT_OUTPUT, SCAN_WHOLE },
    { "timings.cache_n", COUNT_CACHED, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "stop", SEEN_END, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "content", SEEN_SAID, SCAN_PIECES },
    { .path = NULL },
};

const struct dialect dialect_llamacpp_completion = {
    .name = "llamacpp.completion",
    .family = "llamacpp",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_FIELDS,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = openai_balance,
    .refuse = openai_refuse,
};
