/* POST /images/generations and its like. GPT's image models count tokens, most of the
 * output as image; others are charged by the image and report nothing. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/deployments/{*}/images/generations", "image_generation",
      ROUTE_NO_TEXT },
    { METHOD_POST, "**/deployments/{*}/images/edits", "image_edit",
      ROUTE_MULTIPART | ROUTE_NO_TEXT },
    { METHOD_POST, "**/images/generations", "image_generation", ROUTE_NO_TEXT },
    { METHOD_POST, "**/images/edits", "image_edit", ROUTE_MULTIPART | ROUTE_NO_TEXT },
    { METHOD_POST, "**/images/variations", "image_edit",
      ROUTE_MULTIPART | ROUTE_NO_TEXT },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "n", FACT_CHOICES, SCAN_WHOLE },
    { "prompt", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    OPENAI_SVG("svg_usage"),
    OPENAI_SVG("data[].svg_usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "type", SEEN_TYPE, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { .path = NULL },
};

static bool terminal(struct span type)
{
    return span_equal(type, SPAN("image_generation.completed")) ||
           span_equal(type, SPAN("image_edit.completed")) ||
           span_equal(type, SPAN("error"));
}

/* Output without details is image. */
static void balance(const struct tally *tally, struct usage *usage)
{
    openai_balance(tally, usage);
    if (usage_knows(usage, TOKENS_OUTPUT) && !tally_has(tally, COUNT_OUTPUT_IMAGE)) {
        usage->modality[MODALITY_OUTPUT_IMAGE] = usage->tokens[TOKENS_OUTPUT];
        usage->known_modalities |= 1U << MODALITY_OUTPUT_IMAGE;
    }
}

const struct dialect dialect_openai_images = {
    .name = "openai.images",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = terminal,
    .balance = balance,
    .refuse = openai_refuse,
};
