/* POST /v1/messages/batches: answered later, in lines that say what each message used.
 * They are counted when they first pass whole. */
#include "filters/dialect/anthropic_shape.h"

enum {
    STORED = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE,
    RESULTS = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_ONCE | ROUTE_BATCH | ROUTE_LINES
};

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/v1/messages/batches", "create_batch",
      ROUTE_NO_BODY | ROUTE_LATER | ROUTE_BATCH },
    { METHOD_GET, "**/v1/messages/batches", "list", STORED },
    { METHOD_GET, "**/v1/messages/batches/*", "retrieve", STORED },
    { METHOD_GET, "**/v1/messages/batches/{*}/results", "retrieve", RESULTS },
    { METHOD_POST, "**/v1/messages/batches/*/cancel", "cancel", STORED },
    { METHOD_DELETE, "**/v1/messages/batches/*", "delete", STORED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "id", SEEN_ID, SCAN_WHOLE },
    { "result.message.usage", LINE_IS_PART, SCAN_WHOLE },
    ANTHROPIC_LINE_USAGE("result.message.usage"),
    { "result.message.model", SEEN_MODEL, SCAN_WHOLE },
    { .path = NULL },
};

const struct dialect dialect_anthropic_batches = {
    .name = "anthropic.batches",
    .family = "anthropic",
    .routes = routes,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "x-api-key",
    .credential_prefix = "",
    .balance = anthropic_balance,
    .refuse = anthropic_refuse,
};
