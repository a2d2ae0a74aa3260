/* The configuration in force, as plain data. config_load() fills it from one YAML file
 * by the rows of schema.c; nobody changes it afterwards. */
#ifndef ASSAY_CONFIG_CONFIG_H
#define ASSAY_CONFIG_CONFIG_H

#include "proxy/base/error.h"
#include "proxy/base/secret.h"
#include "proxy/base/span.h"

#include <stdint.h>

/* A socket address: "127.0.0.1:8080", "[::1]:8080" or "unix:/path". */
struct config_address {
    const char *text;
    const char *host; /* numeric; NULL for a Unix socket */
    const char *path; /* of a Unix socket; NULL otherwise */
    uint16_t port;
    bool loopback; /* 127.0.0.0/8, ::1 or a Unix socket */
};

/* A URL in its parts. */
struct config_url {
    const char *text; /* as written */
    const char *host; /* lower case; an IPv6 literal without brackets */
    const char *base; /* path, "" or "/x/y"; no final slash */
    uint16_t port;
    bool tls;
    bool loopback; /* the host is a loopback literal or "localhost" */
};

struct config_certificate {
    const char *chain;
    const char *key;
    struct error_place place;
};

/* Of FIELD_WORDS: indexes of words, in the order written, none twice. */
struct config_words {
    uint8_t count;
    uint8_t at[7];
};

/* Names that a client certificate can hold, and that a caller may be taken from. */
enum config_certificate_name {
    CERTIFICATE_SPIFFE, /* the URI, if it is a SPIFFE id */
    CERTIFICATE_URI,
    CERTIFICATE_EMAIL,
    CERTIFICATE_DNS,
    CERTIFICATE_CN
};

struct config_tls {
    struct config_certificate *certificates; /* none: plain HTTP */
    size_t certificate_count;
    const char *client_ca;     /* file; NULL: no client certificate is asked for */
    const char *client_crl;    /* file; NULL: nothing is revoked */
    bool client_required;      /* a handshake without one fails */
    struct config_words names; /* enum config_certificate_name, the first that it has */
};

/* "10.0.0.0/8", "::1", "unix" (whoever may open the Unix socket).
 * IPv4 as ::ffff:a.b.c.d. */
struct config_network {
    uint8_t address[16];
    uint8_t bits;
    bool local;
};

enum { NETWORKS_MAX = 32 };

struct config_networks {
    size_t count;
    struct config_network at[NETWORKS_MAX];
};

/* A header field in which a proxy before assay names the caller. */
struct config_trusted_header {
    const char *name; /* NULL: none is trusted */
    const char *team; /* field with the team's name; NULL: the directory knows it */
    struct config_networks from;
};

/* Credentials that a listener takes. */
enum config_identify {
    IDENTIFY_KEY,
    IDENTIFY_JWT,
    IDENTIFY_CERTIFICATE,
    IDENTIFY_HEADER,
    IDENTIFY_COUNT
};

struct config_listener {
    struct config_address address;
    struct config_tls tls;
    struct config_words identify; /* enum config_identify */
    struct config_trusted_header trusted_header;
    const char *default_team; /* of certificates' and headers' callers that are in no
                                 team; NULL: they are refused */
    struct error_place place;
};

/* A name and what is said of it, from a map of texts. */
struct config_pair {
    const char *name;
    const char *value;
    struct error_place place;
};

/* Where an issuer's keys come from: a file or a URL. */
struct config_jwks {
    const char *text; /* as written */
    const char *file; /* NULL: the URL */
    struct config_url url;
};

/* Somebody whose signed tokens are taken. */
struct config_issuer {
    const char *name;
    struct error_place place;
    const char *issuer;          /* "iss" */
    const char *const *audience; /* "aud" holds one of these; NULL at the end */
    struct config_jwks jwks;
    const char *ca;            /* file; NULL: the system's store */
    const char *rsa_algorithm; /* of RSA keys that name none */
    const char *caller_claim;  /* paths of claims */
    const char *team_claim;    /* NULL: the directory knows it */
    struct config_pair *tags;  /* tag from claim */
    size_t tag_count;
    const char *default_team; /* of callers in no team; NULL: they are refused */
    uint32_t leeway_ms;
    uint32_t refresh_ms;
};

enum config_role { ROLE_OPERATOR, ROLE_AUDITOR, ROLE_LEAD };

/* Somebody who may use the admin port. */
struct config_admin_user {
    const char *name;
    struct error_place place;
    enum config_role role;
    const char *team;        /* of a lead; NULL: no lead */
    struct secret *token;    /* NULL: by certificate */
    const char *certificate; /* the name in it; NULL: by token */
};

enum config_abort { ABORT_DRAIN, ABORT_CANCEL };
enum config_unknown_paths { UNKNOWN_DENY, UNKNOWN_RELAY };
enum config_unpriced { UNPRICED_ALLOW, UNPRICED_DENY };
enum config_credential {
    CREDENTIAL_NONE,
    CREDENTIAL_SECRET,
    CREDENTIAL_PASSTHROUGH,
    CREDENTIAL_AWS,   /* requests are signed with a key that may change */
    CREDENTIAL_GOOGLE /* an access token that is fetched anew before it expires */
};

/* Where a key of AWS comes from; AWS_CHAIN asks the others in this order. */
enum config_aws_source {
    AWS_CHAIN,
    AWS_ENV,
    AWS_FILE,
    AWS_CONTAINER,
    AWS_INSTANCE,
    AWS_SOURCES
};

struct config_aws {
    enum config_aws_source source;
    const char *file;    /* of profiles; NULL: as AWS's own tools find it */
    const char *profile; /* NULL: as AWS's own tools choose it */
    const char *region;  /* NULL: the one in the provider's host name */
    const char *service; /* that signatures are for; NULL: by the host name */
};

struct config_google {
    const char *file; /* a service account's key; NULL: the machine's own account */
    const char *scope;
};

/* The body's member that a provider takes an identity from. */
enum config_tag_field {
    TAG_NONE,
    TAG_SAFETY_IDENTIFIER, /* OpenAI: "safety_identifier" */
    TAG_METADATA_USER_ID,  /* Anthropic: "metadata": {"user_id": ...} */
    TAG_REQUEST_METADATA   /* Bedrock: "requestMetadata": {"caller": ...} */
};

/* Where a provider is told who calls, as a keyed hash. */
struct config_tag {
    const char *header; /* NULL: in none */
    enum config_tag_field field;
};

struct config_provider {
    const char *name;
    struct error_place place;
    const char *url;  /* as written */
    const char *host; /* of the url, lower case; an IPv6 literal without brackets */
    const char *base; /* path prefix of the url, "" or "/x/y"; no final slash */
    uint16_t port;
    bool tls;
    bool loopback;               /* the host is a loopback literal or "localhost" */
    const char *const *dialects; /* families, such as "openai"; NULL at the end */
    enum config_credential credential;
    struct secret *secret;        /* with CREDENTIAL_SECRET */
    const char *credential_field; /* header it is sent in; NULL: the dialect's own */
    struct config_aws aws;
    struct config_google google;
    bool is_default; /* bare native paths of its dialects come here */
    struct config_tag tag;
    enum config_abort on_client_abort;
    enum config_unknown_paths unknown_paths;
    bool inject_usage;
    enum config_unpriced unpriced; /* of models without a price */
    const char *price_as;          /* whose price such a model has; NULL: none */
    const char *ca;                /* file; NULL: the system's store */
    bool insecure_for_tests;
    uint32_t connect_timeout_ms;
    uint32_t first_byte_timeout_ms;
    uint32_t idle_timeout_ms; /* silence between bytes */
    bool websockets;
    uint32_t websocket_idle_timeout_ms; /* nothing asked, nothing said */
    uint32_t pool_idle_ms;              /* how long an unused connection is kept */
    uint32_t pool_size;                 /* unused connections kept per worker */
    uint32_t drain_timeout_ms;          /* after the client left */
    uint64_t drain_bytes;
    uint32_t drain_limit; /* drains at once, all workers */
};

/* Room for a call's tags as text, with its end: "cost_centre=4711,project=atlas". */
enum { CONFIG_TAGS_SIZE = 128 };

struct config_team {
    const char *name;
    struct error_place place;
    const char *const *callers;  /* NULL at the end; NULL: none */
    const char *const *services; /* automation that is declared; the same */
    struct config_pair *tags;
    size_t tag_count;
    struct config_pair *aliases; /* caller by what a credential calls him */
    size_t alias_count;
};

/* What a quota has one counter for each of. */
enum config_quota_each {
    EACH_ALL, /* one counter for all calls */
    EACH_CALLER,
    EACH_TEAM,
    EACH_KEY,
    EACH_SESSION,
    EACH_MODEL
};

enum config_service { SERVICE_ANY, SERVICE_YES, SERVICE_NO };

/* As enum grade, from 1. */
enum config_grade {
    CONFIG_GRADE_ANY,
    CONFIG_GRADE_UNRATED,
    CONFIG_GRADE_CLEAR,
    CONFIG_GRADE_WATCH,
    CONFIG_GRADE_FLAGGED,
    CONFIG_GRADE_DECLARED
};

/* Which calls something is for: those that fit all of these. NULL: any. */
struct config_scope {
    const char *team, *caller, *provider, *tool, *mode;
    const char *model; /* a pattern: * stands for any characters */
    enum config_service service;
    enum config_grade grade;
};

enum config_quota_over { OVER_REFUSE, OVER_WARN, OVER_SHADOW };

/* Replicas name the counters that they share by these numbers: new ones come last. */
enum config_limit_unit {
    LIMIT_TOKENS, /* of all classes */
    LIMIT_INPUT,  /* cached ones included */
    LIMIT_OUTPUT, /* hidden ones included */
    LIMIT_NANOUSD,
    LIMIT_REQUESTS,
    LIMIT_CONCURRENT, /* exchanges open at once */
    LIMIT_WEIGHTED    /* tokens by what their class weighs */
};

/* So far below 2^64 that sums of limits and reservations stay below it, too. */
#define LIMIT_MOST (UINT64_C(1) << 60)

struct config_limit {
    const char *text; /* as written: "20M tokens" */
    uint64_t amount;  /* 0: the value was a mistake */
    enum config_limit_unit unit;
};

enum config_period_unit {
    PERIOD_NONE, /* of a limit of concurrent calls */
    PERIOD_MINUTE,
    PERIOD_HOUR,
    PERIOD_DAY,
    PERIOD_WEEK, /* from Monday */
    PERIOD_MONTH,
    PERIOD_ROLLING
};

struct config_period {
    const char *text; /* as written: "day"; NULL: none */
    enum config_period_unit unit;
    uint32_t rolling_s; /* of PERIOD_ROLLING */
};

/* Quotas that one call may count in, at most. */
enum { QUOTAS_MET_MAX = 16 };

/* What becomes of a stream that goes on beyond what is left. */
enum config_on_exceed { ON_EXCEED_FINISH, ON_EXCEED_CUT };

/* A policy of who may spend how much. */
struct config_quota {
    const char *name;
    struct error_place place;
    struct config_scope scope;
    enum config_quota_each each;
    struct config_limit limit;
    struct config_limit burst; /* how far ahead of an even pace; amount 0: any far */
    struct config_period period;
    const char *timezone;    /* whose calendar; NULL: UTC */
    const char *const *warn; /* shares such as "80%"; NULL: none, NULL at the end */
    enum config_quota_over over;
    enum config_on_exceed on_exceed;
    const char *contact; /* whom a refused caller may ask; NULL: nobody named */
};

/* What tokens of a model weigh, in hundredths, where limits are of weighted tokens. */
struct config_weights {
    const char *model; /* a pattern; NULL: any */
    struct error_place place;
    uint32_t input;
    uint32_t cache_read;
    uint32_t cache_write;
    uint32_t cache_keep; /* written to be kept for an hour or longer */
    uint32_t output;     /* hidden or not */
};

/* Where nothing is configured: as most list prices relate to each other. */
enum {
    WEIGHT_USUAL_INPUT = 100,
    WEIGHT_USUAL_CACHE_READ = 10,
    WEIGHT_USUAL_CACHE_WRITE = 125,
    WEIGHT_USUAL_CACHE_KEEP = 200,
    WEIGHT_USUAL_OUTPUT = 500
};

enum config_fail { FAIL_OPEN, FAIL_CLOSED };

/* Where replicas share their quotas. */
struct config_redis {
    const char *text; /* as written; NULL: they do not */
    const char *host; /* NULL for a Unix socket */
    const char *path; /* of a Unix socket */
    uint16_t port;
    uint32_t database;
    const char *username;    /* NULL: the default user */
    struct secret *password; /* NULL: none, or not resolved */
    const char *prefix;      /* of every key */
    uint32_t slice_percent;
    enum config_fail fail;
    uint32_t timeout_ms;
    bool tls;                /* rediss:// */
    const char *ca;          /* file; NULL: the system's store */
    const char *certificate; /* files, to show to the server; NULL: none */
    const char *key;
};

/* What calls may ask for. */
struct config_permit {
    const char *name;
    struct error_place place;
    struct config_scope scope;
    /* Lists of patterns, NULL at the end; NULL: any. */
    const char *const *models;
    const char *const *service_tiers;
    const char *const *paid_tools;
    uint32_t max_output; /* tokens; 0: any number */
    const char *contact; /* whom a refused caller may ask; NULL: nobody named */
};

/* What becomes of automated-looking traffic. */
enum config_detection_mode {
    DETECTION_OFF,    /* nothing is looked at */
    DETECTION_SHADOW, /* scores and findings for auditors; no call is flagged */
    DETECTION_ON
};

struct config_detection {
    enum config_detection_mode mode;
    uint32_t threshold;    /* nats; calibration may raise it further */
    struct secret *secret; /* of all replicas' sketches; NULL: none, or unresolved */
};

/* What webhooks may tell, in the words of `events`; NULL at the end. */
extern const char *const config_events[];

/* Where messages about what happened are sent. */
struct config_webhook {
    const char *name;
    struct error_place place;
    struct config_url url;
    struct secret *secret;     /* signs the messages; NULL: not resolved */
    const char *const *events; /* NULL: all; NULL at the end */
    const char *ca;            /* file; NULL: the system's store */
    bool insecure_for_tests;
    uint32_t timeout_ms;
    uint32_t retry_ms;   /* the first wait; doubled each time */
    uint32_t give_up_ms; /* after its first attempt */
};

/* How long what is recorded is kept. */
struct config_retention {
    uint32_t turns_days;     /* sketches of calls */
    uint32_t findings_days;  /* after they were last seen; scores and states as long */
    uint32_t exchanges_days; /* of the ledger; 0: for ever */
};

struct config_limits {
    uint64_t body_bytes;    /* of a request */
    uint64_t held_bytes;    /* of request bodies held for their facts, in all */
    uint64_t decoded_bytes; /* of a decoded copy */
    uint32_t decoded_ratio; /* decoded to encoded */
    uint32_t exchanges;     /* open at once, per worker */
    uint32_t connections;   /* client connections at once, per worker */
    uint32_t head_timeout_ms;
    uint32_t body_timeout_ms;  /* silence within a request body */
    uint32_t keep_alive_ms;    /* silence between requests */
    uint32_t write_timeout_ms; /* a client that does not read */
    uint32_t stop_timeout_ms;  /* SIGTERM: time for open exchanges */
    uint32_t series;           /* metric label sets per worker */
};

struct config {
    const char *file;
    struct config_listener *listeners;
    size_t listener_count;
    struct config_address admin;
    bool admin_on;
    struct config_tls admin_tls;
    struct config_admin_user *admin_users; /* none: nobody is asked who he is */
    size_t admin_user_count;
    struct config_issuer *issuers; /* in the order of the file */
    size_t issuer_count;
    const char *state;                 /* folder of journal, ledger and keys */
    struct config_provider *providers; /* in the order of the file */
    size_t provider_count;
    struct config_team *teams;
    size_t team_count;
    struct config_quota *quotas; /* in the order of the file */
    size_t quota_count;
    struct config_redis redis;
    const struct config_weights *weights; /* the first that fits a model counts */
    size_t weights_count;
    struct config_permit *permits; /* in the order of the file */
    size_t permit_count;
    struct config_detection detection;
    struct config_retention retention;
    struct config_webhook *webhooks;
    size_t webhook_count;
    struct config_limits limits;
    uint32_t workers;       /* 0: one per processor */
    const char *prices;     /* file; NULL: the one installed with assay */
    const char *clients;    /* file; NULL: the one installed with assay */
    const char *harness;    /* likewise */
    const char *log_file;   /* "-": standard error */
    bool log_exchanges;     /* a line per exchange */
    uint32_t journal_slots; /* per worker */
};

/* Whether credentials are read, and whether it is checked that named files can be. */
enum config_secrets { CONFIG_WITHOUT_SECRETS, CONFIG_WITH_SECRETS };

/* Reads, checks and resolves a file. Every mistake is an entry in *error with its place
 * and, for unknown keys, the nearest known key; NULL if there is any. `path` outlives
 * *error and the configuration: every place points to it.
 *
 * `families` are the words that a provider's `dialects` may hold, NULL at the end; NULL
 * takes any word. */
struct config *config_load(const char *path, const char *const *families,
                           enum config_secrets secrets, struct error *error);

/* The same from memory: for tests and fuzzing. `name` stands for the file in errors;
 * the relative file names in `text` are relative to its folder. */
struct config *config_parse(const char *name, struct span text,
                            const char *const *families, enum config_secrets secrets,
                            struct error *error);

/* Frees all, wiping secrets; takes NULL; returns NULL. */
struct config *config_free(struct config *config);

/* Keys that a reload cannot change and that differ between the two, as entries with
 * their places in `wanted`. */
void config_reload_check(const struct config *old, const struct config *wanted,
                         struct error *error);

#endif
