#include "proxy/identity/trust.h"

#include <stdlib.h>
#include <string.h>

static struct trust *trust_free(struct trust *trust)
{
    for (size_t i = 0; trust->issuer_keys != NULL && i < trust->issuer_count; i++) {
        jwks_unref(trust->issuer_keys[i]);
    }
    free(trust->issuer_keys);
    key_table_free(trust->keys);
    directory_free(trust->directory);
    jwks_keeper_unref(trust->keeper);
    explicit_bzero(&trust->tag_key, sizeof trust->tag_key);
    free(trust);
    return NULL;
}

static bool tag_key_load(struct trust *trust, const struct config *config,
                         struct error *error)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_tag *tag = &config->providers[i].tag;

        if (tag->header != NULL || tag->field != TAG_NONE) {
            return installation_key_load(config->state, "tag", &trust->tag_key, error);
        }
    }
    return true;
}

struct trust *trust_new(const struct config *config, struct jwks_keeper *keeper,
                        struct error *error)
{
    static uint64_t numbers; /* atomic */
    struct trust *trust = calloc(1, sizeof *trust);

    CHECK(trust != NULL);
    trust->references = 1;
    trust->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
    trust->keeper = jwks_keeper_ref(keeper);
    trust->issuers = config->issuers;
    trust->issuer_count = config->issuer_count;
    trust->issuer_keys = calloc(config->issuer_count + 1, sizeof(struct jwks *));
    CHECK(trust->issuer_keys != NULL);
    for (size_t i = 0; i < config->issuer_count; i++) {
        trust->issuer_keys[i] = jwks_keeper_keys(keeper, i);
    }
    trust->keys = key_table_load(config->state, error);
    trust->directory =
        trust->keys == NULL ? NULL : directory_new(config, config->state, error);
    return trust->directory == NULL || !tag_key_load(trust, config, error)
               ? trust_free(trust)
               : trust;
}

struct trust *trust_ref(struct trust *trust)
{
    __atomic_add_fetch(&trust->references, 1, __ATOMIC_RELAXED);
    return trust;
}

struct trust *trust_unref(struct trust *trust)
{
    if (trust != NULL &&
        __atomic_sub_fetch(&trust->references, 1, __ATOMIC_ACQ_REL) == 0) {
        trust_free(trust);
    }
    return NULL;
}
