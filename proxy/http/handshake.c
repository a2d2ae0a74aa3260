#include "proxy/http/handshake.h"

#include "proxy/base/digit.h"

#include <openssl/evp.h>

enum {
    KEY_TEXT = 24, /* base64 of 16 bytes */
    BITS_LEAST = 8,
    BITS_MOST = 15
};

static const struct span deflate_name = SPAN_INIT("permessage-deflate");
static const struct span credential_prefix = SPAN_INIT("openai-insecure-api-key.");

/* ---- fields ---------------------------------------------------------------------- */

static const struct field *only_field(const struct head *head, enum field_name id)
{
    const struct field *found = NULL;

    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            if (found != NULL) {
                return NULL;
            }
            found = &head->fields[i];
        }
    }
    return found;
}

/* Steps through the elements of all fields of a name: "a, b" in one is "a" and "b" in
 * two. */
struct elements {
    const struct head *head;
    enum field_name id;
    size_t field;
    struct span rest;
    bool within;
};

static bool next_element(struct elements *each, struct span *element)
{
    const struct head *head = each->head;

    for (;;) {
        while (each->within && span_next(&each->rest, ',', element)) {
            *element = span_trim(*element);
            if (element->len > 0) {
                return true;
            }
        }
        each->within = false;
        while (each->field < head->field_count &&
               head->fields[each->field].id != each->id) {
            each->field++;
        }
        if (each->field == head->field_count) {
            return false;
        }
        each->rest = head->fields[each->field++].value;
        each->within = true;
    }
}

static bool has_element(const struct head *head, enum field_name id, struct span wanted)
{
    struct elements each = { .head = head, .id = id };
    struct span element;

    while (next_element(&each, &element)) {
        if (span_equal_nocase(element, wanted)) {
            return true;
        }
    }
    return false;
}

static bool field_is(const struct head *head, enum field_name id, struct span wanted)
{
    const struct field *field = only_field(head, id);

    return field != NULL && span_equal_nocase(field->value, wanted);
}

bool handshake_asked(const struct head *head)
{
    return head->upgrade && has_element(head, FIELD_UPGRADE, SPAN("websocket"));
}

/* ---- the key --------------------------------------------------------------------- */

/* 16 bytes in base64: 22 characters, of which the last has no bits to
 * spare, and "==". */
static bool is_key(struct span key)
{
    if (key.len != KEY_TEXT || !span_ends(key, SPAN("==")) ||
        memchr("AQgw", key.at[KEY_TEXT - 3], 4) == NULL) {
        return false;
    }
    for (size_t i = 0; i < KEY_TEXT - 2; i++) {
        if (base64_digit(key.at[i], BASE64_PLAIN) < 0) {
            return false;
        }
    }
    return true;
}

/* Section 4.2.2, item 5.4. */
static void answer_key(struct span key, char accept[HANDSHAKE_ACCEPT])
{
    unsigned char digest[EVP_MAX_MD_SIZE], encoded[HANDSHAKE_ACCEPT + 1];
    char memory[KEY_TEXT + 40];
    struct text text = text_over(memory, sizeof(memory));
    unsigned length = 0;

    text_put(&text, key);
    text_put(&text, SPAN("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    CHECK(!text.full);
    CHECK(EVP_Digest(memory, text.len, digest, &length, EVP_sha1(), NULL) == 1);
    CHECK(EVP_EncodeBlock(encoded, digest, (int)length) == HANDSHAKE_ACCEPT);
    memcpy(accept, encoded, HANDSHAKE_ACCEPT);
}

/* ---- subprotocols ---------------------------------------------------------------- */

struct span handshake_credential(const struct head *head)
{
    struct elements each = { .head = head, .id = FIELD_SEC_WEBSOCKET_PROTOCOL };
    struct span element;

    while (next_element(&each, &element)) {
        if (span_starts(element, credential_prefix)) {
            return span_after(element, credential_prefix.len);
        }
    }
    return span_of(NULL, 0);
}

/* A provider's own account is none of its client's business. */
static bool names_account(struct span protocol)
{
    return span_starts(protocol, credential_prefix) ||
           span_starts(protocol, SPAN("openai-organization.")) ||
           span_starts(protocol, SPAN("openai-project."));
}

static bool keep_protocols(const struct head *head, bool keep,
                           struct handshake *handshake)
{
    struct text out = text_over(handshake->protocols, sizeof(handshake->protocols));
    struct elements each = { .head = head, .id = FIELD_SEC_WEBSOCKET_PROTOCOL };
    struct span element;

    while (next_element(&each, &element)) {
        if (keep || !names_account(element)) {
            text_put(&out, out.len > 0 ? SPAN(", ") : SPAN(""));
            text_put(&out, element);
        }
    }
    handshake->protocols_len = (uint16_t)out.len;
    return !out.full;
}

static bool is_offered(const struct handshake *handshake, struct span protocol)
{
    struct span rest = span_of(handshake->protocols, handshake->protocols_len);
    struct span offered;

    while (span_next(&rest, ',', &offered)) {
        if (span_equal(span_trim(offered), protocol)) {
            return true;
        }
    }
    return false;
}

/* ---- permessage-deflate ---------------------------------------------------------- */

/* The parameters of one offer or answer (RFC 7692, section 7.1). */
struct deflate_parameters {
    bool server_forgets, client_forgets; /* no context takeover */
    bool server_named, client_named;     /* the window sizes */
    uint8_t server_bits, client_bits;    /* 0: named without a value */
};

static bool read_bits(struct span value, bool *named, uint8_t *bits)
{
    uint64_t number = 0;

    if (*named) {
        return false;
    }
    *named = true;
    if (value.at == NULL) {
        return true;
    }
    if (!span_decimal(value, &number) || value.len > 2 || value.at[0] == '0' ||
        number < BITS_LEAST || number > BITS_MOST) {
        return false;
    }
    *bits = (uint8_t)number;
    return true;
}

static bool set_once(struct span value, bool *flag)
{
    bool first = !*flag && value.at == NULL;

    *flag = true;
    return first;
}

static bool read_parameter(struct span parameter, struct deflate_parameters *read)
{
    size_t equals = span_find(parameter, '=');
    struct span name = span_trim(span_of(parameter.at, equals));
    struct span value = { NULL, 0 };

    if (equals < parameter.len) {
        value = span_trim(span_after(parameter, equals + 1));
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"') {
            value = span_of(value.at + 1, value.len - 2);
        }
    }
    if (span_equal_nocase(name, SPAN("server_no_context_takeover"))) {
        return set_once(value, &read->server_forgets);
    }
    if (span_equal_nocase(name, SPAN("client_no_context_takeover"))) {
        return set_once(value, &read->client_forgets);
    }
    if (span_equal_nocase(name, SPAN("server_max_window_bits"))) {
        return value.at != NULL &&
               read_bits(value, &read->server_named, &read->server_bits);
    }
    if (span_equal_nocase(name, SPAN("client_max_window_bits"))) {
        return read_bits(value, &read->client_named, &read->client_bits);
    }
    return false;
}

/* Reads "permessage-deflate; ..."; false if it is another extension or
 * makes no sense. */
static bool read_deflate(struct span element, struct deflate_parameters *read)
{
    struct span part;

    *read = (struct deflate_parameters){ 0 };
    if (!span_next(&element, ';', &part) ||
        !span_equal_nocase(span_trim(part), deflate_name)) {
        return false;
    }
    while (span_next(&element, ';', &part)) {
        if (!read_parameter(span_trim(part), read)) {
            return false;
        }
    }
    return true;
}

static void put_bits(struct text *out, struct span name, uint8_t bits)
{
    text_put(out, SPAN("; "));
    text_put(out, name);
    if (bits > 0) {
        text_put_char(out, '=');
        text_put_u64(out, bits);
    }
}

static void put_deflate(struct text *out, const struct deflate_parameters *parameters)
{
    text_put(out, deflate_name);
    text_put(out, SPAN("; client_no_context_takeover"));
    if (parameters->server_forgets) {
        text_put(out, SPAN("; server_no_context_takeover"));
    }
    if (parameters->server_named) {
        put_bits(out, SPAN("server_max_window_bits"), parameters->server_bits);
    }
    if (parameters->client_named) {
        put_bits(out, SPAN("client_max_window_bits"), parameters->client_bits);
    }
}

static void note_offers(const struct head *head, struct handshake *handshake)
{
    struct elements each = { .head = head, .id = FIELD_SEC_WEBSOCKET_EXTENSIONS };
    struct deflate_parameters offer;
    struct span element;

    while (next_element(&each, &element)) {
        if (read_deflate(element, &offer)) {
            handshake->deflate = true;
            handshake->client_bits |= offer.client_named;
        }
    }
}

static void put_offers(const struct head *head, struct text *out)
{
    struct elements each = { .head = head, .id = FIELD_SEC_WEBSOCKET_EXTENSIONS };
    struct deflate_parameters offer;
    struct span element;
    bool first = true;

    text_put(out, SPAN("sec-websocket-extensions: "));
    while (next_element(&each, &element)) {
        if (read_deflate(element, &offer)) {
            text_put(out, first ? SPAN("") : SPAN(", "));
            put_deflate(out, &offer);
            first = false;
        }
    }
    text_put(out, SPAN("\r\n"));
}

/* What the provider chose of the extensions; false if it was not free to. */
static bool judge_extensions(const struct handshake *handshake, const struct head *head,
                             struct handshake_terms *terms)
{
    struct elements each = { .head = head, .id = FIELD_SEC_WEBSOCKET_EXTENSIONS };
    struct deflate_parameters answer;
    struct span element;

    while (next_element(&each, &element)) {
        if (terms->deflate || !handshake->deflate || !read_deflate(element, &answer) ||
            (answer.client_named &&
             (!handshake->client_bits || answer.client_bits == 0))) {
            return false;
        }
        terms->deflate = true;
        terms->server_keeps = !answer.server_forgets;
        terms->server_bits = answer.server_bits;
        terms->client_bits = answer.client_bits;
    }
    return true;
}

/* ---- requests -------------------------------------------------------------------- */

enum fault handshake_request(const struct head *head, bool keep,
                             struct handshake *handshake)
{
    const struct field *key = only_field(head, FIELD_SEC_WEBSOCKET_KEY);

    *handshake = (struct handshake){ .deflate = false };
    if (head->method != METHOD_GET || head->minor != 1 || !head->keep_alive ||
        !field_is(head, FIELD_UPGRADE, SPAN("websocket")) ||
        !has_element(head, FIELD_CONNECTION, SPAN("upgrade")) ||
        !field_is(head, FIELD_SEC_WEBSOCKET_VERSION, SPAN("13")) || key == NULL ||
        !is_key(key->value) || !keep_protocols(head, keep, handshake)) {
        return FAULT_HANDSHAKE;
    }
    answer_key(key->value, handshake->accept);
    note_offers(head, handshake);
    return FAULT_NONE;
}

static void put_switch(struct text *out)
{
    text_put(out, SPAN("connection: Upgrade\r\nupgrade: websocket\r\n"));
}

static void put_line(struct text *out, struct span name, struct span value)
{
    text_put(out, name);
    text_put(out, value);
    text_put(out, SPAN("\r\n"));
}

void handshake_put_request(const struct handshake *handshake, const struct head *head,
                           struct text *out)
{
    put_switch(out);
    text_put(out, SPAN("sec-websocket-version: 13\r\n"));
    put_line(out, SPAN("sec-websocket-key: "),
             head_field(head, FIELD_SEC_WEBSOCKET_KEY)->value);
    if (handshake->protocols_len > 0) {
        put_line(out, SPAN("sec-websocket-protocol: "),
                 span_of(handshake->protocols, handshake->protocols_len));
    }
    if (handshake->deflate) {
        put_offers(head, out);
    }
}

/* ---- responses ------------------------------------------------------------------- */

bool handshake_response(const struct handshake *handshake, const struct head *head,
                        struct handshake_terms *terms)
{
    const struct field *accept = only_field(head, FIELD_SEC_WEBSOCKET_ACCEPT);
    const struct field *named = head_field(head, FIELD_SEC_WEBSOCKET_PROTOCOL);
    const struct field *protocol = only_field(head, FIELD_SEC_WEBSOCKET_PROTOCOL);

    *terms = (struct handshake_terms){ .protocol = { NULL, 0 } };
    if (head->status != 101 || head->minor != 1 ||
        !field_is(head, FIELD_UPGRADE, SPAN("websocket")) ||
        !has_element(head, FIELD_CONNECTION, SPAN("upgrade")) || accept == NULL ||
        !span_equal(accept->value, span_of(handshake->accept, HANDSHAKE_ACCEPT))) {
        return false;
    }
    if (named != NULL) {
        if (protocol == NULL || !is_offered(handshake, protocol->value)) {
            return false;
        }
        terms->protocol = protocol->value;
    }
    return judge_extensions(handshake, head, terms);
}

void handshake_put_response(const struct handshake *handshake,
                            const struct handshake_terms *terms, struct text *out)
{
    const struct deflate_parameters agreed = {
        .server_forgets = !terms->server_keeps,
        .server_named = terms->server_bits > 0,
        .client_named = terms->client_bits > 0,
        .server_bits = terms->server_bits,
        .client_bits = terms->client_bits,
    };

    put_switch(out);
    put_line(out, SPAN("sec-websocket-accept: "),
             span_of(handshake->accept, HANDSHAKE_ACCEPT));
    if (terms->protocol.len > 0) {
        put_line(out, SPAN("sec-websocket-protocol: "), terms->protocol);
    }
    if (terms->deflate) {
        text_put(out, SPAN("sec-websocket-extensions: "));
        put_deflate(out, &agreed);
        text_put(out, SPAN("\r\n"));
    }
}
