#include "config/validate.h"

#include "config/aws_host.h"
#include "config/identity_rule.h"
#include "config/load.h"
#include "config/nearest.h"
#include "config/quota_rule.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct checker {
    const struct config *config;
    const struct validation *validation;
};

static struct error_place at(const struct checker *checker, const void *member,
                             struct error_place otherwise)
{
    return config_place(checker->config, member, otherwise);
}

/* For members whose default is in force. */
static struct error_place whole_file(const struct checker *checker)
{
    return (struct error_place){ .file = checker->config->file };
}

static void check_readable(const struct checker *checker, const char *const *file,
                           struct error_place otherwise)
{
    if (checker->validation->look_at_files && *file != NULL &&
        access(*file, R_OK) != 0) {
        error_add(checker->validation->error, at(checker, file, otherwise),
                  "'%s' cannot be read: %s", *file, strerror(errno));
    }
}

static bool same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
    return same_text(a->path, b->path) ||
           (same_text(a->host, b->host) && a->port == b->port);
}

static void check_tls(const struct checker *checker, const struct config_tls *tls)
{
    for (size_t i = 0; i < tls->certificate_count; i++) {
        const struct config_certificate *certificate = &tls->certificates[i];

        check_readable(checker, &certificate->chain, certificate->place);
        check_readable(checker, &certificate->key, certificate->place);
    }
    check_readable(checker, &tls->client_ca, whole_file(checker));
    check_readable(checker, &tls->client_crl, whole_file(checker));
}

static void check_listeners(const struct checker *checker)
{
    const struct config *config = checker->config;
    struct error *error = checker->validation->error;

    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        struct error_place place = at(checker, &listener->address, whole_file(checker));

        for (size_t j = 0; j < i; j++) {
            if (same_address(&listener->address, &config->listeners[j].address)) {
                error_add(error, place, "two listeners have the address %s",
                          listener->address.text);
            }
        }
        if (config->admin_on && same_address(&listener->address, &config->admin)) {
            error_add(error, place, "%s is the address of 'admin' already",
                      listener->address.text);
        }
        check_tls(checker, &listener->tls);
    }
}

/* Names that are the first part of bare native paths. */
static const char *const native_names[] = { "api",     "assay", "model",
                                            "models",  "v1",    "v1beta",
                                            "v1alpha", "v2",    NULL };

static bool is_provider_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < 32 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
           name[0] != '-' && name[len - 1] != '-';
}

static void check_provider_name(const struct checker *checker,
                                const struct config_provider *provider)
{
    struct error *error = checker->validation->error;
    struct error_place place = provider->place;

    if (!is_provider_name(provider->name)) {
        error_add(error, place,
                  "provider name '%.60s' is not 1 to 31 of a-z, 0-9 and -, "
                  "with no - at either end",
                  provider->name);
        return;
    }
    for (const char *const *name = native_names; *name != NULL; name++) {
        if (strcmp(*name, provider->name) == 0) {
            error_add(error, place,
                      "a provider cannot be named '%s': the providers' own paths begin "
                      "with it",
                      provider->name);
        }
    }
}

static void check_url(const struct checker *checker,
                      const struct config_provider *provider)
{
    struct error *error = checker->validation->error;

    if (provider->url == NULL) {
        return;
    }
    if (!provider->tls && !provider->loopback) {
        error_add(error, at(checker, &provider->url, provider->place),
                  "plain http only to loopback: '%s' must be reached by https",
                  provider->host);
    }
    if (provider->insecure_for_tests && !provider->loopback) {
        error_add(error, at(checker, &provider->insecure_for_tests, provider->place),
                  "insecure_for_tests is for loopback only, not for '%s'; name the "
                  "authority that signs it with 'ca'",
                  provider->host);
    }
}

/* Fields that assay writes itself or that end at each connection. */
static const char *const own_fields[] = { "connection",
                                          "content-encoding",
                                          "content-length",
                                          "content-type",
                                          "expect",
                                          "host",
                                          "keep-alive",
                                          "te",
                                          "transfer-encoding",
                                          "trailer",
                                          "upgrade",
                                          "x-assay-key",
                                          NULL };

static void check_credential(const struct checker *checker,
                             const struct config_provider *provider)
{
    struct error *error = checker->validation->error;
    struct error_place place;

    if (provider->credential_field == NULL) {
        return;
    }
    place = at(checker, &provider->credential_field, provider->place);
    for (const char *const *field = own_fields; *field != NULL; field++) {
        if (strcmp(*field, provider->credential_field) == 0) {
            error_add(error, place, "a credential cannot be sent as '%s'", *field);
        }
    }
    if (provider->credential != CREDENTIAL_SECRET) {
        error_add(error, place,
                  "credential_header needs a credential of env: or file: to send");
    }
}

static bool speaks(const struct config_provider *provider, const char *family)
{
    const char *const *dialect = provider->dialects;

    while (dialect != NULL && *dialect != NULL) {
        if (strcmp(*dialect++, family) == 0) {
            return true;
        }
    }
    return false;
}

/* Dialect families whose bodies have each place for an identity. */
static void check_tag(const struct checker *checker,
                      const struct config_provider *provider)
{
    static const char *const families[] = { [TAG_SAFETY_IDENTIFIER] = "openai",
                                            [TAG_METADATA_USER_ID] = "anthropic",
                                            [TAG_REQUEST_METADATA] = "bedrock" };
    const struct config_tag *tag = &provider->tag;
    struct error *error = checker->validation->error;

    for (const char *const *field = own_fields; tag->header != NULL && *field != NULL;
         field++) {
        if (strcmp(*field, tag->header) == 0) {
            error_add(error, at(checker, &tag->header, provider->place),
                      "a tag cannot be sent as '%s'", *field);
        }
    }
    if (tag->field != TAG_NONE && !speaks(provider, families[tag->field])) {
        error_add(error, at(checker, &tag->field, provider->place),
                  "this field is of providers that speak '%s'", families[tag->field]);
    }
}

static bool is_written(const struct checker *checker, const void *member)
{
    return at(checker, member, (struct error_place){ 0 }).file != NULL;
}

/* Keys that say something about a setting which is another. */
static void check_unused(const struct checker *checker, const void *const *members,
                         size_t count, const char *setting)
{
    for (size_t i = 0; i < count; i++) {
        if (is_written(checker, members[i])) {
            error_add(checker->validation->error,
                      at(checker, members[i], whole_file(checker)),
                      "this has a meaning only with '%s'", setting);
        }
    }
}

static void check_aws(const struct checker *checker,
                      const struct config_provider *provider)
{
    const struct config_aws *aws = &provider->aws;
    const void *const members[] = { &aws->source, &aws->file, &aws->profile,
                                    &aws->region, &aws->service };

    if (provider->credential != CREDENTIAL_AWS) {
        check_unused(checker, members, sizeof members / sizeof members[0],
                     "credential: aws");
        return;
    }
    if (aws->region == NULL && provider->host != NULL &&
        aws_host_region(provider->host).len == 0) {
        error_add(checker->validation->error,
                  at(checker, &provider->url, provider->place),
                  "'%s' names no region to sign for: add 'aws: {region: us-east-1}'",
                  provider->host);
    }
    check_readable(checker, &aws->file, provider->place);
}

static void check_google(const struct checker *checker,
                         const struct config_provider *provider)
{
    const struct config_google *google = &provider->google;
    const void *const members[] = { &google->file, &google->scope };

    if (provider->credential != CREDENTIAL_GOOGLE) {
        check_unused(checker, members, sizeof members / sizeof members[0],
                     "credential: google");
        return;
    }
    check_readable(checker, &google->file, provider->place);
}

static void check_family(const struct checker *checker, const char *const *dialect)
{
    const char *const *families = checker->validation->families;
    struct nearest nearest = nearest_to(*dialect);
    struct error_place place = at(checker, dialect, whole_file(checker));

    for (size_t i = 0; families != NULL && families[i] != NULL; i++) {
        if (strcmp(families[i], *dialect) == 0) {
            return;
        }
        nearest_offer(&nearest, families[i]);
    }
    if (families == NULL) {
        return;
    }
    if (nearest.word == NULL) {
        error_add(checker->validation->error, place, "unknown dialect '%.60s'",
                  *dialect);
    } else {
        error_add(checker->validation->error, place,
                  "unknown dialect '%.60s'; did you mean '%s'?", *dialect,
                  nearest.word);
    }
}

static void check_dialects(const struct checker *checker,
                           const struct config_provider *provider)
{
    const char *const *dialects = provider->dialects;

    for (size_t i = 0; dialects != NULL && dialects[i] != NULL; i++) {
        check_family(checker, &dialects[i]);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(dialects[j], dialects[i]) == 0) {
                error_add(checker->validation->error,
                          at(checker, &dialects[i], whole_file(checker)),
                          "dialect '%.60s' stands here twice", dialects[i]);
            }
        }
    }
}

/* A bare path may belong to one provider only. */
static void check_default(const struct checker *checker, size_t index)
{
    const struct config_provider *providers = checker->config->providers;
    const struct config_provider *provider = &providers[index];
    const char *const *dialects = provider->dialects;

    for (size_t i = 0; provider->is_default && dialects != NULL && dialects[i] != NULL;
         i++) {
        for (size_t j = 0; j < index; j++) {
            if (providers[j].is_default && speaks(&providers[j], dialects[i])) {
                error_add(checker->validation->error,
                          at(checker, &provider->is_default, provider->place),
                          "provider '%.60s' is the default for dialect '%.60s' already",
                          providers[j].name, dialects[i]);
            }
        }
    }
}

static void check_providers(const struct checker *checker)
{
    for (size_t i = 0; i < checker->config->provider_count; i++) {
        const struct config_provider *provider = &checker->config->providers[i];

        check_provider_name(checker, provider);
        check_url(checker, provider);
        check_credential(checker, provider);
        check_tag(checker, provider);
        check_aws(checker, provider);
        check_google(checker, provider);
        check_dialects(checker, provider);
        check_default(checker, i);
        check_readable(checker, &provider->ca, provider->place);
    }
}

static void check_issuers(const struct checker *checker)
{
    for (size_t i = 0; i < checker->config->issuer_count; i++) {
        const struct config_issuer *issuer = &checker->config->issuers[i];

        check_readable(checker, &issuer->ca, issuer->place);
    }
    check_tls(checker, &checker->config->admin_tls);
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < 32 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "._-@+") == len;
}

/* Slots of a `callers` list by their text, then by their order in the list. */
static int compare_callers(const void *a, const void *b)
{
    const char *const *left = *(const char *const *const *)a;
    const char *const *right = *(const char *const *const *)b;
    int order = strcmp(*left, *right);

    return order != 0 ? order : (left > right) - (left < right);
}

static void check_callers(const struct checker *checker, const struct config_team *team)
{
    struct error *error = checker->validation->error;
    const char *const **slots;
    size_t count = 0;

    while (team->callers != NULL && team->callers[count] != NULL) {
        count++;
    }
    slots = calloc(count + 1, sizeof *slots);
    if (slots == NULL) {
        error_add(error, team->place, "not enough memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        slots[i] = &team->callers[i];
    }
    qsort(slots, count, sizeof *slots, compare_callers);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(*slots[i - 1], *slots[i]) == 0) {
            error_add(error, at(checker, slots[i], team->place),
                      "caller '%s' stands in team '%.60s' twice", *slots[i],
                      team->name);
        }
    }
    free(slots);
}

static void check_teams(const struct checker *checker)
{
    for (size_t i = 0; i < checker->config->team_count; i++) {
        const struct config_team *team = &checker->config->teams[i];

        if (!is_name(team->name)) {
            error_add(checker->validation->error, team->place,
                      "team name '%.60s' is not 1 to 31 letters, digits and . _ - @ +",
                      team->name);
        }
        check_callers(checker, team);
    }
}

static void check_event(const struct checker *checker, const char *const *event)
{
    struct nearest nearest = nearest_to(*event);
    struct error_place place = at(checker, event, whole_file(checker));

    for (const char *const *known = config_events; *known != NULL; known++) {
        if (strcmp(*known, *event) == 0) {
            return;
        }
        nearest_offer(&nearest, *known);
    }
    error_add(checker->validation->error, place, "unknown event '%.60s'%s%s%s", *event,
              nearest.word == NULL ? "" : "; did you mean '",
              nearest.word == NULL ? "" : nearest.word,
              nearest.word == NULL ? "" : "'?");
}

static void check_webhook(const struct checker *checker,
                          const struct config_webhook *webhook)
{
    struct error *error = checker->validation->error;

    if (!is_name(webhook->name)) {
        error_add(error, webhook->place,
                  "webhook name '%.60s' is not 1 to 31 letters, digits and . _ - @ +",
                  webhook->name);
    }
    check_readable(checker, &webhook->ca, webhook->place);
    for (size_t i = 0; webhook->events != NULL && webhook->events[i] != NULL; i++) {
        check_event(checker, &webhook->events[i]);
    }
    if (webhook->url.text == NULL) {
        return;
    }
    if (!webhook->url.tls && !webhook->url.loopback) {
        error_add(error, at(checker, &webhook->url, webhook->place),
                  "plain http only to loopback: '%s' must be reached by https",
                  webhook->url.host);
    }
    if (webhook->insecure_for_tests && !webhook->url.loopback) {
        error_add(error, at(checker, &webhook->insecure_for_tests, webhook->place),
                  "insecure_for_tests is for loopback only, not for '%s'; name the "
                  "authority that signs it with 'ca'",
                  webhook->url.host);
    }
}

static void check_webhooks(const struct checker *checker)
{
    for (size_t i = 0; i < checker->config->webhook_count; i++) {
        check_webhook(checker, &checker->config->webhooks[i]);
    }
}

static void check_limits(const struct checker *checker)
{
    const struct config *config = checker->config;
    const struct config_limits *limits = &config->limits;
    struct error *error = checker->validation->error;

    if (limits->held_bytes < limits->body_bytes) {
        error_add(error,
                  at(checker, &limits->held_bytes,
                     at(checker, &limits->body_bytes, whole_file(checker))),
                  "limits.held is below limits.body: a body of that size could never "
                  "be "
                  "held");
    }
    if (config->journal_slots < limits->exchanges) {
        error_add(error,
                  at(checker, &config->journal_slots,
                     at(checker, &limits->exchanges, whole_file(checker))),
                  "journal.slots (%u) is below limits.exchanges (%u): each open "
                  "exchange "
                  "takes a slot",
                  config->journal_slots, limits->exchanges);
    }
}

static void check_redis(const struct checker *checker)
{
    const struct config_redis *redis = &checker->config->redis;
    const void *const members[] = { &redis->ca, &redis->certificate, &redis->key };

    if (redis->text == NULL) {
        return;
    }
    if (!redis->tls) {
        check_unused(checker, members, sizeof members / sizeof members[0],
                     "url: rediss://...");
        return;
    }
    if ((redis->certificate == NULL) != (redis->key == NULL)) {
        error_add(checker->validation->error,
                  at(checker, redis->key == NULL ? members[1] : members[2],
                     whole_file(checker)),
                  "'certificate' and 'key' need each other");
    }
    check_readable(checker, &redis->ca, whole_file(checker));
    check_readable(checker, &redis->certificate, whole_file(checker));
    check_readable(checker, &redis->key, whole_file(checker));
}

void config_validate(const struct config *config, const struct validation *validation)
{
    struct checker checker = { config, validation };

    check_listeners(&checker);
    check_providers(&checker);
    check_issuers(&checker);
    check_teams(&checker);
    identity_rules_validate(config, validation);
    quota_rules_validate(config, validation);
    permit_rules_validate(config, validation);
    check_webhooks(&checker);
    check_limits(&checker);
    check_redis(&checker);
    check_readable(&checker, &config->prices, whole_file(&checker));
    check_readable(&checker, &config->clients, whole_file(&checker));
    check_readable(&checker, &config->harness, whole_file(&checker));
}
