#include "config/config.h"
#include "config/field.h"
#include "config/schema_identity.h"

#include <string.h>

/* Every key of the file, a row each. The order is the order of the reference. */

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    DAY = 24 * HOUR,
    KIB = 1024,
    MIB = 1024 * KIB,
    GIB = 1024 * MIB
};

#define IN_CONFIG(member)   offsetof(struct config, member)
#define IN_LISTENER(member) offsetof(struct config_listener, member)
#define IN_PROVIDER(member) offsetof(struct config_provider, member)
#define IN_TEAM(member)     offsetof(struct config_team, member)
#define IN_QUOTA(member)    offsetof(struct config_quota, member)
#define IN_PERMIT(member)   offsetof(struct config_permit, member)
#define IN_WEBHOOK(member)  offsetof(struct config_webhook, member)
#define IN_WEIGHTS(member)  offsetof(struct config_weights, member)

static const char *const abort_words[] = {
    [ABORT_DRAIN] = "drain", [ABORT_CANCEL] = "cancel", NULL
};
static const char *const unknown_words[] = {
    [UNKNOWN_DENY] = "deny", [UNKNOWN_RELAY] = "relay", NULL
};

static const char *const each_words[] = { [EACH_ALL] = "all",
                                          [EACH_CALLER] = "caller",
                                          [EACH_TEAM] = "team",
                                          [EACH_KEY] = "key",
                                          [EACH_SESSION] = "session",
                                          [EACH_MODEL] = "model",
                                          NULL };
static const char *const service_words[] = {
    [SERVICE_ANY] = "any", [SERVICE_YES] = "yes", [SERVICE_NO] = "no", NULL
};
static const char *const grade_words[] = { [CONFIG_GRADE_ANY] = "any",
                                           [CONFIG_GRADE_UNRATED] = "unrated",
                                           [CONFIG_GRADE_CLEAR] = "clear",
                                           [CONFIG_GRADE_WATCH] = "watch",
                                           [CONFIG_GRADE_FLAGGED] = "flagged",
                                           [CONFIG_GRADE_DECLARED] = "declared",
                                           NULL };
static const char *const on_exceed_words[] = {
    [ON_EXCEED_FINISH] = "finish", [ON_EXCEED_CUT] = "cut", NULL
};
static const char *const unpriced_words[] = {
    [UNPRICED_ALLOW] = "allow", [UNPRICED_DENY] = "deny", NULL
};
static const char *const over_words[] = {
    [OVER_REFUSE] = "refuse", [OVER_WARN] = "warn", [OVER_SHADOW] = "shadow", NULL
};

static const char *const detection_words[] = {
    [DETECTION_OFF] = "off", [DETECTION_SHADOW] = "shadow", [DETECTION_ON] = "on", NULL
};

static const struct field listener_fields[] = {
    { .key = "address",
      .type = FIELD_ADDRESS,
      .reload = RELOAD_RESTART,
      .required = true,
      .offset = IN_LISTENER(address),
      .help = "where clients connect: 127.0.0.1:8080, [::1]:8080 or unix:/path" },
    { .key = "tls",
      .type = FIELD_MAP,
      .offset = IN_LISTENER(tls),
      .without = "plain HTTP",
      .group = &tls_group,
      .help = "serves HTTPS; adding or removing it needs a restart" },
    { .key = "identify",
      .type = FIELD_WORDS,
      .offset = IN_LISTENER(identify),
      .fallback = "key",
      .words = identify_words,
      .least = 1,
      .most = IDENTIFY_COUNT,
      .help = "credentials that are taken here; a call has exactly one of them" },
    { .key = "trusted_header",
      .type = FIELD_MAP,
      .offset = IN_LISTENER(trusted_header),
      .without = "none",
      .group = &trusted_header_group,
      .help = "a proxy before assay names the caller (with identify: [header])" },
    { .key = "default_team",
      .type = FIELD_NAME,
      .offset = IN_LISTENER(default_team),
      .without = "they are refused",
      .help = "team of callers, named by certificate or header, that are in none" },
    { 0 }
};

static const struct field_group listener_group = { .title = "listen[]",
                                                   .fields = listener_fields,
                                                   .size =
                                                       sizeof(struct config_listener),
                                                   .name_offset = NO_OFFSET,
                                                   .place_offset = IN_LISTENER(place) };

static const struct field admin_fields[] = {
    { .key = "enabled",
      .type = FIELD_SWITCH,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(admin_on),
      .fallback = "on",
      .help = "serve metrics, health and the live view" },
    { .key = "address",
      .type = FIELD_ADDRESS,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(admin),
      .fallback = "127.0.0.1:9090",
      .help = "beyond loopback and Unix sockets only with 'tls' and 'users'" },
    { .key = "tls",
      .type = FIELD_MAP,
      .offset = IN_CONFIG(admin_tls),
      .without = "plain HTTP",
      .group = &tls_group,
      .help = "serves HTTPS" },
    { .key = "users",
      .type = FIELD_NAMED,
      .offset = IN_CONFIG(admin_users),
      .count_offset = IN_CONFIG(admin_user_count),
      .without = "nobody is asked",
      .most = 1024,
      .group = &admin_user_group,
      .help = "by name: who may look at what; health needs no credential" },
    { 0 }
};

static const struct field_group admin_group = { .title = "admin",
                                                .fields = admin_fields };

static const struct field timeout_fields[] = {
    { .key = "connect",
      .type = FIELD_DURATION,
      .offset = IN_PROVIDER(connect_timeout_ms),
      .fallback = "5s",
      .least = 10,
      .most = 5 * MINUTE,
      .help = "name look-up, connection and TLS handshake together" },
    { .key = "first_byte",
      .type = FIELD_DURATION,
      .offset = IN_PROVIDER(first_byte_timeout_ms),
      .fallback = "600s",
      .least = 10,
      .most = DAY,
      .help =
          "from the end of the request to the response's first byte; models think" },
    { .key = "idle",
      .type = FIELD_DURATION,
      .offset = IN_PROVIDER(idle_timeout_ms),
      .fallback = "300s",
      .least = 10,
      .most = DAY,
      .help = "silence within a response; a stream that goes on has no time limit" },
    { .key = "websocket_idle",
      .type = FIELD_DURATION,
      .offset = IN_PROVIDER(websocket_idle_timeout_ms),
      .fallback = "30m",
      .least = 10,
      .most = DAY,
      .help = "silence of a WebSocket on which no response is under way" },
    { 0 }
};

static const struct field_group timeout_group = { .title = "providers.NAME.timeouts",
                                                  .fields = timeout_fields };

static const struct field pool_fields[] = {
    { .key = "idle",
      .type = FIELD_DURATION,
      .offset = IN_PROVIDER(pool_idle_ms),
      .fallback = "60s",
      .least = 10,
      .most = DAY,
      .help = "how long an unused connection is kept" },
    { .key = "size",
      .type = FIELD_COUNT,
      .offset = IN_PROVIDER(pool_size),
      .fallback = "256",
      .most = 65536,
      .help = "unused connections kept, per worker; 0 keeps none" },
    { 0 }
};

static const struct field_group pool_group = { .title = "providers.NAME.pool",
                                               .fields = pool_fields };

static const struct field drain_fields[] = {
    { .key = "timeout",
      .type = FIELD_DURATION,
      .offset = IN_PROVIDER(drain_timeout_ms),
      .fallback = "120s",
      .least = 10,
      .most = DAY,
      .help = "how long an abandoned response is read on" },
    { .key = "bytes",
      .type = FIELD_SIZE,
      .offset = IN_PROVIDER(drain_bytes),
      .fallback = "64 MiB",
      .most = (uint64_t)64 * GIB,
      .help = "how much of it is read on" },
    { .key = "at_once",
      .type = FIELD_COUNT,
      .offset = IN_PROVIDER(drain_limit),
      .fallback = "64",
      .most = 1000000,
      .help =
          "abandoned responses read on at once, all workers; the next are cancelled" },
    { 0 }
};

static const char *const aws_source_words[] = {
    [AWS_CHAIN] = "chain",         [AWS_ENV] = "env",           [AWS_FILE] = "file",
    [AWS_CONTAINER] = "container", [AWS_INSTANCE] = "instance", NULL
};

static const struct field aws_fields[] = {
    { .key = "source",
      .type = FIELD_WORD,
      .offset = IN_PROVIDER(aws.source),
      .fallback = "chain",
      .words = aws_source_words,
      .help = "where the key comes from: AWS_ACCESS_KEY_ID and the like, a credentials "
              "file, the container's or the instance's role; chain is the first of "
              "these that has one" },
    { .key = "file",
      .type = FIELD_PATH,
      .offset = IN_PROVIDER(aws.file),
      .without = "AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials",
      .help = "credentials file with profiles; read again when it changes" },
    { .key = "profile",
      .type = FIELD_TEXT,
      .offset = IN_PROVIDER(aws.profile),
      .without = "AWS_PROFILE, else default",
      .help = "which profile of the credentials file" },
    { .key = "region",
      .type = FIELD_NAME,
      .offset = IN_PROVIDER(aws.region),
      .without = "the one in the url",
      .help = "region that requests are signed for" },
    { .key = "service",
      .type = FIELD_NAME,
      .offset = IN_PROVIDER(aws.service),
      .without = "bedrock, or bedrock-mantle by the url",
      .help = "service that requests are signed for" },
    { 0 }
};

static const struct field_group aws_group = { .title = "providers.NAME.aws",
                                              .fields = aws_fields };

static const struct field google_fields[] = {
    { .key = "file",
      .type = FIELD_PATH,
      .offset = IN_PROVIDER(google.file),
      .without = "GOOGLE_APPLICATION_CREDENTIALS, else the machine's own account",
      .help = "JSON key of a service account; closed to group and others" },
    { .key = "scope",
      .type = FIELD_TEXT,
      .offset = IN_PROVIDER(google.scope),
      .fallback = "https://www.googleapis.com/auth/cloud-platform",
      .help = "what the access token is asked for" },
    { 0 }
};

static const struct field_group google_group = { .title = "providers.NAME.google",
                                                 .fields = google_fields };

static const struct field_group drain_group = { .title = "providers.NAME.drain",
                                                .fields = drain_fields };

static const struct field provider_fields[] = {
    { .key = "url",
      .type = FIELD_URL,
      .required = true,
      .offset = IN_PROVIDER(url),
      .help = "https://host[:port][/base]; plain http only to loopback" },
    { .key = "dialects",
      .type = FIELD_TEXTS,
      .element = FIELD_TEXT,
      .required = true,
      .offset = IN_PROVIDER(dialects),
      .least = 1,
      .most = 16,
      .help = "families of dialects it speaks, such as openai or anthropic" },
    { .key = "credential",
      .type = FIELD_CREDENTIAL,
      .offset = IN_PROVIDER(credential),
      .fallback = "none",
      .help =
          "env:NAME or file:/path replaces the caller's key; aws signs each request "
          "(Signature Version 4); google sends an access token; passthrough relays the "
          "caller's own (the key then comes as x-assay-key); none sends nothing" },
    { .key = "credential_header",
      .type = FIELD_HEADER,
      .offset = IN_PROVIDER(credential_field),
      .without = "the dialect's own",
      .help = "header field the credential is sent in" },
    { .key = "aws",
      .type = FIELD_MAP,
      .group = &aws_group,
      .help = "which key signs, with 'credential: aws'" },
    { .key = "google",
      .type = FIELD_MAP,
      .group = &google_group,
      .help = "whose access token is sent, with 'credential: google'" },
    { .key = "default",
      .type = FIELD_SWITCH,
      .offset = IN_PROVIDER(is_default),
      .fallback = "off",
      .help = "takes the bare native paths of its dialects, such as /v1/messages" },
    { .key = "on_client_abort",
      .type = FIELD_WORD,
      .offset = IN_PROVIDER(on_client_abort),
      .fallback = "drain",
      .words = abort_words,
      .help = "a client left in mid-response: read on to meter it, or cancel it" },
    { .key = "unknown_paths",
      .type = FIELD_WORD,
      .offset = IN_PROVIDER(unknown_paths),
      .fallback = "deny",
      .words = unknown_words,
      .help =
          "paths that no dialect claims: refuse, or relay and record as not counted" },
    { .key = "inject_usage",
      .type = FIELD_SWITCH,
      .offset = IN_PROVIDER(inject_usage),
      .fallback = "on",
      .help = "ask OpenAI chat streams for their usage, and hide the extra chunk" },
    { .key = "unpriced",
      .type = FIELD_WORD,
      .offset = IN_PROVIDER(unpriced),
      .fallback = "allow",
      .words = unpriced_words,
      .help = "models without a price: let pass, recorded as unpriced, or refuse" },
    { .key = "price_as",
      .type = FIELD_TEXT,
      .offset = IN_PROVIDER(price_as),
      .without = "unpriced",
      .help = "a model of the price list: those without a price cost as much as it" },
    { .key = "websockets",
      .type = FIELD_SWITCH,
      .offset = IN_PROVIDER(websockets),
      .fallback = "on",
      .help =
          "relay the WebSockets of its dialects; off: clients are told to use plain "
          "HTTP" },
    { .key = "tag",
      .type = FIELD_MAP,
      .offset = IN_PROVIDER(tag),
      .without = "it is not told",
      .group = &tag_group,
      .help = "tells the provider who calls: a keyed hash, never a name" },
    { .key = "ca",
      .type = FIELD_PATH,
      .offset = IN_PROVIDER(ca),
      .without = "the system's store",
      .help = "PEM file of the authorities that may sign the provider's certificate" },
    { .key = "insecure_for_tests",
      .type = FIELD_SWITCH,
      .offset = IN_PROVIDER(insecure_for_tests),
      .fallback = "off",
      .help = "do not verify the certificate; refused unless the host is loopback" },
    { .key = "timeouts",
      .type = FIELD_MAP,
      .group = &timeout_group,
      .help = "how long to wait for the provider" },
    { .key = "pool",
      .type = FIELD_MAP,
      .group = &pool_group,
      .help = "connections kept open between requests" },
    { .key = "drain",
      .type = FIELD_MAP,
      .group = &drain_group,
      .help = "bounds of reading on after a client left" },
    { 0 }
};

static const struct field_group provider_group = { .title = "providers.NAME",
                                                   .fields = provider_fields,
                                                   .size =
                                                       sizeof(struct config_provider),
                                                   .name_offset = IN_PROVIDER(name),
                                                   .place_offset = IN_PROVIDER(place) };

static const struct field team_fields[] = {
    { .key = "callers",
      .type = FIELD_TEXTS,
      .element = FIELD_NAME,
      .offset = IN_TEAM(callers),
      .without = "nobody",
      .least = 1,
      .most = 65536,
      .help = "its people; a person may be in several teams" },
    { .key = "services",
      .type = FIELD_TEXTS,
      .element = FIELD_NAME,
      .offset = IN_TEAM(services),
      .without = "none",
      .least = 1,
      .most = 4096,
      .help = "its declared automation, such as CI: callers that are no people" },
    { .key = "tags",
      .type = FIELD_PAIRS,
      .offset = IN_TEAM(tags),
      .count_offset = IN_TEAM(tag_count),
      .without = "none",
      .most = TAGS_MAX,
      .help = "what its calls are marked with, such as cost_centre or project" },
    { .key = "aliases",
      .type = FIELD_PAIRS,
      .offset = IN_TEAM(aliases),
      .count_offset = IN_TEAM(alias_count),
      .without = "none",
      .most = 4096,
      .help = "names in tokens, certificates and headers, and whose each one is" },
    { 0 }
};

static const struct field_group team_group = { .title = "teams.NAME",
                                               .fields = team_fields,
                                               .size = sizeof(struct config_team),
                                               .name_offset = IN_TEAM(name),
                                               .place_offset = IN_TEAM(place) };

/* The rows of `for`, of a struct whose scope lies at `at`. */
#define SCOPE_FIELDS(at)                                                               \
    { .key = "team",                                                                   \
      .type = FIELD_NAME,                                                              \
      .offset = (at) + offsetof(struct config_scope, team),                            \
      .without = "any",                                                                \
      .help = "calls of this team" },                                                  \
        { .key = "caller",                                                             \
          .type = FIELD_NAME,                                                          \
          .offset = (at) + offsetof(struct config_scope, caller),                      \
          .without = "any",                                                            \
          .help = "calls of this caller" },                                            \
        { .key = "service",                                                            \
          .type = FIELD_WORD,                                                          \
          .offset = (at) + offsetof(struct config_scope, service),                     \
          .fallback = "any",                                                           \
          .words = service_words,                                                      \
          .help = "calls of declared automation, or of all others" },                  \
        { .key = "provider",                                                           \
          .type = FIELD_NAME,                                                          \
          .offset = (at) + offsetof(struct config_scope, provider),                    \
          .without = "any",                                                            \
          .help = "calls that go to this provider" },                                  \
        { .key = "model",                                                              \
          .type = FIELD_TEXT,                                                          \
          .offset = (at) + offsetof(struct config_scope, model),                       \
          .without = "any",                                                            \
          .help = "calls that ask for this model; * stands for any characters" },      \
        { .key = "tool",                                                               \
          .type = FIELD_NAME,                                                          \
          .offset = (at) + offsetof(struct config_scope, tool),                        \
          .without = "any",                                                            \
          .help = "calls of this tool, by what it says of itself" },                   \
        { .key = "mode",                                                               \
          .type = FIELD_NAME,                                                          \
          .offset = (at) + offsetof(struct config_scope, mode),                        \
          .without = "any",                                                            \
          .help = "interactive or headless, by what the tool says of itself" },        \
        { .key = "grade",                                                              \
          .type = FIELD_WORD,                                                          \
          .offset = (at) + offsetof(struct config_scope, grade),                       \
          .fallback = "any",                                                           \
          .words = grade_words,                                                        \
          .help = "calls of identities whose traffic is graded so" },                  \
    {                                                                                  \
        0                                                                              \
    }

static const struct field quota_for_fields[] = { SCOPE_FIELDS(IN_QUOTA(scope)) };

static const struct field_group quota_for_group = { .title = "quotas[].for",
                                                    .fields = quota_for_fields };

static const struct field quota_fields[] = {
    { .key = "name",
      .type = FIELD_NAME,
      .required = true,
      .offset = IN_QUOTA(name),
      .help = "what refusals, metrics and reports call it; its counters stay with it" },
    { .key = "for",
      .type = FIELD_MAP,
      .without = "every call",
      .group = &quota_for_group,
      .help = "which calls it counts: those that fit all of these" },
    { .key = "each",
      .type = FIELD_WORD,
      .offset = IN_QUOTA(each),
      .fallback = "all",
      .words = each_words,
      .help = "what has a counter of its own; all is one counter for all" },
    { .key = "limit",
      .type = FIELD_LIMIT,
      .required = true,
      .offset = IN_QUOTA(limit),
      .help = "how much each counter may take up per period" },
    { .key = "burst",
      .type = FIELD_LIMIT,
      .offset = IN_QUOTA(burst),
      .without = "the whole limit at once",
      .help = "how far use may run ahead of an even pace through the window" },
    { .key = "per",
      .type = FIELD_PERIOD,
      .offset = IN_QUOTA(period),
      .without = "required, but for concurrent",
      .help =
          "when counters begin anew; a rolling period looks back, in steps of 1/20" },
    { .key = "timezone",
      .type = FIELD_TIMEZONE,
      .offset = IN_QUOTA(timezone),
      .without = "UTC",
      .help = "whose calendar days, weeks and months are" },
    { .key = "warn",
      .type = FIELD_TEXTS,
      .element = FIELD_SHARE,
      .offset = IN_QUOTA(warn),
      .without = "no warning",
      .least = 1,
      .most = 8,
      .help =
          "from these shares of the limit on, responses carry assay-quota-warning" },
    { .key = "over",
      .type = FIELD_WORD,
      .offset = IN_QUOTA(over),
      .fallback = "refuse",
      .words = over_words,
      .help = "a call would cross the limit: refuse it, let it pass with a warning, or "
              "only count it" },
    { .key = "on_exceed",
      .type = FIELD_WORD,
      .offset = IN_QUOTA(on_exceed),
      .fallback = "finish",
      .words = on_exceed_words,
      .help = "a stream goes on beyond what was reserved and nothing is left: let it "
              "finish, or cut it with an error event" },
    { .key = "contact",
      .type = FIELD_TEXT,
      .offset = IN_QUOTA(contact),
      .without = "nobody",
      .help = "whom a refused caller may ask: a refusal names it" },
    { 0 }
};

static const struct field_group quota_group = { .title = "quotas[]",
                                                .fields = quota_fields,
                                                .size = sizeof(struct config_quota),
                                                .name_offset = NO_OFFSET,
                                                .place_offset = IN_QUOTA(place) };

#define IN_REDIS(member) IN_CONFIG(redis.member)

static const char *const fail_words[] = {
    [FAIL_OPEN] = "open", [FAIL_CLOSED] = "closed", NULL
};

static const struct field redis_fields[] = {
    { .key = "url",
      .type = FIELD_REDIS,
      .reload = RELOAD_RESTART,
      .required = true,
      .offset = IN_CONFIG(redis),
      .help = "redis://host[:port][/database], rediss:// for TLS, or unix:/path" },
    { .key = "username",
      .type = FIELD_TEXT,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(username),
      .without = "the default user",
      .help = "of an access control list" },
    { .key = "password",
      .type = FIELD_SECRET,
      .offset = IN_REDIS(password),
      .without = "none",
      .help = "env:NAME or file:/path; read at the start" },
    { .key = "prefix",
      .type = FIELD_NAME,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(prefix),
      .fallback = "assay",
      .help = "of every key; replicas with the same one share their quotas" },
    { .key = "slice",
      .type = FIELD_COUNT,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(slice_percent),
      .fallback = "5",
      .least = 1,
      .most = 50,
      .help =
          "percent of a limit that a replica leases at a time, and may be beyond it" },
    { .key = "fail",
      .type = FIELD_WORD,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(fail),
      .fallback = "open",
      .words = fail_words,
      .help = "the server cannot be reached: each replica goes by what it last heard, "
              "or spends what it has leased and no more" },
    { .key = "timeout",
      .type = FIELD_DURATION,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(timeout_ms),
      .fallback = "500ms",
      .least = 10,
      .most = MINUTE,
      .help = "for an answer; no call waits for it" },
    { .key = "ca",
      .type = FIELD_PATH,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(ca),
      .without = "the system's store",
      .help = "PEM file of the authorities that may sign the server's certificate" },
    { .key = "certificate",
      .type = FIELD_PATH,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(certificate),
      .without = "none",
      .help = "PEM file with a chain to show to a server that asks for one" },
    { .key = "key",
      .type = FIELD_PATH,
      .reload = RELOAD_RESTART,
      .offset = IN_REDIS(key),
      .without = "none",
      .help = "PEM file of its private key" },
    { 0 }
};

static const struct field_group redis_group = { .title = "quota.redis",
                                                .fields = redis_fields };

static const struct field weights_fields[] = {
    { .key = "model",
      .type = FIELD_TEXT,
      .offset = IN_WEIGHTS(model),
      .without = "any",
      .help = "which models' tokens; * stands for any characters" },
    { .key = "input",
      .type = FIELD_WEIGHT,
      .offset = IN_WEIGHTS(input),
      .fallback = "1",
      .help = "of an input token that no cache has to do with" },
    { .key = "cache_read",
      .type = FIELD_WEIGHT,
      .offset = IN_WEIGHTS(cache_read),
      .fallback = "0.1",
      .help = "of one read from a cache" },
    { .key = "cache_write",
      .type = FIELD_WEIGHT,
      .offset = IN_WEIGHTS(cache_write),
      .fallback = "1.25",
      .help = "of one written to a cache" },
    { .key = "cache_keep",
      .type = FIELD_WEIGHT,
      .offset = IN_WEIGHTS(cache_keep),
      .fallback = "2",
      .help = "of one written to be kept for an hour or longer" },
    { .key = "output",
      .type = FIELD_WEIGHT,
      .offset = IN_WEIGHTS(output),
      .fallback = "5",
      .help = "of an output token, hidden or not" },
    { 0 }
};

static const struct field_group weights_group = { .title = "quota.weights[]",
                                                  .fields = weights_fields,
                                                  .size = sizeof(struct config_weights),
                                                  .name_offset = NO_OFFSET,
                                                  .place_offset = IN_WEIGHTS(place) };

static const struct field all_quotas_fields[] = {
    { .key = "weights",
      .type = FIELD_LIST,
      .offset = IN_CONFIG(weights),
      .count_offset = IN_CONFIG(weights_count),
      .least = 1,
      .most = 64,
      .without = "1, 0.1, 1.25, 2 and 5, as below",
      .group = &weights_group,
      .help = "what weighted tokens weigh; the first that fits a call's model counts" },
    { .key = "redis",
      .type = FIELD_MAP,
      .without = "each replica counts by itself",
      .group = &redis_group,
      .help = "a Redis (6 or later) or Valkey server that replicas share quotas by" },
    { 0 }
};

static const struct field_group all_quotas_group = { .title = "quota",
                                                     .fields = all_quotas_fields };

const char *const config_events[] = { "quota.warning", "quota.reached", "finding.new",
                                      NULL };

static const struct field permit_for_fields[] = { SCOPE_FIELDS(IN_PERMIT(scope)) };

static const struct field_group permit_for_group = { .title = "permits[].for",
                                                     .fields = permit_for_fields };

static const struct field permit_fields[] = {
    { .key = "name",
      .type = FIELD_NAME,
      .required = true,
      .offset = IN_PERMIT(name),
      .help = "what refusals call it" },
    { .key = "for",
      .type = FIELD_MAP,
      .without = "every call",
      .group = &permit_for_group,
      .help = "which calls it restricts: those that fit all of these" },
    { .key = "models",
      .type = FIELD_TEXTS,
      .element = FIELD_TEXT,
      .offset = IN_PERMIT(models),
      .without = "any",
      .most = 256,
      .help = "patterns of the models that may be asked for; * stands for any "
              "characters" },
    { .key = "max_output",
      .type = FIELD_COUNT,
      .offset = IN_PERMIT(max_output),
      .without = "any number",
      .least = 1,
      .most = 100000000,
      .help = "output tokens that a call may ask for; one that gives no "
              "limit of its own is refused, too" },
    { .key = "service_tiers",
      .type = FIELD_TEXTS,
      .element = FIELD_TEXT,
      .offset = IN_PERMIT(service_tiers),
      .without = "any",
      .most = 16,
      .help = "patterns of the service tiers that may be named; naming none is always "
              "allowed" },
    { .key = "paid_tools",
      .type = FIELD_TEXTS,
      .element = FIELD_TEXT,
      .offset = IN_PERMIT(paid_tools),
      .without = "any",
      .most = 64,
      .help = "patterns of the provider's own tools that may be used, such as "
              "web_search*; [] is none. Functions of the caller's are no such tools" },
    { .key = "contact",
      .type = FIELD_TEXT,
      .offset = IN_PERMIT(contact),
      .without = "nobody",
      .help = "whom a refused caller may ask: a refusal names it" },
    { 0 }
};

static const struct field_group permit_group = { .title = "permits[]",
                                                 .fields = permit_fields,
                                                 .size = sizeof(struct config_permit),
                                                 .name_offset = NO_OFFSET,
                                                 .place_offset = IN_PERMIT(place) };

static const struct field webhook_fields[] = {
    { .key = "url",
      .type = FIELD_LINK,
      .required = true,
      .offset = IN_WEBHOOK(url),
      .help = "https://host[:port]/path; plain http only to loopback" },
    { .key = "secret",
      .type = FIELD_SECRET,
      .required = true,
      .offset = IN_WEBHOOK(secret),
      .help = "env:NAME or file:/path: signs each message as Standard Webhooks do; "
              "after whsec_ it is base64" },
    { .key = "events",
      .type = FIELD_TEXTS,
      .element = FIELD_NAME,
      .offset = IN_WEBHOOK(events),
      .without = "all",
      .least = 1,
      .most = 16,
      .help = "which are sent here, of quota.warning, quota.reached and finding.new" },
    { .key = "ca",
      .type = FIELD_PATH,
      .offset = IN_WEBHOOK(ca),
      .without = "the system's store",
      .help = "PEM file of the authorities that may sign the receiver's certificate" },
    { .key = "insecure_for_tests",
      .type = FIELD_SWITCH,
      .offset = IN_WEBHOOK(insecure_for_tests),
      .fallback = "off",
      .help = "do not verify the certificate; refused unless the host is loopback" },
    { .key = "timeout",
      .type = FIELD_DURATION,
      .offset = IN_WEBHOOK(timeout_ms),
      .fallback = "10s",
      .least = 10,
      .most = 5 * MINUTE,
      .help = "for one attempt: from connecting to the end of the answer" },
    { .key = "retry",
      .type = FIELD_DURATION,
      .offset = IN_WEBHOOK(retry_ms),
      .fallback = "5s",
      .least = 10,
      .most = HOUR,
      .help = "wait after a failed attempt; doubled each time, up to an hour" },
    { .key = "give_up",
      .type = FIELD_DURATION,
      .offset = IN_WEBHOOK(give_up_ms),
      .fallback = "24h",
      .least = 10,
      .most = 7 * DAY,
      .help = "a message that was not taken by then is dropped, and logged" },
    { 0 }
};

static const struct field_group webhook_group = { .title = "webhooks.NAME",
                                                  .fields = webhook_fields,
                                                  .size = sizeof(struct config_webhook),
                                                  .name_offset = IN_WEBHOOK(name),
                                                  .place_offset = IN_WEBHOOK(place) };

static const struct field limit_fields[] = {
    { .key = "body",
      .type = FIELD_SIZE,
      .offset = IN_CONFIG(limits.body_bytes),
      .fallback = "32 MiB",
      .least = KIB,
      .most = GIB,
      .help = "request body; a longer one is refused with 413" },
    { .key = "held",
      .type = FIELD_SIZE,
      .offset = IN_CONFIG(limits.held_bytes),
      .fallback = "256 MiB",
      .least = KIB,
      .most = (uint64_t)64 * GIB,
      .help =
          "request bodies held until their facts are known, in all; not below 'body'" },
    { .key = "decoded",
      .type = FIELD_SIZE,
      .offset = IN_CONFIG(limits.decoded_bytes),
      .fallback = "64 MiB",
      .least = KIB,
      .most = (uint64_t)4 * GIB,
      .help =
          "decoded copy of one compressed body; beyond it nothing more is counted" },
    { .key = "decoded_ratio",
      .type = FIELD_COUNT,
      .offset = IN_CONFIG(limits.decoded_ratio),
      .fallback = "200",
      .least = 2,
      .most = 100000,
      .help = "decoded to encoded bytes: a bound against decompression bombs" },
    { .key = "exchanges",
      .type = FIELD_COUNT,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(limits.exchanges),
      .fallback = "16384",
      .least = 1,
      .most = 1000000,
      .help = "open at once, per worker" },
    { .key = "connections",
      .type = FIELD_COUNT,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(limits.connections),
      .fallback = "16384",
      .least = 1,
      .most = 1000000,
      .help = "client connections at once, per worker" },
    { .key = "head_timeout",
      .type = FIELD_DURATION,
      .offset = IN_CONFIG(limits.head_timeout_ms),
      .fallback = "10s",
      .least = 10,
      .most = HOUR,
      .help = "from a request's first byte to the end of its head" },
    { .key = "body_timeout",
      .type = FIELD_DURATION,
      .offset = IN_CONFIG(limits.body_timeout_ms),
      .fallback = "30s",
      .least = 10,
      .most = HOUR,
      .help = "silence within a request body" },
    { .key = "keep_alive",
      .type = FIELD_DURATION,
      .offset = IN_CONFIG(limits.keep_alive_ms),
      .fallback = "75s",
      .least = 10,
      .most = DAY,
      .help = "silence between two requests of a connection" },
    { .key = "write_timeout",
      .type = FIELD_DURATION,
      .offset = IN_CONFIG(limits.write_timeout_ms),
      .fallback = "60s",
      .least = 10,
      .most = DAY,
      .help = "a client that does not read what is sent to it" },
    { .key = "stop_timeout",
      .type = FIELD_DURATION,
      .offset = IN_CONFIG(limits.stop_timeout_ms),
      .fallback = "30s",
      .most = DAY,
      .help = "SIGTERM: time for open exchanges to end by themselves" },
    { .key = "series",
      .type = FIELD_COUNT,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(limits.series),
      .fallback = "2000",
      .least = 16,
      .most = 1000000,
      .help = "metric label sets, per worker; further ones are counted as overflow" },
    { 0 }
};

static const struct field_group limit_group = { .title = "limits",
                                                .fields = limit_fields };

static const struct field detection_fields[] = {
    { .key = "mode",
      .type = FIELD_WORD,
      .offset = IN_CONFIG(detection.mode),
      .words = detection_words,
      .fallback = "shadow",
      .help = "shadow: scores and findings for auditors, but no call is flagged" },
    { .key = "threshold",
      .type = FIELD_COUNT,
      .offset = IN_CONFIG(detection.threshold),
      .fallback = "16",
      .least = 16,
      .most = 60,
      .help =
          "score from which traffic is automated-looking; calibration may raise it" },
    { .key = "secret",
      .type = FIELD_SECRET,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(detection.secret),
      .without = "one of its own",
      .help = "16 bytes or more, equal on all replicas: with 'quota.redis' they look "
              "at each "
              "other's calls; a new one starts detection anew" },
    { 0 }
};

static const struct field_group detection_group = { .title = "detection",
                                                    .fields = detection_fields };

static const struct field retention_fields[] = {
    { .key = "turns",
      .type = FIELD_DAYS,
      .offset = IN_CONFIG(retention.turns_days),
      .fallback = "28d",
      .least = 1,
      .most = 3650,
      .help =
          "sketches of calls, for 'assay export --turns'; below 7d rings of keys are "
          "forgotten sooner at a restart" },
    { .key = "findings",
      .type = FIELD_DAYS,
      .offset = IN_CONFIG(retention.findings_days),
      .fallback = "90d",
      .least = 1,
      .most = 3650,
      .help =
          "findings after they were last seen, with all remarks; also the scores and "
          "the sketches of callers who are gone" },
    { .key = "exchanges",
      .type = FIELD_DAYS,
      .offset = IN_CONFIG(retention.exchanges_days),
      .fallback = "0d",
      .most = 36500,
      .help = "records of calls in the ledger, after they began; 0d keeps them. Quotas "
              "are counted anew from them at a start: not below the longest period" },
    { 0 }
};

static const struct field_group retention_group = { .title = "retention",
                                                    .fields = retention_fields };

static const struct field log_fields[] = {
    { .key = "file",
      .type = FIELD_PATH,
      .offset = IN_CONFIG(log_file),
      .fallback = "-",
      .help = "\"-\" is standard error; SIGUSR1 reopens a file" },
    { .key = "exchanges",
      .type = FIELD_SWITCH,
      .offset = IN_CONFIG(log_exchanges),
      .fallback = "off",
      .help =
          "a line per exchange, beside its record in the ledger; never bodies, keys "
          "or query strings" },
    { 0 }
};

static const struct field_group log_group = { .title = "log", .fields = log_fields };

static const struct field journal_fields[] = {
    { .key = "slots",
      .type = FIELD_COUNT,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(journal_slots),
      .fallback = "16384",
      .least = 16,
      .most = 4194304,
      .help = "exchanges open or not yet in the ledger, per worker; not below "
              "'limits.exchanges'" },
    { 0 }
};

static const struct field_group journal_group = { .title = "journal",
                                                  .fields = journal_fields };

static const struct field config_fields[] = {
    { .key = "listen",
      .type = FIELD_LIST,
      .reload = RELOAD_RESTART,
      .required = true,
      .offset = IN_CONFIG(listeners),
      .count_offset = IN_CONFIG(listener_count),
      .least = 1,
      .most = 64,
      .group = &listener_group,
      .help = "where clients connect" },
    { .key = "admin",
      .type = FIELD_MAP,
      .group = &admin_group,
      .help = "the operator's own port" },
    { .key = "state",
      .type = FIELD_PATH,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(state),
      .fallback = "/var/lib/assay",
      .help = "folder of journal, ledger and keys" },
    { .key = "providers",
      .type = FIELD_NAMED,
      .required = true,
      .offset = IN_CONFIG(providers),
      .count_offset = IN_CONFIG(provider_count),
      .least = 1,
      .most = 256,
      .group = &provider_group,
      .help = "by name (a-z, 0-9 and -), which is also the first part of the path that "
              "tools use: /NAME" },
    { .key = "teams",
      .type = FIELD_NAMED,
      .offset = IN_CONFIG(teams),
      .count_offset = IN_CONFIG(team_count),
      .without = "no team",
      .most = 4096,
      .group = &team_group,
      .help = "by name: whose calls are whose" },
    { .key = "issuers",
      .type = FIELD_NAMED,
      .offset = IN_CONFIG(issuers),
      .count_offset = IN_CONFIG(issuer_count),
      .without = "no token is taken",
      .most = 16,
      .group = &issuer_group,
      .help = "by name: whose signed tokens (JWT, OpenID Connect) prove who calls" },
    { .key = "quotas",
      .type = FIELD_LIST,
      .offset = IN_CONFIG(quotas),
      .count_offset = IN_CONFIG(quota_count),
      .without = "no quota",
      .most = 256,
      .group = &quota_group,
      .help =
          "who may spend how much; a call counts in every one that fits it, and the "
          "tightest answers" },
    { .key = "detection",
      .type = FIELD_MAP,
      .group = &detection_group,
      .help = "telling automated, repetitive traffic from people's" },
    { .key = "quota",
      .type = FIELD_MAP,
      .group = &all_quotas_group,
      .help = "how quotas are counted" },
    { .key = "permits",
      .type = FIELD_LIST,
      .offset = IN_CONFIG(permits),
      .count_offset = IN_CONFIG(permit_count),
      .without = "no restriction",
      .most = 256,
      .group = &permit_group,
      .help = "what may be asked for; a call needs every permit that fits it" },
    { .key = "webhooks",
      .type = FIELD_NAMED,
      .offset = IN_CONFIG(webhooks),
      .count_offset = IN_CONFIG(webhook_count),
      .without = "no webhook",
      .most = 16,
      .group = &webhook_group,
      .help = "by name: services that are told what happened" },
    { .key = "retention",
      .type = FIELD_MAP,
      .group = &retention_group,
      .help = "when what detection keeps is deleted" },
    { .key = "limits",
      .type = FIELD_MAP,
      .group = &limit_group,
      .help = "bounds of what clients can take up" },
    { .key = "log",
      .type = FIELD_MAP,
      .group = &log_group,
      .help = "what is written as it happens" },
    { .key = "journal",
      .type = FIELD_MAP,
      .group = &journal_group,
      .help = "the memory that outlives a crash" },
    { .key = "workers",
      .type = FIELD_COUNT,
      .reload = RELOAD_RESTART,
      .offset = IN_CONFIG(workers),
      .fallback = "0",
      .most = 256,
      .help = "event loops, a thread each; 0 is one per processor" },
    { .key = "prices",
      .type = FIELD_PATH,
      .offset = IN_CONFIG(prices),
      .without = "the one installed with assay",
      .help = "price list, as config/prices.yaml" },
    { .key = "clients",
      .type = FIELD_PATH,
      .offset = IN_CONFIG(clients),
      .without = "the one installed with assay",
      .help = "how tools are recognised, as config/clients.yaml" },
    { .key = "harness",
      .type = FIELD_PATH,
      .offset = IN_CONFIG(harness),
      .without = "the one installed with assay",
      .help = "what client programs say by themselves, as config/harness.yaml" },
    { 0 }
};

const struct field_group config_schema = { .title = NULL, .fields = config_fields };

const struct field *field_find(const struct field_group *group, const char *key)
{
    for (const struct field *field = group->fields; field->key != NULL; field++) {
        if (strcmp(field->key, key) == 0) {
            return field;
        }
    }
    return NULL;
}
