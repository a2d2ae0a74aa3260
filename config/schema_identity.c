#include "config/schema_identity.h"

#include "config/config.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

#define IN_CERTIFICATE(member) offsetof(struct config_certificate, member)
#define IN_TLS(member)         offsetof(struct config_tls, member)
#define IN_HEADER(member)      offsetof(struct config_trusted_header, member)
#define IN_ISSUER(member)      offsetof(struct config_issuer, member)
#define IN_TAG(member)         offsetof(struct config_tag, member)
#define IN_USER(member)        offsetof(struct config_admin_user, member)

const char *const identify_words[] = { [IDENTIFY_KEY] = "key",
                                       [IDENTIFY_JWT] = "jwt",
                                       [IDENTIFY_CERTIFICATE] = "certificate",
                                       [IDENTIFY_HEADER] = "header",
                                       NULL };
static const char *const name_words[] = {
    [CERTIFICATE_SPIFFE] = "spiffe", [CERTIFICATE_URI] = "uri",
    [CERTIFICATE_EMAIL] = "email",   [CERTIFICATE_DNS] = "dns",
    [CERTIFICATE_CN] = "cn",         NULL
};
static const char *const tag_words[] = { [TAG_NONE] = "none",
                                         [TAG_SAFETY_IDENTIFIER] = "safety_identifier",
                                         [TAG_METADATA_USER_ID] = "metadata.user_id",
                                         [TAG_REQUEST_METADATA] = "requestMetadata",
                                         NULL };
static const char *const role_words[] = {
    [ROLE_OPERATOR] = "operator", [ROLE_AUDITOR] = "auditor", [ROLE_LEAD] = "lead", NULL
};

static const struct field certificate_fields[] = {
    { .key = "chain",
      .type = FIELD_PATH,
      .required = true,
      .offset = IN_CERTIFICATE(chain),
      .help = "PEM file: the certificate, then the intermediates that sign it" },
    { .key = "key",
      .type = FIELD_PATH,
      .required = true,
      .offset = IN_CERTIFICATE(key),
      .help = "PEM file: the certificate's private key" },
    { 0 }
};

static const struct field_group certificate_group = {
    .title = "tls.certificates[]",
    .fields = certificate_fields,
    .size = sizeof(struct config_certificate),
    .name_offset = NO_OFFSET,
    .place_offset = IN_CERTIFICATE(place)
};

static const struct field client_fields[] = {
    { .key = "ca",
      .type = FIELD_PATH,
      .required = true,
      .offset = IN_TLS(client_ca),
      .help = "PEM file of the authorities that may sign client certificates" },
    { .key = "required",
      .type = FIELD_SWITCH,
      .offset = IN_TLS(client_required),
      .fallback = "on",
      .help = "nobody connects without a certificate; off: it is asked for" },
    { .key = "crl",
      .type = FIELD_PATH,
      .offset = IN_TLS(client_crl),
      .without = "nothing is revoked",
      .help = "PEM file of the authorities' revocation lists; once such a list has "
              "run out, no certificate of that authority is good" },
    { .key = "names",
      .type = FIELD_WORDS,
      .offset = IN_TLS(names),
      .without = "spiffe, email, cn",
      .words = name_words,
      .least = 1,
      .most = 5,
      .help = "which name in a certificate is the caller: the first kind it has" },
    { 0 }
};

static const struct field_group client_group = { .title = "tls.clients",
                                                 .fields = client_fields };

static const struct field tls_fields[] = {
    { .key = "certificates",
      .type = FIELD_LIST,
      .required = true,
      .offset = IN_TLS(certificates),
      .count_offset = IN_TLS(certificate_count),
      .least = 1,
      .most = 256,
      .group = &certificate_group,
      .help = "chosen by the name the client asks for; the first serves all others" },
    { .key = "clients",
      .type = FIELD_MAP,
      .without = "no client certificate is asked for",
      .group = &client_group,
      .help = "certificates that clients prove themselves with" },
    { 0 }
};

const struct field_group tls_group = { .title = "tls", .fields = tls_fields };

static const struct field header_fields[] = {
    { .key = "name",
      .type = FIELD_HEADER,
      .required = true,
      .offset = IN_HEADER(name),
      .help = "field that holds the caller, such as x-forwarded-email" },
    { .key = "from",
      .type = FIELD_NETWORKS,
      .required = true,
      .offset = IN_HEADER(from),
      .least = 1,
      .most = NETWORKS_MAX,
      .help = "addresses of the proxies whose word is taken: 10.1.2.3, 10.0.0.0/8, "
              "::1, or unix" },
    { .key = "team",
      .type = FIELD_HEADER,
      .offset = IN_HEADER(team),
      .without = "the caller's own",
      .help = "field that holds the team; of several, with commas, the first known" },
    { 0 }
};

const struct field_group trusted_header_group = { .title = "listen[].trusted_header",
                                                  .fields = header_fields };

static const struct field claim_fields[] = {
    { .key = "caller",
      .type = FIELD_TEXT,
      .offset = IN_ISSUER(caller_claim),
      .fallback = "sub",
      .help = "claim that names the caller; dots lead into objects" },
    { .key = "team",
      .type = FIELD_TEXT,
      .offset = IN_ISSUER(team_claim),
      .without = "the caller's own",
      .help = "claim that names the team; of a list, the first that is known" },
    { .key = "tags",
      .type = FIELD_PAIRS,
      .offset = IN_ISSUER(tags),
      .count_offset = IN_ISSUER(tag_count),
      .without = "none",
      .most = TAGS_MAX,
      .help = "claim by the tag that it becomes" },
    { 0 }
};

static const struct field_group claim_group = { .title = "issuers.NAME.claims",
                                                .fields = claim_fields };

static const struct field issuer_fields[] = {
    { .key = "issuer",
      .type = FIELD_TEXT,
      .required = true,
      .offset = IN_ISSUER(issuer),
      .help = "the token's iss, to the byte" },
    { .key = "audience",
      .type = FIELD_TEXTS,
      .element = FIELD_TEXT,
      .required = true,
      .offset = IN_ISSUER(audience),
      .least = 1,
      .most = 16,
      .help = "the token's aud is, or holds, one of these" },
    { .key = "jwks",
      .type = FIELD_JWKS,
      .required = true,
      .offset = IN_ISSUER(jwks),
      .help = "the issuer's keys: https://host/path or file:/path" },
    { .key = "ca",
      .type = FIELD_PATH,
      .offset = IN_ISSUER(ca),
      .without = "the system's store",
      .help = "PEM file of the authorities that may sign that host's certificate" },
    { .key = "rsa_algorithm",
      .type = FIELD_TEXT,
      .offset = IN_ISSUER(rsa_algorithm),
      .fallback = "RS256",
      .help = "algorithm of RSA keys that do not name theirs" },
    { .key = "claims",
      .type = FIELD_MAP,
      .group = &claim_group,
      .help = "what is read from a token" },
    { .key = "default_team",
      .type = FIELD_NAME,
      .offset = IN_ISSUER(default_team),
      .without = "they are refused",
      .help = "team of verified callers that are in none" },
    { .key = "leeway",
      .type = FIELD_DURATION,
      .offset = IN_ISSUER(leeway_ms),
      .fallback = "60s",
      .most = 10 * MINUTE,
      .help = "how far clocks may differ" },
    { .key = "refresh",
      .type = FIELD_DURATION,
      .offset = IN_ISSUER(refresh_ms),
      .fallback = "10m",
      .least = 10 * SECOND,
      .most = 7 * DAY,
      .help =
          "how often keys are read again; sooner when a token names an unknown one" },
    { 0 }
};

const struct field_group issuer_group = { .title = "issuers.NAME",
                                          .fields = issuer_fields,
                                          .size = sizeof(struct config_issuer),
                                          .name_offset = IN_ISSUER(name),
                                          .place_offset = IN_ISSUER(place) };

static const struct field user_fields[] = {
    { .key = "role",
      .type = FIELD_WORD,
      .required = true,
      .offset = IN_USER(role),
      .words = role_words,
      .help = "an operator sees how assay does, an auditor also who did what, a lead "
              "the same of one team" },
    { .key = "team",
      .type = FIELD_NAME,
      .offset = IN_USER(team),
      .without = "required of a lead",
      .help = "team that a lead leads" },
    { .key = "token",
      .type = FIELD_SECRET,
      .offset = IN_USER(token),
      .without = "none",
      .help = "env:NAME or file:/path of what comes as Authorization: Bearer" },
    { .key = "certificate",
      .type = FIELD_TEXT,
      .offset = IN_USER(certificate),
      .without = "none",
      .help = "or the name in their client certificate, by tls.clients.names" },
    { 0 }
};

const struct field_group admin_user_group = { .title = "admin.users.NAME",
                                              .fields = user_fields,
                                              .size = sizeof(struct config_admin_user),
                                              .name_offset = IN_USER(name),
                                              .place_offset = IN_USER(place) };

static const struct field tag_fields[] = {
    { .key = "header",
      .type = FIELD_HEADER,
      .offset = IN_TAG(header),
      .without = "none",
      .help =
          "request field that carries it, in place of what the client sends there" },
    { .key = "field",
      .type = FIELD_WORD,
      .offset = IN_TAG(field),
      .fallback = "none",
      .words = tag_words,
      .help = "the provider's own place in the body, in place of what stands there" },
    { 0 }
};

const struct field_group tag_group = { .title = "providers.NAME.tag",
                                       .fields = tag_fields };
