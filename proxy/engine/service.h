/* The whole data path as one thing: workers, journals, ledger, and what changes while
 * they run. Started and steered by one thread (cli/run.c). */
#ifndef ASSAY_ENGINE_SERVICE_H
#define ASSAY_ENGINE_SERVICE_H

#include "config/config.h"
#include "proxy/alert/webhook.h"
#include "proxy/engine/worker.h"
#include "proxy/identity/identity.h"
#include "proxy/meter/ledger.h"
#include "proxy/meter/metrics.h"
#include "proxy/meter/quota.h"

struct service;

/* Makes everything: takes over the configuration, settles what an earlier process left,
 * binds listeners. No thread runs yet. NULL and entries in *error on failure. */
struct service *service_new(struct config *config, struct error *error);

/* Before it is started: who is told of new findings; outlives it. */
void service_alert(struct service *service, struct webhook *webhook);

/* Starts the threads. `written` (may be NULL) is called on the ledger's thread for
 * every entry that is safe in the ledger. */
bool service_start(struct service *service,
                   void (*written)(void *self, const struct entry *entry), void *self,
                   struct error *error);

/* The configuration in force. */
const struct config *service_config(const struct service *service);

/* Puts another configuration in force (taken over). On failure the old one stays, with
 * entries in *error. */
bool service_reload(struct service *service, struct config *config,
                    struct error *error);

/* Looks whether virtual keys, imported members or the keys of issuers changed and puts
 * them in force: to be called several times a second. false and entries in *error for
 * what cannot be read or fetched; the old ones stay. */
bool service_rekey(struct service *service, struct error *error);

/* Forgets counters of quotas that are long over: to be called several
 * times a second. */
void service_sweep(struct service *service);

/* Nothing new is accepted; open exchanges may finish (WORKER_DRAINS) or are cut
 * (WORKER_STOPS). Returns at once. */
void service_stop(struct service *service, enum worker_stop how);

/* Has every worker ended? */
bool service_stopped(const struct service *service);

/* Ends what service_stop() began and frees all. */
struct service *service_free(struct service *service);

/* For the admin thread; immutable between start and free. */
size_t service_shards(const struct service *service,
                      struct metrics_shard *const **shards);
struct quota *service_quota(const struct service *service);
bool service_ready(const struct service *service);
int64_t service_certificate_expiry(const struct service *service);

/* Any thread, once the service runs: verifies a credential by what is in force. Every
 * kind that a listener accepts is accepted but trusted headers, which only its proxies
 * may send. evidence->listener is not read. */
enum fault service_verify(struct service *service, struct evidence *evidence,
                          struct known_caller *kept) MUST_CHECK;

/* Keys and tokens for providers that could not be had or renewed; from any thread, once
 * the service runs. */
unsigned service_credentials_failing(const struct service *service);

#endif
