#include "proxy/engine/forward.h"

#include "filters/registry.h"
#include "proxy/engine/tag.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/worker.h"

#include <stdlib.h>

struct dropped {
    const char *name;
    bool prefix;
    bool kept;
};

static const struct dropped dropped_fields[] = {
#define DROPPED(name)        { name, false, false },
#define DROPPED_PREFIX(name) { name, true, false },
#define KEPT_PREFIX(name)    { name, true, true },
#include "proxy/engine/dropped_field.def"
#undef DROPPED
#undef DROPPED_PREFIX
#undef KEPT_PREFIX
};

enum { DROPPED_COUNT = sizeof dropped_fields / sizeof dropped_fields[0] };

/* Lower case, underscores as dashes. */
static char folded(char c)
{
    if (c == '_') {
        return '-';
    }
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool row_matches(const struct dropped *row, struct span name)
{
    size_t i = 0;

    for (; row->name[i] != '\0'; i++) {
        if (i == name.len || folded(name.at[i]) != row->name[i]) {
            return false;
        }
    }
    return row->prefix || i == name.len;
}

bool forward_drops(struct span name)
{
    char first = name.len == 0 ? '\0' : folded(name.at[0]);

    for (size_t i = 0; i < DROPPED_COUNT; i++) {
        if (dropped_fields[i].name[0] == first &&
            row_matches(&dropped_fields[i], name)) {
            return !dropped_fields[i].kept;
        }
    }
    return false;
}

static bool is_credential(const struct field *field)
{
    return field->id == FIELD_AUTHORIZATION || field->id == FIELD_API_KEY ||
           field->id == FIELD_X_API_KEY || field->id == FIELD_X_GOOG_API_KEY ||
           field->id == FIELD_X_ASSAY_KEY;
}

static void put_field(struct text *out, struct span name, struct span value)
{
    text_put(out, name);
    text_put(out, SPAN(": "));
    text_put(out, value);
    text_put(out, SPAN("\r\n"));
}

/* Fields that are written anew elsewhere, from what they mean. */
static bool is_rewritten(enum field_name id)
{
    return id == FIELD_HOST || id == FIELD_CONTENT_LENGTH ||
           id == FIELD_TRANSFER_ENCODING || id == FIELD_EXPECT ||
           id == FIELD_ACCEPT_ENCODING || id == FIELD_CONTENT_ENCODING ||
           id == FIELD_TE || id == FIELD_TRAILER || id == FIELD_UPGRADE ||
           id == FIELD_CONNECTION || id == FIELD_KEEP_ALIVE ||
           id == FIELD_SEC_WEBSOCKET_ACCEPT || id == FIELD_SEC_WEBSOCKET_EXTENSIONS ||
           id == FIELD_SEC_WEBSOCKET_KEY || id == FIELD_SEC_WEBSOCKET_PROTOCOL ||
           id == FIELD_SEC_WEBSOCKET_VERSION;
}

/* With passthrough the caller's own provider credential goes on: it came in another
 * field than the virtual key. */
static bool passes_through(const struct exchange *exchange, const struct field *field)
{
    return exchange->origin->provider->credential == CREDENTIAL_PASSTHROUGH &&
           (field->id == FIELD_AUTHORIZATION || field->id == FIELD_API_KEY ||
            field->id == FIELD_X_API_KEY || field->id == FIELD_X_GOOG_API_KEY);
}

static bool is_named(const char *wanted, struct span name)
{
    const struct dropped row = { .name = wanted };

    return wanted != NULL && row_matches(&row, name);
}

/* Where a listener takes a proxy's word for the caller, nobody else's goes on either,
 * in dashes or underscores. */
static bool names_caller(const struct config *config, struct span name)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_trusted_header *header =
            &config->listeners[i].trusted_header;

        if (is_named(header->name, name) || is_named(header->team, name)) {
            return true;
        }
    }
    return false;
}

static void put_fields(struct text *out, const struct exchange *exchange,
                       const struct head *head)
{
    const struct config *config = worker_config(exchange->worker);

    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];

        if (field->hop_by_hop || is_rewritten(field->id) ||
            names_caller(config, field->name) ||
            is_named(exchange->origin->provider->tag.header, field->name)) {
            continue;
        }
        if (is_credential(field) ? passes_through(exchange, field)
                                 : !forward_drops(field->name)) {
            put_field(out, field->name, field->value);
        }
    }
}

static void put_host(struct text *out, const struct config_provider *provider)
{
    bool literal_v6 = strchr(provider->host, ':') != NULL;

    text_put(out, SPAN("host: "));
    text_put(out, literal_v6 ? SPAN("[") : SPAN(""));
    text_put(out, span_text(provider->host));
    text_put(out, literal_v6 ? SPAN("]") : SPAN(""));
    if (provider->port != (provider->tls ? 443 : 80)) {
        text_put_char(out, ':');
        text_put_u64(out, provider->port);
    }
    text_put(out, SPAN("\r\n"));
}

static struct span field_value(const struct head *head, enum field_name id)
{
    const struct field *field = head_field(head, id);

    return field == NULL ? span_of(NULL, 0) : field->value;
}

/* Only codings that the meter can undo are offered to the provider. */
static struct span accept_codings(struct text *out, const struct head *head)
{
    const struct field *field = head_field(head, FIELD_ACCEPT_ENCODING);
    size_t begin = out->len;

    if (field == NULL) {
        return span_of(NULL, 0);
    }
    decode_accept(field->value, out);
    return span_of(out->at + begin, out->len - begin);
}

/* The field that the provider's credential is sent in, up to the credential itself. */
static void put_credential_field(struct text *out, const struct exchange *exchange)
{
    const struct config_provider *provider = exchange->origin->provider;
    const struct dialect_family family =
        registry_credential(provider->dialects, exchange->dialect);
    const char *field = provider->credential_field;
    const char *prefix = "";

    if (provider->credential == CREDENTIAL_GOOGLE) {
        field = "authorization";
        prefix = "Bearer ";
    } else if (field == NULL) {
        field = family.credential_field;
        prefix = family.credential_prefix;
    } else if (strcasecmp(field, "authorization") == 0) {
        prefix = "Bearer ";
    }
    text_put(out, span_text(field));
    text_put(out, SPAN(": "));
    text_put(out, span_text(prefix));
}

bool forward_secret(const struct exchange *exchange, struct span *secret)
{
    const struct config_provider *provider = exchange->origin->provider;
    const struct credential *token;

    *secret = span_of(NULL, 0);
    if (provider->credential == CREDENTIAL_SECRET) {
        *secret = secret_reveal(provider->secret);
    } else if (provider->credential == CREDENTIAL_GOOGLE) {
        token = wallet_find(exchange->worker->wallet, provider);
        *secret = token == NULL ? *secret : secret_reveal(token->secret);
    } else {
        return false;
    }
    return true;
}

enum fault forward_head(struct exchange *exchange, const struct head *head,
                        const struct route *route)
{
    const struct config_provider *provider = exchange->origin->provider;
    struct text out = text_over(exchange->worker->built, WORKER_BUILT_BYTES);
    struct span secret;

    text_put(&out, method_text(head->method));
    text_put_char(&out, ' ');
    text_put(&out, span_text(provider->base));
    text_put(&out, route->target);
    text_put(&out, SPAN(" HTTP/1.1\r\n"));
    put_host(&out, provider);
    if (provider->credential == CREDENTIAL_GOOGLE &&
        wallet_find(exchange->worker->wallet, provider) == NULL) {
        return FAULT_NO_PROVIDER_CREDENTIAL;
    }
    tag_put_field(exchange, &out);
    put_fields(&out, exchange, head);
    if (exchange->tunnel != NULL) {
        handshake_put_request(&exchange->tunnel->handshake, head, &out);
    }
    if (forward_secret(exchange, &secret)) {
        put_credential_field(&out, exchange);
    }
    exchange->head = text_span(&out);
    exchange->accept = accept_codings(&out, head);
    exchange->encoding = field_value(head, FIELD_CONTENT_ENCODING);
    exchange->head_borrowed = true;
    return out.full ? FAULT_HEAD_TOO_LARGE : FAULT_NONE;
}
