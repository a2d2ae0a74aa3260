/* What is in force: the configuration and everything made from it, immutable and
 * counted. A reload makes a new one; exchanges finish under the one they began with. */
#ifndef ASSAY_ENGINE_SNAPSHOT_H
#define ASSAY_ENGINE_SNAPSHOT_H

#include "certs/tls.h"
#include "config/config.h"
#include "filters/clients.h"
#include "filters/turn/harness.h"
#include "proxy/meter/price.h"
#include "proxy/meter/quota_policy.h"

struct snapshot {
    unsigned references; /* atomic */
    struct config *config;
    struct price_table *prices;
    struct clients *clients;
    struct harness *harness;
    struct quota_policies *quotas;
    struct tls_server **tls; /* per listener; NULL: plain HTTP */
};

/* Reads prices, clients and certificates as `config` says. `config` is taken over, also
 * on failure (NULL, with entries in *error). */
struct snapshot *snapshot_new(struct config *config, struct error *error);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
/* Takes NULL; returns NULL. The last one frees it. */
struct snapshot *snapshot_unref(struct snapshot *snapshot);

#endif
