#include "proxy/http/media.h"

struct media_row {
    struct span type;
    enum media media;
};

static const struct media_row types[] = {
    { SPAN_INIT("application/json"), MEDIA_JSON },
    { SPAN_INIT("text/json"), MEDIA_JSON },
    { SPAN_INIT("text/event-stream"), MEDIA_EVENTS },
    { SPAN_INIT("application/x-ndjson"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/ndjson"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/jsonl"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/x-jsonl"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/jsonlines"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/x-jsonlines"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/json-lines"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/stream+json"), MEDIA_JSON_LINES },
    { SPAN_INIT("application/vnd.amazon.eventstream"), MEDIA_EVENTSTREAM },
    { SPAN_INIT("multipart/form-data"), MEDIA_MULTIPART },
};

static const struct span opaque_families[] = {
    SPAN_INIT("audio/"),
    SPAN_INIT("image/"),
    SPAN_INIT("video/"),
};

enum media media_of(struct span content_type)
{
    struct span type = content_type;

    type.len = span_find(type, ';');
    type = span_trim(type);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (span_equal_nocase(type, types[i].type)) {
            return types[i].media;
        }
    }
    for (size_t i = 0; i < sizeof(opaque_families) / sizeof(opaque_families[0]); i++) {
        if (span_starts_nocase(type, opaque_families[i])) {
            return MEDIA_OPAQUE;
        }
    }
    if (type.len > 5 &&
        span_equal_nocase(span_after(type, type.len - 5), SPAN("+json"))) {
        return MEDIA_JSON;
    }
    return MEDIA_UNKNOWN;
}

static struct span skip_blank(struct span s)
{
    if (span_starts(s, SPAN("\xef\xbb\xbf"))) {
        s = span_after(s, 3);
    }
    while (s.len > 0 && memchr(" \t\r\n", s.at[0], 4) != NULL) {
        s = span_after(s, 1);
    }
    return s;
}

/* Whether an event stream begins so (a field or a comment), as far as the bytes go: no
 * JSON text begins with any of these letters and goes on like that. */
static bool begins_events(struct span s)
{
    static const struct span fields[] = {
        SPAN_INIT("data"),
        SPAN_INIT("event"),
        SPAN_INIT("id"),
        SPAN_INIT("retry"),
    };

    if (s.len > 0 && s.at[0] == ':') {
        return true;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct span field = fields[i];

        if (s.len > field.len
                ? span_starts(s, field) && memchr(":\r\n", s.at[field.len], 3) != NULL
                : s.len > 0 && span_starts(field, s)) {
            return true;
        }
    }
    return false;
}

enum media media_sniff(enum media claimed, struct span first_bytes)
{
    struct span start = skip_blank(first_bytes);
    bool json = start.len > 0 && (start.at[0] == '{' || start.at[0] == '[');

    if (claimed == MEDIA_MULTIPART || claimed == MEDIA_OPAQUE) {
        return claimed;
    }
    if (json) {
        return claimed == MEDIA_JSON_LINES ? claimed : MEDIA_JSON;
    }
    /* The frames of an AWS event stream begin with a length, never with a letter. */
    return claimed != MEDIA_EVENTSTREAM && begins_events(start) ? MEDIA_EVENTS
                                                                : claimed;
}
