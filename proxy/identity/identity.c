#include "proxy/identity/identity.h"

#include "config/identity_rule.h"
#include "proxy/base/clock.h"
#include "proxy/identity/jwt.h"

/* What of a request can be a credential. */
struct credentials {
    const struct field *own; /* the last x-assay-key */
    size_t own_count;
    const struct field *other; /* the last of those that providers know, too */
    size_t other_count;
    const struct field *signature; /* Authorization that an AWS SDK signed with */
    const struct field *named;     /* the last trusted header */
    size_t named_count;
    struct span team; /* that it says; empty: none */
    size_t team_count;
    bool certificate;
};

static bool takes(const struct evidence *evidence, enum config_identify identify)
{
    return identity_rule_takes(evidence->listener, identify);
}

static bool takes_fields(const struct evidence *evidence)
{
    return takes(evidence, IDENTIFY_KEY) || takes(evidence, IDENTIFY_JWT);
}

/* ---- finding --------------------------------------------------------------------- */

static const struct span signature_scheme = SPAN_INIT("AWS4-HMAC-SHA256 ");

/* A signature proves nothing to assay, which does not know the secret; but what an SDK
 * takes for its access key id may be a virtual key. */
static bool is_signature(const struct field *field)
{
    return field->id == FIELD_AUTHORIZATION &&
           span_starts(field->value, signature_scheme);
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

/* The text of a credential; the empty span, which is none, for a scheme that carries
 * none. "Bearer" in any case, then one or more spaces (RFC 9110, section 11.4). */
static struct span credential_text(const struct field *field)
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

static bool is_other(enum field_name id)
{
    return id == FIELD_AUTHORIZATION || id == FIELD_X_API_KEY || id == FIELD_API_KEY ||
           id == FIELD_X_GOOG_API_KEY;
}

bool identity_reads(const struct config_listener *listener, const struct field *field)
{
    const struct config_trusted_header *header = &listener->trusted_header;

    return is_other(field->id) || field->id == FIELD_X_ASSAY_KEY ||
           (header->name != NULL &&
            span_equal_nocase(field->name, span_text(header->name))) ||
           (header->team != NULL &&
            span_equal_nocase(field->name, span_text(header->team)));
}

static bool counts(const struct evidence *evidence, const struct field *field)
{
    return takes_fields(evidence) || key_well_formed(credential_text(field));
}

static void trusted_find(struct credentials *found, const struct evidence *evidence,
                         const struct field *field)
{
    const struct config_trusted_header *header = &evidence->listener->trusted_header;

    if (!evidence->from_proxy || header->name == NULL) {
        return;
    }
    if (span_equal_nocase(field->name, span_text(header->name))) {
        found->named = field;
        found->named_count++;
    } else if (header->team != NULL &&
               span_equal_nocase(field->name, span_text(header->team))) {
        found->team = field->value;
        found->team_count++;
    }
}

static struct credentials credentials_find(const struct evidence *evidence)
{
    const struct head *head = evidence->head;
    bool header = takes(evidence, IDENTIFY_HEADER);
    struct credentials found = { .certificate = evidence->certificate.len > 0 &&
                                                takes(evidence, IDENTIFY_CERTIFICATE) };

    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];

        if (field->id == FIELD_X_ASSAY_KEY) {
            found.own = field;
            found.own_count++;
        } else if (!evidence->passthrough && is_signature(field) &&
                   found.signature == NULL) {
            found.signature = field;
        } else if (is_other(field->id)) {
            found.other = counts(evidence, field) ? field : found.other;
            found.other_count += counts(evidence, field);
        } else if (header) {
            trusted_find(&found, evidence, field);
        }
    }
    /* Beside x-assay-key a signature is only what the SDK could not be kept from. */
    if (found.signature != NULL && found.own_count != 1 &&
        counts(evidence, found.signature)) {
        found.other = found.signature;
        found.other_count++;
    }
    return found;
}

/* A field counts by being there: an empty one beside a good one is still two, so that
 * no reader of the same head can see another caller. */
static enum fault credentials_count(const struct credentials *found, bool passthrough)
{
    size_t ours = found->own_count + found->named_count + found->certificate;

    if (found->team_count > 1) {
        return FAULT_MANY_CREDENTIALS;
    }
    if (passthrough ? ours > 1 || found->other_count > 1
                    : ours + found->other_count > 1) {
        return FAULT_MANY_CREDENTIALS;
    }
    return ours + (passthrough ? 0 : found->other_count) == 0 ? FAULT_NO_CREDENTIAL
                                                              : FAULT_NONE;
}

/* ---- verifying ------------------------------------------------------------------- */

static enum fault field_verify(struct verifier *verifier, const struct trust *trust,
                               const struct evidence *evidence,
                               const struct field *field, struct caller *caller)
{
    int64_t now = clock_seconds(evidence->now_unix_ns);
    struct span text = credential_text(field);

    caller->credential = field->id;
    if (takes(evidence, IDENTIFY_JWT) && jwt_looks_like(text)) {
        return verifier_token(verifier, text, trust, now, &caller->known);
    }
    return takes(evidence, IDENTIFY_KEY)
               ? verifier_key(verifier, text, trust, now, &caller->known)
               : FAULT_BAD_CREDENTIAL;
}

static enum fault subject_verify(struct verifier *verifier, const struct trust *trust,
                                 const struct evidence *evidence,
                                 const struct credentials *found, struct caller *caller)
{
    struct subject subject = { .method = "certificate",
                               .issuer = "",
                               .name = evidence->certificate,
                               .default_team = evidence->listener->default_team };

    if (!found->certificate) {
        subject.method = "header";
        subject.name = found->named->value;
        subject.team = subject_team_of_list(found->team, trust->directory);
    }
    caller->credential = FIELD_OTHER;
    return verifier_subject(verifier, &subject, trust, &caller->known);
}

enum fault identity_verify(struct verifier *verifier, const struct trust *trust,
                           const struct evidence *evidence, struct caller *caller)
{
    struct credentials found = credentials_find(evidence);
    enum fault fault = credentials_count(&found, evidence->passthrough);
    const struct field *field;

    if (fault != FAULT_NONE) {
        return fault;
    }
    if (found.certificate || found.named != NULL) {
        return subject_verify(verifier, trust, evidence, &found, caller);
    }
    field = found.own != NULL || evidence->passthrough ? found.own : found.other;
    CHECK(field != NULL); /* it was counted */
    return field_verify(verifier, trust, evidence, field, caller);
}
