/* Batches: many requests in a file, answered later in another. The batch sums up what
 * was used, or the lines of its output say it one by one: whichever passes first is
 * counted. A file of requests may name one model only, so that both say the same. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/batches", "create_batch",
      ROUTE_NO_BODY | ROUTE_LATER | ROUTE_BATCH },
    { METHOD_GET, "**/batches", "list", OPENAI_STORED },
    { METHOD_GET, "**/batches/{*}", "retrieve", OPENAI_ONCE | ROUTE_BATCH },
    { METHOD_POST, "**/batches/{*}/cancel", "cancel", OPENAI_ONCE | ROUTE_BATCH },
    { METHOD_GET, "**/files/{*}/content", "retrieve",
      OPENAI_ONCE | ROUTE_BATCH | ROUTE_LINES },
    /* Mistral */
    { METHOD_POST, "**/batch/jobs", "create_batch",
      ROUTE_NO_BODY | ROUTE_LATER | ROUTE_BATCH },
    { METHOD_GET, "**/batch/jobs", "list", OPENAI_STORED },
    { METHOD_GET, "**/batch/jobs/{*}", "retrieve", OPENAI_ONCE | ROUTE_BATCH },
    { METHOD_POST, "**/batch/jobs/{*}/cancel", "cancel", OPENAI_ONCE | ROUTE_BATCH },
    { .path = NULL },
};

static const struct scan_path response[] = {
    /* the batch */
    OPENAI_USAGE("usage"),
    { "id", SEEN_ID, SCAN_WHOLE },
    { "status", SEEN_STATUS, SCAN_WHOLE },
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "output_file_id", SEEN_FILE, SCAN_WHOLE },
    { "output_file", SEEN_FILE, SCAN_WHOLE },
    /* a line of its output */
    { "response.body.usage", LINE_IS_PART, SCAN_WHOLE },
    OPENAI_LINE_USAGE("response.body.usage"),
    { "response.body.model", SEEN_MODEL, SCAN_WHOLE },
    { .path = NULL },
};

static bool terminal(struct span status)
{
    return span_equal(status, SPAN("completed")) ||
           span_equal(status, SPAN("expired")) ||
           span_equal(status, SPAN("cancelled")) || span_equal(status, SPAN("failed"));
}

const struct dialect dialect_openai_batches = {
    .name = "openai.batches",
    .family = "openai",
    .routes = routes,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = terminal,
    .balance = openai_balance,
    .refuse = openai_refuse,
};
