/* POST /model/M/converse and converse-stream: one shape for all vendors. The model and
 * the stream are in the path; a stream reports its usage in the last event. */
#include "filters/dialect/bedrock_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/model/{*}/converse", "chat", 0 },
    { METHOD_POST, "**/model/{*}/converse-stream", "chat", ROUTE_STREAM },
    { METHOD_POST, "**/model/{*}/count-tokens", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    /* charged by units of text, not by tokens */
    { METHOD_POST, "**/guardrail/*/version/*/apply", "guardrail", ROUTE_NO_USAGE },
    { METHOD_POST, "**/async-invoke", "create_batch", ROUTE_NO_USAGE },
    { METHOD_GET, "**/async-invoke", "list",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { METHOD_GET, "**/async-invoke/*", "retrieve",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "inferenceConfig.maxTokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "serviceTier.type", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "toolConfig.tools[].systemTool.name", FACT_TOOL, SCAN_WHOLE },
    { "system[].text", FACT_SYSTEM, SCAN_RAW },
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].content[].toolResult", FACT_RESULT, SCAN_WHOLE },
    { "messages[].content[].image", FACT_IMAGE, SCAN_WHOLE },
    { "messages[].content[].document", FACT_IMAGE, SCAN_WHOLE },
    { "messages[].content[].video", FACT_IMAGE, SCAN_WHOLE },
    { "messages[].content[].text", FACT_SAID, SCAN_RAW },
    { "messages[].content[].reasoningContent.reasoningText.text", FACT_INPUT_TEXT,
      SCAN_MEASURED },
    { "messages[].content[].toolUse.input", FACT_INPUT_JSON, SCAN_WHOLE },
    { "messages[].content[].toolResult.content[].text", FACT_INPUT_TEXT,
      SCAN_MEASURED },
    { "messages[].content[].toolResult.content[].json", FACT_INPUT_JSON, SCAN_WHOLE },
    { "toolConfig.tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "usage", COUNT_USAGE, SCAN_WHOLE },
    BEDROCK_USAGE("usage"),
    { "serviceTier.type", SEEN_TIER, SCAN_WHOLE },
    { "stopReason", SEEN_FINISH, SCAN_WHOLE },
    { "delta.text", SEEN_SAID, SCAN_PIECES },
    { "delta.reasoningContent.text", SEEN_TEXT, SCAN_PIECES },
    { "delta.toolUse.input", SEEN_ARGUMENTS, SCAN_PIECES },
    { "start.toolUse.name", SEEN_TOOL, SCAN_WHOLE },
    { "output.message.content[].toolUse.name", SEEN_TOOL, SCAN_WHOLE },
    { "output.message.content[].toolUse.input.**", SEEN_ARGUMENT, SCAN_PIECES },
    { "output.message.content[].text", SEEN_SAID, SCAN_PIECES },
    { "output.message.content[].reasoningContent.reasoningText.text", SEEN_TEXT,
      SCAN_PIECES },
    { .path = NULL },
};

const struct dialect dialect_bedrock_converse = {
    .name = "bedrock.converse",
    .family = "bedrock",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .balance = bedrock_balance,
    .refusal_status = bedrock_refusal_status,
    .refuse = bedrock_refuse,
};
