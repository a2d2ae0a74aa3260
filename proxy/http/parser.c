#include "proxy/http/parser.h"

#include <llhttp.h>

/* One reading by llhttp. Its callbacks compare places, not bytes: both parsers read the
 * same buffer. */
struct reading {
    const struct head *head;
    const struct announced *announced;
    size_t names;    /* seen so far */
    size_t values;   /* the last one seen belongs to this name, counted from 1 */
    bool start_line; /* target or reason seen */
    bool complete;
};

enum { GO_ON = 0, DIFFERS = -1 };

static const uint8_t methods[] = {
    [METHOD_GET] = HTTP_GET,         [METHOD_HEAD] = HTTP_HEAD,
    [METHOD_POST] = HTTP_POST,       [METHOD_PUT] = HTTP_PUT,
    [METHOD_PATCH] = HTTP_PATCH,     [METHOD_DELETE] = HTTP_DELETE,
    [METHOD_OPTIONS] = HTTP_OPTIONS,
};

static bool same_place(struct span ours, const char *at, size_t len)
{
    return ours.len == len && (len == 0 || ours.at == at);
}

static int on_start_line_part(struct reading *reading, struct span ours, const char *at,
                              size_t len)
{
    if (reading->start_line || !same_place(ours, at, len)) {
        return DIFFERS;
    }
    reading->start_line = true;
    return GO_ON;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;

    return on_start_line_part(reading, reading->head->target, at, len);
}

static int on_status(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;

    return on_start_line_part(reading, reading->head->reason, at, len);
}

/* llhttp may pass over the value of an empty field in silence. */
static bool last_value_seen(const struct reading *reading)
{
    return reading->values == reading->names ||
           reading->head->fields[reading->names - 1].value.len == 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    const struct head *head = reading->head;

    if (reading->names == head->field_count || !last_value_seen(reading) ||
        !same_place(head->fields[reading->names].name, at, len)) {
        return DIFFERS;
    }
    reading->names++;
    return GO_ON;
}

/* llhttp leaves white space after a value in place. */
static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct span theirs = span_trim(span_of(at, len));

    if (reading->names == 0 || reading->values == reading->names ||
        !same_place(reading->head->fields[reading->names - 1].value, theirs.at,
                    theirs.len)) {
        return DIFFERS;
    }
    reading->values = reading->names;
    return GO_ON;
}

static bool same_framing(const llhttp_t *parser, const struct announced *announced)
{
    bool chunked = (parser->flags & F_CHUNKED) != 0;
    bool sized = (parser->flags & F_CONTENT_LENGTH) != 0;

    return chunked == announced->chunked && sized == announced->sized &&
           (!sized || parser->content_length == announced->length);
}

static int on_headers_complete(llhttp_t *parser)
{
    struct reading *reading = parser->data;

    reading->complete = reading->names == reading->head->field_count &&
                        last_value_seen(reading) && parser->http_major == 1 &&
                        parser->http_minor == reading->head->minor &&
                        same_framing(parser, reading->announced);
    return reading->complete ? HPE_PAUSED : DIFFERS;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_status = on_status,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

static bool sees(llhttp_t *parser, struct span raw, struct reading *reading)
{
    parser->data = reading;
    return llhttp_execute(parser, raw.at, raw.len) == HPE_PAUSED && reading->complete &&
           llhttp_get_error_pos(parser) == raw.at + raw.len;
}

bool parser_sees_request(struct span raw, const struct head *head,
                         const struct announced *announced)
{
    struct reading reading = { .head = head, .announced = announced };
    llhttp_t parser;

    llhttp_init(&parser, HTTP_REQUEST, &settings);
    return sees(&parser, raw, &reading) && parser.method == methods[head->method] &&
           reading.start_line;
}

bool parser_sees_response(struct span raw, const struct head *head,
                          const struct announced *announced)
{
    struct reading reading = { .head = head, .announced = announced };
    llhttp_t parser;

    llhttp_init(&parser, HTTP_RESPONSE, &settings);
    return sees(&parser, raw, &reading) && parser.status_code == head->status &&
           (reading.start_line || head->reason.len == 0);
}
