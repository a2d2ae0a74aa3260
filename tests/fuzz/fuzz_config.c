/* The configuration from arbitrary bytes: read or refused with places that exist, and
 * what is read agrees with itself. */
#include "config/config.h"
#include "proxy/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_mistakes(const struct error *error)
{
    for (size_t i = 0; i < error->count; i++) {
        CHECK(error->entries[i].place.file != NULL);
        CHECK(strchr(error->entries[i].words, '\n') == NULL);
    }
}

static void check_good(const struct config *config)
{
    struct error error;

    CHECK(config->listener_count > 0 && config->provider_count > 0);
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];

        CHECK(provider->url != NULL && provider->host != NULL &&
              provider->base != NULL);
        CHECK(provider->tls || provider->loopback);
        CHECK(provider->dialects != NULL && provider->dialects[0] != NULL);
        CHECK(provider->secret == NULL);
    }
    for (size_t i = 0; i < config->team_count; i++) {
        CHECK(config->teams[i].callers != NULL);
    }
    CHECK(config->journal_slots >= config->limits.exchanges);
    error_init(&error);
    config_reload_check(config, config, &error);
    CHECK(!error_any(&error));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const families[] = { "openai", "anthropic", NULL };
    struct error error;
    struct config *config;

    error_init(&error);
    config = config_parse("f", span_of((const char *)bytes, len), families,
                          CONFIG_WITHOUT_SECRETS, &error);
    CHECK((config == NULL) == error_any(&error));
    check_mistakes(&error);
    if (config != NULL) {
        check_good(config);
    }
    config_free(config);
    error_done(&error);
    return 0;
}
