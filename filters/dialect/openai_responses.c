/* POST /responses and what belongs to it. A stream's terminal event carries the
 * whole response object, its usage included, whether it completed, failed or
 * was cut short. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/responses", "chat", 0 },
    { METHOD_GET, "**/responses", "chat", ROUTE_WEBSOCKET },
    { METHOD_POST, "**/v1/agent", "chat", 0 }, /* Perplexity */
    { METHOD_POST, "**/decisions", "decide", 0 },
    { METHOD_POST, "**/responses/compact", "compact", 0 },
    { METHOD_POST, "**/responses/input_tokens", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { METHOD_GET, "**/responses/{*}", "retrieve", OPENAI_ONCE },
    { METHOD_GET, "**/responses/*/input_items", "list", OPENAI_STORED },
    { METHOD_POST, "**/responses/{*}/cancel", "cancel", OPENAI_ONCE },
    { METHOD_DELETE, "**/responses/*", "delete", OPENAI_STORED },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "background", FACT_BACKGROUND, SCAN_WHOLE },
    { "max_output_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "models[]", FACT_MORE_MODELS, SCAN_WHOLE },
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },
    { "plugins[].id", FACT_TOOL, SCAN_WHOLE },
    { "prompt_cache_key", FACT_SESSION, SCAN_PIECES },
    { "instructions", FACT_SYSTEM, SCAN_RAW },
    { "previous_response_id", FACT_PREDECESSOR, SCAN_WHOLE },
    { "input[]", FACT_MESSAGE, SCAN_WHOLE },
    { "input[].role", FACT_ROLE, SCAN_WHOLE },
    { "input[].type", FACT_TYPE, SCAN_WHOLE },
    { "input[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "input", FACT_PROMPT, SCAN_RAW },
    { "input[].content", FACT_SAID, SCAN_RAW },
    { "input[].content[].text", FACT_SAID, SCAN_RAW },
    { "input[].arguments", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[].output", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[].output[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input[].summary[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "text.format", FACT_INPUT_JSON, SCAN_WHOLE },
    /* over a WebSocket: {"type":"response.create", and then the same members} */
    { "type", FACT_SOCKET_TYPE, SCAN_WHOLE },
    { "stream_id", FACT_SOCKET_LANE, SCAN_WHOLE },
    { .path = NULL },
};

/* clang-format off */
#define RESPONSE_OBJECT(at)                                                            \
    OPENAI_USAGE(at "usage"),                                                          \
    { at "tool_usage.web_search.num_requests", COUNT_WEB_SEARCHES, SCAN_WHOLE },            \
    { at "tool_usage.image_gen", LINE_IS_IMAGE_TOOL, SCAN_WHOLE },                          \
    OPENAI_LINE_USAGE(at "tool_usage.image_gen"),                                      \
    { at "tools[].model", LINE_TOOL_MODEL, SCAN_WHOLE },                                    \
    OPENAI_SVG(at "output[].svg_usage"),                                               \
    { at "model", SEEN_MODEL, SCAN_WHOLE },                                                 \
    { at "service_tier", SEEN_TIER, SCAN_WHOLE },                                           \
    { at "error", SEEN_ERROR, SCAN_WHOLE }
/* clang-format on */

static const struct scan_path response[] = {
    RESPONSE_OBJECT(""),
    RESPONSE_OBJECT("response."),
    { "type", SEEN_TYPE, SCAN_WHOLE },
    { "status", SEEN_STATUS, SCAN_WHOLE },
    { "delta", SEEN_SAID, SCAN_PIECES },
    { "id", SEEN_ID, SCAN_WHOLE },
    { "response.id", SEEN_ID, SCAN_WHOLE },
    { "item.name", SEEN_TOOL, SCAN_WHOLE },
    { "output[].name", SEEN_TOOL, SCAN_WHOLE },
    { "output[].input", SEEN_ARGUMENT, SCAN_PIECES },
    { "stream_id", SEEN_LANE, SCAN_WHOLE },
    /* a whole answer; a stream's terminal event repeats these below "response" */
    { "output[].content[].text", SEEN_SAID, SCAN_PIECES },
    { "output[].content[].refusal", SEEN_SAID, SCAN_PIECES },
    { "output[].summary[].text", SEEN_TEXT, SCAN_PIECES },
    { "output[].arguments", SEEN_ARGUMENTS, SCAN_PIECES },
    { .path = NULL },
};

/* Of an event, or the status of a whole response. */
static bool terminal(struct span type)
{
    return span_equal(type, SPAN("completed")) ||
           span_equal(type, SPAN("incomplete")) || span_equal(type, SPAN("failed")) ||
           span_equal(type, SPAN("cancelled")) ||
           span_equal(type, SPAN("response.completed")) ||
           span_equal(type, SPAN("response.incomplete")) ||
           span_equal(type, SPAN("response.failed")) || span_equal(type, SPAN("error"));
}

/* What Codex and OpenAI's SDKs take for the end. Ids and numbers of events
 * count from 0. */
static void cut(const struct refusal *refusal, uint64_t events, struct text *out)
{
    text_put(out, SPAN("event: response.failed\ndata: {\"type\":\"response.failed\","
                       "\"sequence_number\":"));
    text_put_u64(out, events);
    text_put(out, SPAN(",\"response\":{\"id\":"));
    text_put_json(out, refusal->id);
    text_put(out, SPAN(",\"object\":\"response\",\"status\":\"failed\",\"output\":[],"
                       "\"error\":{\"code\":\"insufficient_quota\",\"message\":"));
    text_put_json(out, refusal->words);
    text_put(out, SPAN("}}}\n\n"));
}

static enum socket_event event(struct span type)
{
    enum socket_event event = openai_event(type);
    bool ends = terminal(type) || span_equal(type, SPAN("response.cancelled"));

    return event == EVENT_PART && ends ? EVENT_TERMINAL : event;
}

const struct dialect dialect_openai_responses = {
    .name = "openai.responses",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .counts_end = true,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .object_prefix = "resp_",
    .repeat_type = "response.output_item.done",
    .terminal = terminal,
    .request_type = "response.create",
    .event = event,
    .balance = openai_balance,
    .refuse = openai_refuse,
    .cut = cut,
};
