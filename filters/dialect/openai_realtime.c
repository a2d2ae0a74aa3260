/* Realtime: one WebSocket, on which responses come one after the other, asked for by
 * the client or begun by the provider when it hears that somebody has finished
 * speaking. Each is an inference of its own, with its own usage. What writes down the
 * speech that was heard is another model, and reports its own, too.
 *
 * What goes by WebRTC or SIP (/realtime/calls) bypasses any proxy, and a client secret
 * lets its holder do so: such paths are not claimed. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_GET, "**/realtime", "realtime", ROUTE_WEBSOCKET },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "type", FACT_SOCKET_TYPE, SCAN_WHOLE },
    { "response.max_output_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "response.instructions", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "response.input[].content[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "response.tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "item.content[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "item.output", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "item.arguments", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "session.instructions", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "session.tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("response.usage"),
    OPENAI_OUTPUT_DETAILS("response.usage.output_token_details"),
    /* of what writes down what was heard */
    OPENAI_USAGE("usage"),
    { "type", SEEN_TYPE, SCAN_WHOLE },
    { "response.id", SEEN_ID, SCAN_WHOLE },
    { "response_id", SEEN_ID, SCAN_WHOLE },
    { "session.model", SEEN_SESSION_MODEL, SCAN_WHOLE },
    { "session.audio.input.transcription.model", SEEN_TRANSCRIBER_MODEL, SCAN_WHOLE },
    { "session.input_audio_transcription.model", SEEN_TRANSCRIBER_MODEL, SCAN_WHOLE },
    { "delta", SEEN_TEXT, SCAN_MEASURED },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "status", SEEN_STATUS, SCAN_WHOLE },
    { .path = NULL },
};

static bool terminal(struct span type)
{
    return span_equal(type, SPAN("response.done"));
}

static enum socket_event event(struct span type)
{
    static const struct span transcribed = {
        "conversation.item.input_audio_transcription.completed", 53
    };

    if (terminal(type)) {
        return EVENT_TERMINAL;
    }
    return span_equal(type, transcribed) ? EVENT_TRANSCRIBED : openai_event(type);
}

const struct dialect dialect_openai_realtime = {
    .name = "openai.realtime",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = terminal,
    .request_type = "response.create",
    .event = event,
    .balance = openai_balance,
    .refuse = openai_refuse,
};
