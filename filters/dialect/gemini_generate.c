/* models/M:generateContent and :streamGenerateContent, which answers as events
 * (alt=sse) or as one array. The model and the stream are in the path; every chunk
 * repeats the usage so far. */
#include "filters/dialect/gemini_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/models/{*}:generateContent", "generate_content", 0 },
    { METHOD_POST, "**/models/{*}:streamGenerateContent", "generate_content",
      ROUTE_STREAM },
    { METHOD_POST, "**/tunedModels/{*}:generateContent", "generate_content", 0 },
    { METHOD_POST, "**/tunedModels/{*}:streamGenerateContent", "generate_content",
      ROUTE_STREAM },
    { METHOD_POST, "**/endpoints/{*}:generateContent", "generate_content", 0 },
    { METHOD_POST, "**/endpoints/{*}:streamGenerateContent", "generate_content",
      ROUTE_STREAM },
    { METHOD_POST, "**/models/{*}:countTokens", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { METHOD_POST, "**/models/{*}:computeTokens", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { METHOD_POST, "**/endpoints/{*}:countTokens", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { .path = NULL },
};

/* JSON of protocol buffers: names in either case. */
static const struct scan_path request[] = {
    { "generationConfig.maxOutputTokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "generationConfig.max_output_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "generation_config.maxOutputTokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "generation_config.max_output_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "generationConfig.candidateCount", FACT_CHOICES, SCAN_WHOLE },
    { "generationConfig.candidate_count", FACT_CHOICES, SCAN_WHOLE },
    { "generation_config.candidateCount", FACT_CHOICES, SCAN_WHOLE },
    { "generation_config.candidate_count", FACT_CHOICES, SCAN_WHOLE },
    { "serviceTier", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },
    GEMINI_TOOLS("tools[]"),
    GEMINI_TOOLS("tools"),
    { "contents[]", FACT_MESSAGE, SCAN_WHOLE },
    { "contents", FACT_MESSAGE, SCAN_WHOLE },
    { "contents[].role", FACT_ROLE, SCAN_WHOLE },
    { "contents.role", FACT_ROLE, SCAN_WHOLE },
    GEMINI_CONTENT("contents[]", FACT_SAID),
    GEMINI_CONTENT_TURN("contents[]"),
    GEMINI_CONTENT("contents", FACT_SAID),
    GEMINI_CONTENT_TURN("contents"),
    GEMINI_CONTENT("systemInstruction", FACT_SYSTEM),
    GEMINI_CONTENT("system_instruction", FACT_SYSTEM),
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "generationConfig.responseSchema", FACT_INPUT_JSON, SCAN_WHOLE },
    { "generationConfig.responseJsonSchema", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    GEMINI_USAGE("usageMetadata"),
    { "modelVersion", SEEN_MODEL, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "candidates[].finishReason", SEEN_FINISH, SCAN_WHOLE },
    { "promptFeedback.blockReason", SEEN_FINISH, SCAN_WHOLE },
    { "candidates[].content.parts[]", SEEN_PART, SCAN_WHOLE },
    { "candidates[].content.parts[].thought", SEEN_THOUGHT, SCAN_WHOLE },
    { "candidates[].content.parts[].text", SEEN_SAID, SCAN_PIECES },
    { "candidates[].content.parts[].executableCode.code", SEEN_TEXT, SCAN_PIECES },
    { "candidates[].content.parts[].functionCall.name", SEEN_TOOL, SCAN_WHOLE },
    { "candidates[].content.parts[].functionCall.args.**", SEEN_ARGUMENT, SCAN_PIECES },
    { .path = NULL },
};

/* An array where the answer would have been one. */
static void refuse(const struct refusal *refusal, struct text *lines, struct text *body)
{
    bool array = refusal->stream && !refusal->events;

    text_put(body, array ? SPAN("[") : SPAN(""));
    gemini_refuse(refusal, lines, body);
    text_put(body, array ? SPAN("]") : SPAN(""));
}

const struct dialect dialect_gemini_generate = {
    .name = "gemini.generate",
    .family = "gemini",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .quoted_counts = true,
    .credential_field = "x-goog-api-key",
    .credential_prefix = "",
    .balance = gemini_balance,
    .refuse = refuse,
};
