#include "proxy/http/head.h"

#include "proxy/http/head_check.h"
#include "proxy/http/parser.h"

#include <stdatomic.h>

enum {
    CONNECTION_OPTIONS_MAX = 32, /* of all Connection fields of a head */
    HOST_MAX = 255
};

/* What the walk over the fields of one head has found so far. */
struct walk {
    struct head *head;
    bool request;
    struct announced announced;
    unsigned hosts;
    unsigned options; /* of Connection */
    bool close;       /* Connection: close */
    bool expects;     /* Expect: 100-continue */
};

static atomic_uint_fast64_t disagreements;

uint64_t head_disagreements(void)
{
    return atomic_load_explicit(&disagreements, memory_order_relaxed);
}

const struct field *head_field(const struct head *head, enum field_name id)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            return &head->fields[i];
        }
    }
    return NULL;
}

struct span method_text(enum method method)
{
    static const struct span texts[] = {
        [METHOD_GET] = SPAN_INIT("GET"),         [METHOD_HEAD] = SPAN_INIT("HEAD"),
        [METHOD_POST] = SPAN_INIT("POST"),       [METHOD_PUT] = SPAN_INIT("PUT"),
        [METHOD_PATCH] = SPAN_INIT("PATCH"),     [METHOD_DELETE] = SPAN_INIT("DELETE"),
        [METHOD_OPTIONS] = SPAN_INIT("OPTIONS"),
    };

    return texts[method];
}

/* ---- Host ------------------------------------------------------------------------ */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool all_in(struct span s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.at[i]) && strchr(more, s.at[i]) == NULL) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_port(struct span s)
{
    uint64_t port;

    return s.len <= 5 && span_decimal(s, &port) && port > 0 && port <= UINT16_MAX;
}

/* uri-host [ ":" port ] (RFC 9110, section 7.2), where uri-host is a name as DNS and
 * container networks have it, an IPv4 address or a bracketed IPv6 address. */
static bool is_host(struct span value)
{
    struct span host = value;
    struct span port;

    if (value.len == 0 || value.len > HOST_MAX) {
        return false;
    }
    if (value.at[0] == '[') {
        host.len = span_find(value, ']');
        if (host.len == value.len || !all_in(span_after(host, 1), ":.")) {
            return false;
        }
        host.len++;
    } else {
        host.len = span_find(value, ':');
        if (!all_in(host, "-._~")) {
            return false;
        }
    }
    port = span_after(value, host.len);
    return port.len == 0 || (port.at[0] == ':' && is_port(span_after(port, 1)));
}

/* ---- Connection ------------------------------------------------------------------ */

static const bool hop_by_hop[FIELD_NAME_COUNT] = {
    [FIELD_CONNECTION] = true,
    [FIELD_KEEP_ALIVE] = true,
    [FIELD_PROXY_AUTHENTICATE] = true,
    [FIELD_PROXY_AUTHORIZATION] = true,
    [FIELD_PROXY_CONNECTION] = true,
    [FIELD_TE] = true,
    [FIELD_TRAILER] = true,
    [FIELD_TRANSFER_ENCODING] = true,
    [FIELD_UPGRADE] = true,
};

/* Fields that Connection may not take away: they frame, identify or version the call. A
 * row that ends in '-' stands for every name that starts so. */
static const struct span end_to_end[] = {
    SPAN_INIT("accept"),      SPAN_INIT("anthropic-"),   SPAN_INIT("cache-control"),
    SPAN_INIT("content-"),    SPAN_INIT("date"),         SPAN_INIT("idempotency-key"),
    SPAN_INIT("openai-"),     SPAN_INIT("originator"),   SPAN_INIT("session_id"),
    SPAN_INIT("traceparent"), SPAN_INIT("tracestate"),   SPAN_INIT("x-amz-"),
    SPAN_INIT("x-api-"),      SPAN_INIT("x-assay-"),     SPAN_INIT("x-claude-"),
    SPAN_INIT("x-goog-"),     SPAN_INIT("x-request-id"), SPAN_INIT("x-stainless-"),
};

static bool is_end_to_end(struct span name)
{
    enum field_name id = field_name_of(name);

    if (id != FIELD_OTHER) {
        return !hop_by_hop[id] || id == FIELD_TRANSFER_ENCODING;
    }
    for (size_t i = 0; i < sizeof(end_to_end) / sizeof(end_to_end[0]); i++) {
        struct span row = end_to_end[i];

        if (row.at[row.len - 1] == '-' ? span_starts_nocase(name, row)
                                       : span_equal_nocase(name, row)) {
            return true;
        }
    }
    return false;
}

static void mark_hop_by_hop(struct head *head, struct span name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct field *field = &head->fields[i];

        field->hop_by_hop = field->hop_by_hop || span_equal_nocase(field->name, name);
    }
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!head_token_char[(unsigned char)s.at[i]]) {
            return false;
        }
    }
    return s.len > 0;
}

static enum fault judge_option(struct walk *walk, struct span option)
{
    if (++walk->options > CONNECTION_OPTIONS_MAX || !is_token(option)) {
        return FAULT_BAD_HEAD;
    }
    if (span_equal_nocase(option, SPAN("close"))) {
        walk->close = true;
    } else if (is_end_to_end(option)) {
        return walk->request ? FAULT_HOP_BY_HOP : FAULT_NONE;
    } else if (!span_equal_nocase(option, SPAN("keep-alive"))) {
        mark_hop_by_hop(walk->head, option);
    }
    return FAULT_NONE;
}

static enum fault judge_connection(struct walk *walk, struct span value)
{
    struct span option;
    enum fault fault = FAULT_NONE;

    while (fault == FAULT_NONE && span_next(&value, ',', &option)) {
        option = span_trim(option);
        if (option.len > 0) {
            fault = judge_option(walk, option);
        }
    }
    return fault;
}

/* ---- the other fields that decide something -------------------------------------- */

static enum fault judge_host(struct walk *walk, struct span value)
{
    return walk->hosts++ == 0 && is_host(value) ? FAULT_NONE : FAULT_BAD_HOST;
}

static enum fault judge_content_length(struct walk *walk, struct span value)
{
    struct announced *announced = &walk->announced;

    if (announced->sized || !head_content_length(value, &announced->length)) {
        return FAULT_BAD_FRAMING;
    }
    announced->sized = true;
    return FAULT_NONE;
}

static enum fault judge_transfer_encoding(struct walk *walk, struct span value)
{
    if (walk->announced.chunked || !span_equal_nocase(value, SPAN("chunked"))) {
        return FAULT_BAD_FRAMING;
    }
    walk->announced.chunked = true;
    return FAULT_NONE;
}

static enum fault judge_expect(struct walk *walk, struct span value)
{
    if (walk->expects || !span_equal_nocase(value, SPAN("100-continue"))) {
        return FAULT_EXPECTATION;
    }
    walk->expects = true;
    return FAULT_NONE;
}

static enum fault judge_upgrade(struct walk *walk, struct span value)
{
    (void)value;
    walk->head->upgrade = true;
    return FAULT_NONE;
}

/* What a field of that name has to satisfy; nothing if the pointer is NULL. */
struct rule {
    enum fault (*judge)(struct walk *walk, struct span value);
};

static const struct rule request_rules[FIELD_NAME_COUNT] = {
    [FIELD_CONNECTION] = { judge_connection },
    [FIELD_CONTENT_LENGTH] = { judge_content_length },
    [FIELD_EXPECT] = { judge_expect },
    [FIELD_HOST] = { judge_host },
    [FIELD_TRANSFER_ENCODING] = { judge_transfer_encoding },
    [FIELD_UPGRADE] = { judge_upgrade },
};

static const struct rule response_rules[FIELD_NAME_COUNT] = {
    [FIELD_CONNECTION] = { judge_connection },
    [FIELD_CONTENT_LENGTH] = { judge_content_length },
    [FIELD_TRANSFER_ENCODING] = { judge_transfer_encoding },
    [FIELD_UPGRADE] = { judge_upgrade },
};

static enum fault walk_fields(struct walk *walk, const struct rule *rules)
{
    struct head *head = walk->head;

    head->upgrade = false;
    for (size_t i = 0; i < head->field_count; i++) {
        head->fields[i].hop_by_hop = hop_by_hop[head->fields[i].id];
    }
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        const struct rule *rule = &rules[field->id];
        enum fault fault = FAULT_NONE;

        if (rule->judge != NULL) {
            fault = rule->judge(walk, field->value);
        } else if (field->id == FIELD_OTHER && head_framing_lookalike(field->name)) {
            fault = FAULT_BAD_FRAMING;
        }
        if (fault != FAULT_NONE) {
            return fault;
        }
    }
    return walk->announced.chunked && (walk->announced.sized || head->minor == 0)
               ? FAULT_BAD_FRAMING
               : FAULT_NONE;
}

/* ---- requests -------------------------------------------------------------------- */

/* origin-form, or "*" with OPTIONS (RFC 9112, section 3.2); what the path may hold is
 * judged by target_parse(). */
static enum fault judge_target(const struct head *head)
{
    struct span target = head->target;

    if (target.len > HEAD_TARGET_MAX) {
        return FAULT_TARGET_TOO_LONG;
    }
    if (span_equal(target, SPAN("*"))) {
        return head->method == METHOD_OPTIONS ? FAULT_NONE : FAULT_BAD_TARGET;
    }
    if (target.at[0] != '/' || span_starts(target, SPAN("//"))) {
        return FAULT_BAD_TARGET;
    }
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.at[i];

        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return FAULT_BAD_TARGET;
        }
    }
    return FAULT_NONE;
}

static bool may_have_body(enum method method, bool chunked)
{
    return method == METHOD_POST || method == METHOD_PUT || method == METHOD_PATCH ||
           (method == METHOD_DELETE && !chunked);
}

static enum fault frame_request(struct head *head, const struct announced *announced)
{
    bool body = may_have_body(head->method, announced->chunked);

    head->length = 0;
    head->framing = FRAMING_NONE;
    if (!body) {
        return announced->chunked || announced->length > 0 ? FAULT_BAD_FRAMING
                                                           : FAULT_NONE;
    }
    if (announced->chunked) {
        head->framing = FRAMING_CHUNKED;
    } else if (announced->sized) {
        head->framing = FRAMING_LENGTH;
        head->length = announced->length;
    }
    return FAULT_NONE;
}

static bool awaits_body(const struct head *head)
{
    return head->framing == FRAMING_CHUNKED || head->length > 0;
}

static enum fault disagree(enum fault fault)
{
    atomic_fetch_add_explicit(&disagreements, 1, memory_order_relaxed);
    return fault;
}

enum fault head_parse_request(struct span raw, struct head *head)
{
    struct walk walk = { .head = head, .request = true };
    enum fault fault = head_check_request(raw, head);

    if (fault == FAULT_NONE) {
        fault = judge_target(head);
    }
    if (fault == FAULT_NONE) {
        fault = walk_fields(&walk, request_rules);
    }
    if (fault == FAULT_NONE) {
        fault = walk.hosts == 1 ? frame_request(head, &walk.announced) : FAULT_BAD_HOST;
    }
    if (fault != FAULT_NONE) {
        return fault;
    }
    head->status = 0;
    head->reason = span_of(NULL, 0);
    head->keep_alive = head->minor == 1 && !walk.close;
    head->expect_continue = walk.expects && head->minor == 1 && awaits_body(head);
    return parser_sees_request(raw, head, &walk.announced)
               ? FAULT_NONE
               : disagree(FAULT_PARSERS_DISAGREE);
}

/* ---- responses ------------------------------------------------------------------- */

/* RFC 9112, section 6.3, items 1, 4, 6 and 8. */
static void frame_response(struct head *head, enum method method,
                           const struct announced *announced)
{
    head->length = 0;
    if (method == METHOD_HEAD || head->status < 200 || head->status == 204 ||
        head->status == 304) {
        head->framing = FRAMING_NONE;
    } else if (announced->chunked) {
        head->framing = FRAMING_CHUNKED;
    } else if (announced->sized) {
        head->framing = FRAMING_LENGTH;
        head->length = announced->length;
    } else {
        head->framing = FRAMING_CLOSE;
    }
}

/* Only for HEAD and 304 may a body be announced that does not come. */
static bool announces_in_vain(const struct head *head,
                              const struct announced *announced)
{
    return (head->status < 200 || head->status == 204) &&
           (announced->chunked || announced->length > 0);
}

enum fault head_parse_response(struct span raw, enum method method, struct head *head)
{
    struct walk walk = { .head = head };

    if (head_check_response(raw, head) != FAULT_NONE ||
        walk_fields(&walk, response_rules) != FAULT_NONE) {
        return FAULT_UPSTREAM_HEAD;
    }
    frame_response(head, method, &walk.announced);
    head->method = method;
    head->target = span_of(NULL, 0);
    head->expect_continue = false;
    head->keep_alive = head->minor == 1 && !walk.close &&
                       head->framing != FRAMING_CLOSE &&
                       !announces_in_vain(head, &walk.announced);
    return parser_sees_response(raw, head, &walk.announced)
               ? FAULT_NONE
               : disagree(FAULT_UPSTREAM_HEAD);
}
