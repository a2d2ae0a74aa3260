/* POST /audio/transcriptions, /audio/translations and /audio/speech. A transcription is
 * counted in tokens or in seconds; speech reports only as a stream of events. */
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/deployments/{*}/audio/transcriptions", "transcription",
      ROUTE_MULTIPART },
    { METHOD_POST, "**/deployments/{*}/audio/translations", "translation",
      ROUTE_MULTIPART },
    { METHOD_POST, "**/deployments/{*}/audio/speech", "speech", ROUTE_NO_TEXT },
    { METHOD_POST, "**/audio/transcriptions", "transcription", ROUTE_MULTIPART },
    { METHOD_POST, "**/audio/translations", "translation", ROUTE_MULTIPART },
    { METHOD_POST, "**/audio/speech", "speech", ROUTE_NO_TEXT },
    { .path = NULL },
};

static const struct scan_path request[] = {
    { "model", FACT_MODEL, SCAN_WHOLE },
    { "stream", FACT_STREAM, SCAN_WHOLE },
    { "prompt", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "input", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "instructions", FACT_INPUT_TEXT, SCAN_MEASURED },
    { .path = NULL },
};

static const struct scan_path response[] = {
    OPENAI_USAGE("usage"),
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "type", SEEN_TYPE, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "text", SEEN_TEXT, SCAN_PIECES },
    { "delta", SEEN_TEXT, SCAN_PIECES },
    { .path = NULL },
};

static bool terminal(struct span type)
{
    return span_equal(type, SPAN("transcript.text.done")) ||
           span_equal(type, SPAN("transcription.done")) ||
           span_equal(type, SPAN("speech.audio.done")) ||
           span_equal(type, SPAN("error"));
}

const struct dialect dialect_openai_audio = {
    .name = "openai.audio",
    .family = "openai",
    .routes = routes,
    .request = request,
    .response = response,
    .merge = MERGE_REPLACE,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = terminal,
    .balance = openai_balance,
    .refuse = openai_refuse,
};
