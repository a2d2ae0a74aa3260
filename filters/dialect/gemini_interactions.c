/* POST /interactions: one turn of a conversation that Google keeps. Thoughts and
 * tool use stand beside output and input. One that runs in the background shows
 * its usage later. */
#include "filters/dialect/gemini_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/interactions", "chat", 0 },
    { METHOD_GET, "**/interactions/{*}", "retrieve", GEMINI_ONCE },
    { METHOD_POST, "**/interactions/{*}/cancel", "cancel", GEMINI_ONCE },
    { METHOD_DELETE, "**/interactions/*", "delete", GEMINI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "background", FACT_BACKGROUND, SCAN_WHOLE },
    { "generation_config.max_output_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "system_instruction", FACT_SYSTEM, SCAN_RAW },
    { "previous_interaction_id", FACT_PREDECESSOR, SCAN_WHOLE },
    { "input[]", FACT_MESSAGE, SCAN_WHOLE },
    { "input[].role", FACT_ROLE, SCAN_WHOLE },
    { "input[].type", FACT_TYPE, SCAN_WHOLE },
    { "input[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "input", FACT_PROMPT, SCAN_RAW },
    { "input[].text", FACT_SAID, SCAN_RAW },
    { "input[].content", FACT_SAID, SCAN_RAW },
    { "input[].content[].text", FACT_SAID, SCAN_RAW },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },
    { .path = NULL },
};

/* clang-format off */
#define INTERACTION(at)                                                                \
    { at "usage", COUNT_USAGE, SCAN_WHOLE },                                                \
    { at "usage.total_input_tokens", COUNT_INPUT, SCAN_WHOLE },                             \
    { at "usage.total_cached_tokens", COUNT_CACHED, SCAN_WHOLE },                           \
    { at "usage.total_tool_use_tokens", COUNT_TOOL_INPUT, SCAN_WHOLE },                     \
    { at "usage.total_output_tokens", COUNT_OUTPUT, SCAN_WHOLE },                           \
    { at "usage.total_thought_tokens", COUNT_REASONING, SCAN_WHOLE },                       \
    { at "usage.total_reasoning_tokens", COUNT_REASONING, SCAN_WHOLE },                     \
    { at "usage.total_tokens", COUNT_TOTAL, SCAN_WHOLE },                                   \
    GEMINI_PARTS(at "usage.input_tokens_by_modality", LIST_INPUT, ".tokens"),          \
    GEMINI_PARTS(at "usage.tool_use_tokens_by_modality", LIST_INPUT, ".tokens"),       \
    GEMINI_PARTS(at "usage.output_tokens_by_modality", LIST_OUTPUT, ".tokens"),        \
    { at "model", SEEN_MODEL, SCAN_WHOLE },                                                 \
    { at "service_tier", SEEN_TIER, SCAN_WHOLE }
/* clang-format on */

static const struct scan_path response[] = {
    INTERACTION(""),
    INTERACTION("interaction."),
    { "event_type", SEEN_TYPE, SCAN_WHOLE },
    { "status", SEEN_STATUS, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "delta.text", SEEN_SAID, SCAN_PIECES },
    { "id", SEEN_ID, SCAN_WHOLE },
    { "interaction.id", SEEN_ID, SCAN_WHOLE },
    { "outputs[].name", SEEN_TOOL, SCAN_WHOLE },
    { "outputs[].arguments.**", SEEN_ARGUMENT, SCAN_PIECES },
    { "outputs[].text", SEEN_SAID, SCAN_PIECES },
    { "steps[].content[].text", SEEN_SAID, SCAN_PIECES },
    { .path = NULL },
};

/* Of an event, or the status of a whole interaction. */
static bool terminal(struct span type)
{
    return span_equal(type, SPAN("interaction.completed")) ||
           span_equal(type, SPAN("completed")) || span_equal(type, SPAN("failed")) ||
           span_equal(type, SPAN("incomplete")) ||
           span_equal(type, SPAN("cancelled")) || span_equal(type, SPAN("error"));
}

const struct dialect dialect_gemini_interactions = {
    .name = "gemini.interactions",
    .family = "gemini",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .quoted_counts = true,
    .credential_field = "x-goog-api-key",
    .credential_prefix = "",
    .terminal = terminal,
    .balance = gemini_balance,
    .refuse = gemini_refuse,
};
