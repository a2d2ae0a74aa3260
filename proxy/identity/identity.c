#include "proxy/identity/identity.h"

#include "proxy/base/clock.h"

/* The fields of a head that can carry a credential. */
struct credentials {
    const struct field *own; /* the last x-assay-key */
    size_t own_count;
    const struct field *other; /* the last of those that providers know, too */
    size_t other_count;
    const struct field *signature; /* Authorization that an AWS SDK signed with */
};

static const struct span signature_scheme = { "AWS4-HMAC-SHA256 ", 17 };

/* A signature proves nothing to assay, which does not know the secret; but what an SDK takes
 * for its access key id may be a virtual key. */
static bool is_signature(const struct field *field)
{
    return field->id == FIELD_AUTHORIZATION &&
           span_starts(field->value, signature_scheme);
}

static struct credentials credentials_find(const struct head *head, bool passthrough)
{
    struct credentials found = { 0 };

    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];

        if (field->id == FIELD_X_ASSAY_KEY) {
            found.own = field;
            found.own_count++;
        } else if (!passthrough && is_signature(field) && found.signature == NULL) {
            found.signature = field;
        } else if (field->id == FIELD_AUTHORIZATION || field->id == FIELD_X_API_KEY ||
                   field->id == FIELD_API_KEY || field->id == FIELD_X_GOOG_API_KEY) {
            found.other = field;
            found.other_count++;
        }
    }
    /* Beside x-assay-key a signature is only what the SDK could not be kept from. */
    if (found.signature != NULL && found.own_count != 1) {
        found.other = found.signature;
        found.other_count++;
    }
    return found;
}

/* A field counts by being there: an empty one beside a good one is still two, so that no
 * reader of the same head can see another caller. */
static enum fault credential_choose(const struct credentials *found, bool passthrough,
                                    const struct field **chosen)
{
    if (passthrough ? found->own_count > 1 || found->other_count > 1
                    : found->own_count + found->other_count > 1) {
        return FAULT_MANY_CREDENTIALS;
    }
    *chosen = found->own != NULL || passthrough ? found->own : found->other;
    return *chosen == NULL ? FAULT_NO_CREDENTIAL : FAULT_NONE;
}

/* Of "AWS4-HMAC-SHA256 Credential=ID/SCOPE, ...". */
static struct span access_key_id(struct span value)
{
    const struct span name = SPAN("Credential=");
    struct span part;

    value = span_after(value, signature_scheme.len);
    while (span_next(&value, ',', &part)) {
        part = span_trim(part);
        if (span_starts(part, name)) {
            part = span_after(part, name.len);
            size_t len = span_find(part, '/');

            return span_of(part.at, len < part.len ? len : 0);
        }
    }
    return span_of(NULL, 0);
}

/* The key in a field; the empty span, which is no key, for a scheme that carries none.
 * "Bearer" in any case, then one or more spaces (RFC 9110, section 11.4). */
static struct span credential_key(const struct field *field)
{
    const struct span bearer = SPAN("bearer ");

    if (field->id != FIELD_AUTHORIZATION) {
        return field->value;
    }
    if (is_signature(field)) {
        return access_key_id(field->value);
    }
    if (!span_starts_nocase(field->value, bearer)) {
        return span_of(NULL, 0);
    }
    return span_trim(span_after(field->value, bearer.len));
}

enum fault identity_verify(const struct head *head, const struct key_table *keys,
                           bool passthrough, uint64_t now_unix_ns,
                           struct caller *caller)
{
    struct credentials found = credentials_find(head, passthrough);
    const struct key_record *record;
    const struct field *chosen;
    enum fault fault = credential_choose(&found, passthrough, &chosen);

    if (fault != FAULT_NONE) {
        return fault;
    }
    record =
        key_table_find(keys, credential_key(chosen), (int64_t)(now_unix_ns / NS_PER_S));
    if (record == NULL) {
        return FAULT_BAD_CREDENTIAL;
    }
    *caller = (struct caller){ .team = record->team,
                               .name = record->caller,
                               .key_id = record->id,
                               .credential = chosen->id };
    return FAULT_NONE;
}
