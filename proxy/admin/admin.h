/* The admin port: metrics, health and the newest exchanges, on a thread and a loop of
 * its own, so that a scrape never delays a byte of traffic. Read only. Where the
 * configuration names users, all but health asks who wants to know, and what people
 * did is audited.
 *
 *   GET /metrics         Prometheus text format
 *   GET /healthz         200 while the process runs
 *   GET /readyz          200 while it takes traffic and its ledger can be written, else 503
 *   GET /v1/exchanges    the newest settled exchanges as JSON, newest first; ?limit=N
 *   GET /v1/findings     whose traffic looks automated, with evidence; ?team= ?caller=
 *   GET /v1/findings/teams  how many callers of each team have which grade; none of small ones
 *   GET /v1/me           the same of the caller whose key, token or certificate is shown
 *   GET /v1/callers      who used how much, dearest first; ?days=N
 *   GET /v1/callers/NAME what one of them used, by day and model, and his quotas; ?days=N
 *   GET /v1/quotas       what is used of each quota as JSON, with who used most */
#ifndef ASSAY_ADMIN_ADMIN_H
#define ASSAY_ADMIN_ADMIN_H

#include "config/config.h"
#include "proxy/admin/me.h"
#include "proxy/alert/webhook.h"
#include "proxy/meter/metrics.h"
#include "proxy/meter/quota.h"

/* What the admin thread reads; everything but strings outlives it. */
struct admin_sources {
    const struct config *config; /* for admin_new() only */
    struct metrics_shard *const *shards;
    size_t shard_count;
    struct quota *quota;
    const char *state; /* the folder of ledger, findings and keys */
    struct webhook *webhook;
    const char *const *state_names; /* of exchanges, NULL at the end */
    bool (*ready)(void *self);
    int64_t (*certificate_expiry)(void *self); /* Unix seconds; 0: no certificate */
    unsigned (*credentials_failing)(void *self);
    me_verifier *verify;
    void *self;
};

struct admin;

/* Binds and starts the thread. NULL and an entry in *error on failure. */
struct admin *admin_new(const struct admin_sources *sources, struct error *error);

/* Another thread: from now on who may ask, and the certificates, are those of this
 * configuration. false and entries in *error if they cannot be used. Takes NULL. */
bool admin_use(struct admin *admin, const struct config *config, struct error *error);

/* Ends the thread, which looks at what it was given; takes NULL; returns NULL. */
struct admin *admin_free(struct admin *admin);

#endif
