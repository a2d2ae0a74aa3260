/* assay check: everything that starting would refuse, without starting. */
#include "certs/tls.h"
#include "config/document.h"
#include "config/scope.h"
#include "proxy/cli/command.h"
#include "proxy/cli/help.h"
#include "proxy/engine/snapshot.h"

#include <stdio.h>
#include <string.h>

static int print_docs(const struct command_line *line)
{
    static const char *const names[] = { "markdown", "man", "program", NULL };
    static void (*const write[])(FILE * out) = { config_write_markdown,
                                                 config_write_man, help_write_man };
    int docs = command_choice(line, "docs", names);

    if (docs < 0) {
        return COMMAND_MISUSED;
    }
    write[docs](stdout);
    return COMMAND_OK;
}

/* What is taken for a credential, where it is not keys alone. */
static void print_identify(const struct config_listener *listener)
{
    static const char *const names[IDENTIFY_COUNT] = { [IDENTIFY_KEY] = "keys",
                                                       [IDENTIFY_JWT] = "tokens",
                                                       [IDENTIFY_CERTIFICATE] =
                                                           "certificates",
                                                       [IDENTIFY_HEADER] =
                                                           "a trusted header" };
    const struct config_words *identify = &listener->identify;

    if (identify->count == 1 && identify->at[0] == IDENTIFY_KEY) {
        return;
    }
    printf("            callers by ");
    for (size_t i = 0; i < identify->count; i++) {
        printf("%s%s", i == 0 ? "" : ", ", names[identify->at[i]]);
    }
    putchar('\n');
}

static void print_issuers(const struct config *config)
{
    for (size_t i = 0; i < config->issuer_count; i++) {
        const struct config_issuer *issuer = &config->issuers[i];

        printf("  issuer    %s, keys from %s\n", issuer->name, issuer->jwks.text);
    }
}

static void print_admin(const struct config *config)
{
    if (!config->admin_on) {
        puts("  admin     off");
    } else if (config->admin_user_count == 0) {
        printf("  admin     %s\n", config->admin.text);
    } else {
        printf("  admin     %s, %zu user%s\n", config->admin.text,
               config->admin_user_count, config->admin_user_count == 1 ? "" : "s");
    }
}

static void print_listeners(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        printf("  listen    %s, ", listener->address.text);
        if (listener->tls.certificate_count == 0) {
            puts("plain HTTP");
        } else {
            printf("HTTPS with %zu certificate%s\n", listener->tls.certificate_count,
                   listener->tls.certificate_count == 1 ? "" : "s");
        }
        print_identify(listener);
    }
    print_admin(config);
    print_issuers(config);
}

static const char *credential_words(enum config_credential credential)
{
    switch (credential) {
    case CREDENTIAL_SECRET:
        return "own credential";
    case CREDENTIAL_AWS:
        return "signed for AWS";
    case CREDENTIAL_GOOGLE:
        return "access token of Google";
    case CREDENTIAL_PASSTHROUGH:
        return "the caller's credential";
    case CREDENTIAL_NONE:
        break;
    }
    return "no credential";
}

static void print_providers(const struct config *config)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];

        printf("  provider  %s at %s, %s%s:", provider->name, provider->url,
               credential_words(provider->credential),
               provider->is_default ? ", default" : "");
        for (const char *const *dialect = provider->dialects; *dialect != NULL;
             dialect++) {
            printf(" %s", *dialect);
        }
        putchar('\n');
    }
}

static size_t count_names(const char *const *names)
{
    size_t count = 0;

    while (names != NULL && names[count] != NULL) {
        count++;
    }
    return count;
}

static void print_teams(const struct config *config)
{
    for (size_t i = 0; i < config->team_count; i++) {
        const struct config_team *team = &config->teams[i];
        size_t callers = count_names(team->callers);
        size_t services = count_names(team->services);

        printf("  team      %s, %zu caller%s", team->name, callers,
               callers == 1 ? "" : "s");
        if (services > 0) {
            printf(", %zu service%s", services, services == 1 ? "" : "s");
        }
        putchar('\n');
    }
}

/* Which calls something is for, in words. */
static void print_calls(const struct config_scope *scope)
{
    static const char *const service[] = { NULL, "yes", "no" };
    static const char *const grade[] = { NULL,    "unrated", "clear",
                                         "watch", "flagged", "declared" };
    const struct {
        const char *words, *name;
    } parts[] = {
        { "team", scope->team },
        { "caller", scope->caller },
        { "service", service[scope->service] },
        { "provider", scope->provider },
        { "model", scope->model },
        { "tool", scope->tool },
        { "mode", scope->mode },
        { "grade", grade[scope->grade] },
    };
    const char *separator = " of ";

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].name != NULL) {
            printf("%s%s %s", separator, parts[i].words, parts[i].name);
            separator = ", ";
        }
    }
    if (*separator == ' ') {
        fputs(" of every call", stdout);
    }
}

/* Which others may count the same calls. */
static void print_meeting(const struct config *config, const struct config_quota *quota)
{
    const char *separator = "; counted together with ";

    for (size_t i = 0; i < config->quota_count; i++) {
        const struct config_quota *other = &config->quotas[i];

        if (other != quota && scopes_meet(&quota->scope, &other->scope)) {
            printf("%s%s", separator, other->name);
            separator = ", ";
        }
    }
}

static void print_names(const char *what, const char *const *names)
{
    if (names != NULL) {
        printf("; %s", what);
        for (size_t i = 0; names[i] != NULL; i++) {
            printf("%s%s", i == 0 ? " " : ", ", names[i]);
        }
        fputs(names[0] == NULL ? " none" : "", stdout);
    }
}

static void print_permits(const struct config *config)
{
    for (size_t i = 0; i < config->permit_count; i++) {
        const struct config_permit *permit = &config->permits[i];

        printf("  permit    %s:", permit->name);
        print_calls(&permit->scope);
        print_names("models", permit->models);
        if (permit->max_output > 0) {
            printf("; at most %u output tokens", permit->max_output);
        }
        print_names("service tiers", permit->service_tiers);
        print_names("paid tools", permit->paid_tools);
        putchar('\n');
    }
}

static void print_webhooks(const struct config *config)
{
    for (size_t i = 0; i < config->webhook_count; i++) {
        const struct config_webhook *webhook = &config->webhooks[i];

        printf("  webhook   %s at %s", webhook->name, webhook->url.text);
        print_names("told of", webhook->events);
        putchar('\n');
    }
}

static void print_quotas(const struct config *config)
{
    static const char *const each[] = {
        [EACH_ALL] = "",
        [EACH_CALLER] = " for each caller",
        [EACH_TEAM] = " for each team",
        [EACH_KEY] = " for each key",
        [EACH_SESSION] = " for each session",
        [EACH_MODEL] = " for each model",
    };
    static const char *const beyond[] = {
        [OVER_REFUSE] = "",
        [OVER_WARN] = "; warns, and refuses nothing",
        [OVER_SHADOW] = "; only counts",
    };

    for (size_t i = 0; i < config->quota_count; i++) {
        const struct config_quota *quota = &config->quotas[i];
        const struct config_period *period = &quota->period;

        printf("  quota     %s: %s", quota->name, quota->limit.text);
        if (period->text != NULL) {
            printf(" %s %s", period->unit == PERIOD_ROLLING ? "in" : "per",
                   period->text);
        }
        if (quota->burst.amount > 0) {
            printf(", %s ahead of an even pace", quota->burst.text);
        }
        fputs(each[quota->each], stdout);
        print_calls(&quota->scope);
        fputs(beyond[quota->over], stdout);
        if (quota->on_exceed == ON_EXCEED_CUT) {
            fputs(", and cuts streams", stdout);
        }
        print_meeting(config, quota);
        putchar('\n');
    }
}

/* Authorities and names that providers' certificates will be verified with. */
static void check_authorities(const struct config *config, struct error *error)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];

        if (provider->tls) {
            tls_client_free(tls_client_new(provider->host, provider->ca,
                                           provider->insecure_for_tests, error));
        }
    }
}

static void print_summary(const struct config *config)
{
    printf("%s: ok\n", config->file);
    print_listeners(config);
    print_providers(config);
    print_teams(config);
    print_quotas(config);
    print_permits(config);
    print_webhooks(config);
}

/* Certificates, authorities, prices and clients: what the configuration names. */
static void check_named_files(struct config *config, struct error *error)
{
    struct snapshot *snapshot;

    check_authorities(config, error);
    snapshot = snapshot_new(config, error); /* owns config, even if it fails */
    if (!error_any(error)) {
        print_summary(config);
    }
    snapshot_unref(snapshot);
}

/* Prints the summary, or all mistakes. */
static int check(const struct command_line *line, enum config_secrets secrets)
{
    struct config *config;
    struct error error;
    bool good;

    error_init(&error);
    config = command_config_read(line, secrets, &error);
    if (config != NULL && secrets == CONFIG_WITH_SECRETS) {
        check_named_files(config, &error);
    } else if (config != NULL) {
        print_summary(config);
        config_free(config);
    }
    good = !error_any(&error);
    error_print(&error, stderr);
    error_done(&error);
    return good ? COMMAND_OK : COMMAND_MISUSED;
}

int command_check(const struct command_line *line)
{
    struct command_line named = *line;

    if (command_option(line, "docs") != NULL) {
        return print_docs(line);
    }
    if (line->argument_count > 1) {
        return command_misused(line, "one file at a time");
    }
    if (line->argument_count == 1) {
        named.config = line->arguments[0];
        named.config_assumed = false;
    }
    return check(&named, command_option(line, "no-secrets") == NULL
                             ? CONFIG_WITH_SECRETS
                             : CONFIG_WITHOUT_SECRETS);
}
