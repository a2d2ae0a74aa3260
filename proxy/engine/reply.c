#include "proxy/engine/reply.h"

#include "filters/registry.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/worker.h"

enum {
    REFUSAL_LINES_MAX = 1024, /* header lines of a dialect's own */
    REFUSAL_BODY_MAX = 8 * 1024
};

static void put_status(struct text *out, int status, struct span reason)
{
    text_put(out, SPAN("HTTP/1.1 "));
    text_put_u64(out, (uint64_t)status);
    text_put_char(out, ' ');
    text_put(out, reason);
    text_put(out, SPAN("\r\n"));
}

static void put_line(struct text *out, struct span name, struct span value)
{
    text_put(out, name);
    text_put(out, SPAN(": "));
    text_put(out, value);
    text_put(out, SPAN("\r\n"));
}

static void put_exchange_id(struct text *out, const struct exchange *x)
{
    char id[ENTRY_ID_SIZE];

    if (x != NULL && x->entry != NULL) {
        entry_id_text(x->entry->id, id);
        put_line(out, SPAN("assay-exchange-id"), span_of(id, sizeof id - 1));
    }
}

/* ---- refusals -------------------------------------------------------------------- */

static struct span reason_of(int status)
{
    switch (status) {
    case 400:
        return SPAN("Bad Request");
    case 401:
        return SPAN("Unauthorized");
    case 402:
        return SPAN("Payment Required");
    case 403:
        return SPAN("Forbidden");
    case 404:
        return SPAN("Not Found");
    case 405:
        return SPAN("Method Not Allowed");
    case 408:
        return SPAN("Request Timeout");
    case 413:
        return SPAN("Content Too Large");
    case 414:
        return SPAN("URI Too Long");
    case 415:
        return SPAN("Unsupported Media Type");
    case 417:
        return SPAN("Expectation Failed");
    case 424:
        return SPAN("Failed Dependency");
    case 426:
        return SPAN("Upgrade Required");
    case 429:
        return SPAN("Too Many Requests");
    case 431:
        return SPAN("Request Header Fields Too Large");
    case 502:
        return SPAN("Bad Gateway");
    case 503:
        return SPAN("Service Unavailable");
    case 504:
        return SPAN("Gateway Timeout");
    case 505:
        return SPAN("HTTP Version Not Supported");
    default:
        return SPAN("Refused");
    }
}

/* As far as it is known: the body may not have been read as far as where it says so. */
static bool asks_for_stream(const struct exchange *x)
{
    return x->facts.stream || (x->route->flags & ROUTE_STREAM) != 0;
}

static int refuse(struct client *client, const struct exchange *x,
                  const struct dialect *dialect, enum fault fault, bool close)
{
    const struct fault_row *row = fault_row(fault);
    char lines_memory[REFUSAL_LINES_MAX], body_memory[REFUSAL_BODY_MAX];
    char head_memory[REFUSAL_LINES_MAX * 2], id[ENTRY_ID_SIZE] = "";
    struct text lines = text_over(lines_memory, sizeof lines_memory);
    struct text body = text_over(body_memory, sizeof body_memory);
    struct text head = text_over(head_memory, sizeof head_memory);
    struct refusal refusal = {
        .fault = fault,
        .status = dialect->refusal_status == NULL ? row->status
                                                  : dialect->refusal_status(fault),
        .words = x != NULL && x->refusal_words.len > 0 ? x->refusal_words
                                                       : span_text(row->words),
        .stream = x != NULL && asks_for_stream(x),
        .events = x != NULL && x->asks_for_events,
        .retry_after_s = x == NULL ? 0 : x->retry_after_s,
    };

    if (x != NULL && x->entry != NULL) {
        entry_id_text(x->entry->id, id);
    }
    refusal.id = span_text(id);
    dialect->refuse(&refusal, &lines, &body);
    put_status(&head, refusal.status, reason_of(refusal.status));
    put_line(&head, SPAN("content-type"), SPAN("application/json"));
    text_put(&head, SPAN("content-length: "));
    text_put_u64(&head, body.len);
    text_put(&head, SPAN("\r\n"));
    text_put(&head, row->retry ? SPAN("x-should-retry: true\r\n")
                               : SPAN("x-should-retry: false\r\n"));
    if (x != NULL && x->retry_after_s > 0) {
        text_put(&head, SPAN("retry-after: "));
        text_put_u64(&head, x->retry_after_s);
        text_put(&head, SPAN("\r\n"));
    }
    if (fault == FAULT_HANDSHAKE) {
        text_put(&head, SPAN("upgrade: websocket\r\nconnection: upgrade\r\n"
                             "sec-websocket-version: 13\r\n"));
    }
    text_put(&head, text_span(&lines));
    put_exchange_id(&head, x);
    text_put(&head, close ? SPAN("connection: close\r\n\r\n") : SPAN("\r\n"));
    CHECK(!head.full && !body.full);
    stream_send_copy(&client->stream, text_span(&head));
    if (x == NULL || x->method != METHOD_HEAD) {
        stream_send_copy(&client->stream, text_span(&body));
    }
    return refusal.status;
}

void reply_refuse_head(struct client *client, enum fault fault)
{
    const struct dialect_route *route;

    metrics_add(client->worker->metrics, METRIC_REFUSED_HEADS, 1);
    if (!client->stream.handshaking) {
        refuse(client, NULL, registry_unknown(&route), fault, true);
    }
    client_exchange_over(client, false);
}

/* A path that no dialect claims is refused in the shape of its provider's family. */
static const struct dialect *shape_of(const struct exchange *x)
{
    const struct dialect_route *route;

    if (x->dialect == registry_unknown(&route) && x->origin != NULL) {
        return x->origin->shape;
    }
    return x->dialect;
}

int reply_refuse(struct exchange *x, enum fault fault)
{
    int status = refuse(x->client, x, shape_of(x), fault, !x->keep_alive);

    stream_flush(&x->client->stream);
    return status;
}

/* ---- WebSockets ------------------------------------------------------------------ */

static void put_member(struct text *out, struct span name, struct span value)
{
    text_put(out, name);
    text_put_json(out, value);
}

/* What a refusal over plain HTTP says in its head. */
static void put_event_headers(const struct exchange *x, const struct fault_row *row,
                              struct text *out)
{
    text_put(out, row->retry ? SPAN(",\"headers\":{\"x-should-retry\":\"true\"")
                             : SPAN(",\"headers\":{\"x-should-retry\":\"false\""));
    if (x->retry_after_s > 0) {
        text_put(out, SPAN(",\"retry-after\":\""));
        text_put_u64(out, x->retry_after_s);
        text_put(out, SPAN("\""));
    }
    text_put(out, SPAN("}"));
}

void reply_error_event(const struct exchange *x, enum fault fault, struct span lane,
                       struct text *event)
{
    const struct fault_row *row = fault_row(fault);
    char lines_memory[REFUSAL_LINES_MAX], body_memory[REFUSAL_BODY_MAX];
    struct text lines = text_over(lines_memory, sizeof lines_memory);
    struct text body = text_over(body_memory, sizeof body_memory);
    char id[ENTRY_ID_SIZE];
    struct refusal refusal = {
        .fault = fault,
        .status = row->status,
        .words = x->refusal_words.len > 0 ? x->refusal_words : span_text(row->words),
        .stream = true,
    };

    entry_id_text(x->entry == NULL ? 0 : x->entry->id, id);
    refusal.id = span_text(id);
    x->dialect->refuse(&refusal, &lines, &body);
    CHECK(!body.full && body.len > 1 && body.at[0] == '{');
    text_put(event, SPAN("{\"type\":\"error\",\"status\":"));
    text_put_u64(event, (uint64_t)refusal.status);
    put_member(event, SPAN(",\"event_id\":"), refusal.id);
    if (lane.len > 0) {
        put_member(event, SPAN(",\"stream_id\":"), lane);
    }
    put_event_headers(x, row, event);
    text_put_char(event, ',');
    text_put(event, span_after(text_span(&body), 1));
    CHECK(!event->full);
}

/* ---- responses on their way through ---------------------------------------------- */

/* Fields of a response that end here: framing is written anew, cookies are the
 * gateway's account's, and Alt-Svc would lead clients around the meter. */
static const bool ending[FIELD_NAME_COUNT] = {
    [FIELD_CONNECTION] = true, [FIELD_CONTENT_LENGTH] = true,
    [FIELD_KEEP_ALIVE] = true, [FIELD_SET_COOKIE] = true,
    [FIELD_TRAILER] = true,    [FIELD_TRANSFER_ENCODING] = true,
    [FIELD_UPGRADE] = true,
};

static bool ends_here(const struct field *field)
{
    return field->hop_by_hop || ending[field->id] ||
           ((field->name.at[0] | 0x20) == 'a' &&
            (span_equal_nocase(field->name, SPAN("alt-svc")) ||
             span_equal_nocase(field->name, SPAN("assay-exchange-id")) ||
             span_starts_nocase(field->name, SPAN("assay-quota-"))));
}

/* Fields of the handshake that are written anew, from what they mean. */
static bool is_agreement(const struct field *field)
{
    return field->id == FIELD_SEC_WEBSOCKET_ACCEPT ||
           field->id == FIELD_SEC_WEBSOCKET_EXTENSIONS ||
           field->id == FIELD_SEC_WEBSOCKET_PROTOCOL;
}

/* The line of a field as it came, if put_line() would write the same; else empty. */
static struct span plain_line(const struct field *field)
{
    size_t colon = field->name.len;
    const char *value = field->name.at + colon + 2;

    if (field->value.at != value || field->name.at[colon + 1] != ' ' ||
        value[field->value.len] != '\r') {
        return span_of(NULL, 0);
    }
    return span_of(field->name.at, colon + 2 + field->value.len + 2);
}

/* The status line as it came, if put_status() would write the same; else empty. */
static struct span plain_status(const struct head *head)
{
    const size_t front = sizeof "HTTP/1.1 200 " - 1;

    return head->minor == 1 && head->reason.len > 0
               ? span_of(head->reason.at - front, front + head->reason.len + 2)
               : span_of(NULL, 0);
}

/* Writes the fields that go on. Lines that need not change go in one piece as long as
 * they lie together, behind `run`, which lies there, too. */
static void put_fields(struct text *out, struct span run, const struct head *head,
                       bool switching)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        struct span line;

        if (ends_here(field) || (switching && is_agreement(field))) {
            continue;
        }
        line = plain_line(field);
        if (line.len > 0 && line.at == run.at + run.len) {
            run.len += line.len;
            continue;
        }
        text_put(out, run);
        run = line;
        if (line.len == 0) {
            put_line(out, field->name, field->value);
        }
    }
    text_put(out, run);
}

static void put_framing(struct text *out, const struct exchange *x,
                        const struct head *head)
{
    const struct field *length = head_field(head, FIELD_CONTENT_LENGTH);

    switch (x->response.sink) {
    case FRAMING_LENGTH:
        text_put(out, SPAN("content-length: "));
        text_put_u64(out, head->length);
        text_put(out, SPAN("\r\n"));
        break;
    case FRAMING_CHUNKED:
        text_put(out, SPAN("transfer-encoding: chunked\r\n"));
        break;
    case FRAMING_NONE:
        /* What a GET would have had (RFC 9110, sections 8.6 and 15.4.5). */
        if (length != NULL && (x->method == METHOD_HEAD || head->status == 304)) {
            put_line(out, SPAN("content-length"), length->value);
        }
        break;
    case FRAMING_CLOSE:
        break;
    }
}

void reply_switch(struct exchange *x, const struct head *head,
                  const struct handshake_terms *terms)
{
    struct text out = text_over(x->worker->built, WORKER_BUILT_BYTES);

    put_status(&out, (int)head->status, SPAN("Switching Protocols"));
    handshake_put_response(&x->tunnel->handshake, terms, &out);
    put_fields(&out, span_of(NULL, 0), head, true);
    put_exchange_id(&out, x);
    text_put(&out, SPAN("\r\n"));
    CHECK(!out.full);
    stream_send_copy(&x->client->stream, text_span(&out));
    stream_flush(&x->client->stream);
}

void reply_head(struct exchange *x, const struct head *head)
{
    struct text out = text_over(x->worker->built, WORKER_BUILT_BYTES);
    struct span status = plain_status(head);

    if (status.len == 0) {
        put_status(&out, (int)head->status, head->reason);
    }
    put_fields(&out, status, head, false);
    put_framing(&out, x, head);
    put_exchange_id(&out, x);
    reserve_put_warning(x, &out);
    text_put(&out, x->keep_alive ? SPAN("\r\n") : SPAN("connection: close\r\n\r\n"));
    CHECK(!out.full); /* a response head is at most HEAD_SIZE_MAX */
    stream_send_copy(&x->client->stream, text_span(&out));
}
