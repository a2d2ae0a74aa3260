#include "proxy/engine/snapshot.h"

#include "proxy/base/clock.h"

#include <stdlib.h>

static struct snapshot *snapshot_free(struct snapshot *snapshot)
{
    if (snapshot->tls != NULL) {
        for (size_t i = 0; i < snapshot->config->listener_count; i++) {
            tls_server_free(snapshot->tls[i]);
        }
        free(snapshot->tls);
    }
    price_table_free(snapshot->prices);
    clients_free(snapshot->clients);
    harness_free(snapshot->harness);
    quota_policies_unref(snapshot->quotas);
    config_free(snapshot->config);
    free(snapshot);
    return NULL;
}

/* Models without a price that cost as much as another. */
static void stand_in(struct snapshot *snapshot, struct error *error)
{
    const struct config *config = snapshot->config;

    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];

        if (provider->price_as != NULL &&
            !price_table_stand_in(snapshot->prices, span_text(provider->name),
                                  span_text(provider->price_as), clock_unix_ns())) {
            error_add(error, provider->place,
                      "price_as: no price is known of '%s' at provider '%s'",
                      provider->price_as, provider->name);
        }
    }
}

static bool snapshot_load(struct snapshot *snapshot, struct error *error)
{
    const struct config *config = snapshot->config;

    snapshot->tls = calloc(config->listener_count, sizeof(struct tls_server *));
    CHECK(snapshot->tls != NULL);
    for (size_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].tls.certificate_count > 0) {
            snapshot->tls[i] = tls_server_configured(&config->listeners[i].tls, error);
        }
    }
    snapshot->prices = price_table_load(config->prices, error);
    if (snapshot->prices != NULL) {
        stand_in(snapshot, error);
    }
    snapshot->clients = clients_load(config->clients, error);
    snapshot->harness = harness_load(config->harness, error);
    snapshot->quotas = quota_policies_new(config, error);
    return !error_any(error);
}

struct snapshot *snapshot_new(struct config *config, struct error *error)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    CHECK(snapshot != NULL);
    snapshot->references = 1;
    snapshot->config = config;
    if (!snapshot_load(snapshot, error)) {
        return snapshot_free(snapshot);
    }
    return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    __atomic_add_fetch(&snapshot->references, 1, __ATOMIC_RELAXED);
    return snapshot;
}

struct snapshot *snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot != NULL &&
        __atomic_sub_fetch(&snapshot->references, 1, __ATOMIC_ACQ_REL) == 0) {
        snapshot_free(snapshot);
    }
    return NULL;
}
