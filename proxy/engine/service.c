#include "proxy/engine/service.h"

#include "config/identity_rule.h"
#include "proxy/analyst/analyst.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/credential/keeper.h"
#include "proxy/engine/worker.h"
#include "proxy/sharing/quota_redis.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, ADOPTION_MS = 2000 };

struct service {
    struct snapshot *snapshot; /* in force; the newest */
    struct jwks_keeper *issuers;
    struct trust *trust;
    pthread_mutex_t force_lock; /* of snapshot and trust, for threads but main */
    struct verifier *verifier;  /* under the same lock */
    struct key_watch *keys;
    struct keeper *keeper; /* of assay's own credentials */
    struct ledger *ledger;
    unsigned count;
    unsigned started;
    struct worker *workers[WORKERS_MAX];
    struct journal *journals[WORKERS_MAX];
    struct metrics_shard *shards[WORKERS_MAX];
    struct quota *quota;
    struct once *once;
    struct calibration *calibration;
    struct quota_redis *sharing; /* NULL: there are no other replicas */
    struct analyst *analyst;
    int64_t certificate_expiry; /* atomic; Unix seconds, 0: no certificate */
    bool ready;                 /* atomic */
};

/* ---- making ---------------------------------------------------------------------- */

static unsigned worker_count(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long wanted = config->workers > 0 ? (long)config->workers : processors;

    if (wanted < 1) {
        return 1;
    }
    return wanted > WORKERS_MAX ? WORKERS_MAX : (unsigned)wanted;
}

static bool state_folder(const struct config *config, struct error *error)
{
    const struct error_place place = { .file = config->file };

    if (mkdir(config->state, 0700) != 0 && errno != EEXIST) {
        error_add(error, place, "state folder %s cannot be made: %s", config->state,
                  strerror(errno));
        return false;
    }
    return true;
}

/* Journals of workers that a smaller configuration no longer has hold records all the
 * same. */
static bool settle_orphans(struct service *service, const struct config *config,
                           struct error *error)
{
    bool sound = true;

    for (unsigned i = service->count; i < WORKERS_MAX && sound; i++) {
        struct journal *journal;
        char path[4096];

        snprintf(path, sizeof path, "%s/journal-%02u", config->state, i);
        if (access(path, F_OK) != 0) {
            continue;
        }
        journal = journal_open(config->state, i, config->journal_slots, error);
        sound = journal != NULL && ledger_recover(service->ledger, journal, error);
        journal_close(journal);
    }
    return sound;
}

static bool journals_open(struct service *service, const struct config *config,
                          struct error *error)
{
    for (unsigned i = 0; i < service->count; i++) {
        service->journals[i] =
            journal_open(config->state, i, config->journal_slots, error);
        if (service->journals[i] == NULL ||
            !ledger_recover(service->ledger, service->journals[i], error)) {
            return false;
        }
    }
    return settle_orphans(service, config, error);
}

static bool workers_new(struct service *service, struct error *error)
{
    const struct config *config = service->snapshot->config;

    for (unsigned i = 0; i < service->count; i++) {
        struct metrics_shard *shard = metrics_shard_new(config->limits.series);
        const struct worker_meters meters = {
            .journal = service->journals[i],
            .metrics = shard,
            .quota = service->quota,
            .once = service->once,
            .calibration = service->calibration,
            .analyst = analyst_ring(service->analyst, i, shard),
        };

        CHECK(shard != NULL);
        service->shards[i] = shard;
        service->workers[i] =
            worker_new(i, service->count, snapshot_ref(service->snapshot),
                       trust_ref(service->trust), &meters,
                       i == 0 ? NULL : service->workers[0], error);
        if (service->workers[i] == NULL) {
            return false;
        }
    }
    return true;
}

static void note_expiry(struct service *service)
{
    const struct snapshot *snapshot = service->snapshot;
    int64_t earliest = 0;

    for (size_t i = 0; i < snapshot->config->listener_count; i++) {
        int64_t expiry =
            snapshot->tls[i] == NULL ? 0 : tls_server_expiry(snapshot->tls[i]);

        if (expiry != 0 && (earliest == 0 || expiry < earliest)) {
            earliest = expiry;
        }
    }
    __atomic_store_n(&service->certificate_expiry, earliest, __ATOMIC_RELAXED);
}

/* On the keeper's thread. */
static void refill(void *self, struct wallet *wallet)
{
    struct service *service = self;

    for (unsigned i = 0; i < service->count; i++) {
        worker_use_wallet(service->workers[i], wallet_ref(wallet));
    }
    wallet_unref(wallet);
}

static void credential_failed(void *self, const char *words)
{
    (void)self;
    log_line(LOG_ERROR, "credential_failed", "%s", words);
}

static void credential_renewed(void *self, const char *words)
{
    (void)self;
    log_line(LOG_INFO, "credential_renewed", "%s", words);
}

static struct keeper *keep_credentials(struct service *service)
{
    const struct keeper_owner owner = { service, refill, credential_failed,
                                        credential_renewed };

    return keeper_new(service->snapshot->config, &owner);
}

/* Quotas go on where the ledger says they were. */
static bool count_quotas(struct service *service, const struct snapshot *snapshot,
                         struct error *error)
{
    quota_adopt(service->quota, snapshot->quotas);
    return quota_rebuild(service->quota, snapshot->quotas, snapshot->prices,
                         snapshot->config->state, clock_unix_ns(), NULL, error);
}

/* The other replicas are told what the ledger says before any call is taken. */
static bool start_sharing(struct service *service, const struct config *config,
                          struct error *error)
{
    if (config->redis.text == NULL) {
        return true;
    }
    service->sharing =
        quota_redis_start(&config->redis, config->state, service->quota, error);
    return service->sharing != NULL;
}

static void tell_of_ledger(const char *words)
{
    log_line(LOG_INFO, "ledger_upgrade", "%s", words);
}

static bool service_make(struct service *service, struct config *config,
                         struct error *error)
{
    service->count = worker_count(config);
    service->snapshot = snapshot_new(config, error);
    if (service->snapshot == NULL || !state_folder(config, error)) {
        return false;
    }
    note_expiry(service);
    service->keys = key_watch_open(config->state, error);
    service->issuers =
        service->keys == NULL ? NULL : jwks_keeper_new(config, NULL, error);
    service->trust =
        service->issuers == NULL ? NULL : trust_new(config, service->issuers, error);
    service->ledger = service->trust == NULL
                          ? NULL
                          : ledger_open(config->state, tell_of_ledger, error);
    service->quota = quota_new(clock_unix_ns(), clock_monotonic_ns());
    if (config->redis.text != NULL) {
        quota_share(service->quota, config->redis.slice_percent,
                    config->redis.fail == FAIL_OPEN);
    }
    if (service->ledger == NULL || !journals_open(service, config, error) ||
        !count_quotas(service, service->snapshot, error)) {
        return false;
    }
    quota_in_force(service->quota, service->snapshot->quotas);
    service->once = once_new();
    service->calibration = calibration_new();
    if (!once_load(service->once, config->state, clock_unix_ns(), error) ||
        !calibration_load(service->calibration, config->state, error) ||
        !start_sharing(service, config, error)) {
        return false;
    }
    service->analyst = analyst_new(config, service->count, error);
    return service->analyst != NULL && workers_new(service, error);
}

struct service *service_new(struct config *config, struct error *error)
{
    struct service *service = calloc(1, sizeof *service);

    CHECK(service != NULL);
    pthread_mutex_init(&service->force_lock, NULL);
    service->verifier = verifier_new();
    CHECK(service->verifier != NULL);
    return service_make(service, config, error) ? service : service_free(service);
}

/* ---- running --------------------------------------------------------------------- */

void service_alert(struct service *service, struct webhook *webhook)
{
    analyst_alert(service->analyst, webhook);
}

bool service_start(struct service *service,
                   void (*written)(void *self, const struct entry *entry), void *self,
                   struct error *error)
{
    const struct error_place place = { .file = service->snapshot->config->file };

    ledger_keep(service->ledger, service->snapshot->config->retention.exchanges_days);
    if (!ledger_start(service->ledger, service->journals, service->count, written, self,
                      error) ||
        !analyst_start(service->analyst, service->snapshot->config, error)) {
        return false;
    }
    service->keeper = keep_credentials(service);
    if (!jwks_keeper_start(service->issuers)) {
        error_add(error, place, "the keys of issuers cannot be fetched: no thread");
        return false;
    }
    for (; service->started < service->count; service->started++) {
        if (!worker_start(service->workers[service->started])) {
            error_add(error, place, "a thread cannot be started");
            return false;
        }
    }
    __atomic_store_n(&service->ready, true, __ATOMIC_RELEASE);
    return true;
}

const struct config *service_config(const struct service *service)
{
    return service->snapshot->config;
}

static void put_in_force(struct service *service, struct trust *trust)
{
    for (unsigned i = 0; i < service->count; i++) {
        worker_use_trust(service->workers[i], trust_ref(trust));
    }
    pthread_mutex_lock(&service->force_lock);
    trust_unref(service->trust);
    service->trust = trust;
    pthread_mutex_unlock(&service->force_lock);
}

/* Callers are verified by the new configuration: its issuers, teams and members. */
static bool retrust(struct service *service, const struct config *config,
                    struct error *error)
{
    struct jwks_keeper *issuers = jwks_keeper_new(config, service->issuers, error);
    struct trust *trust = issuers == NULL ? NULL : trust_new(config, issuers, error);

    if (trust == NULL || !jwks_keeper_start(issuers)) {
        trust_unref(trust);
        jwks_keeper_stop(issuers);
        jwks_keeper_unref(issuers);
        return false;
    }
    put_in_force(service, trust);
    jwks_keeper_stop(service->issuers);
    jwks_keeper_unref(service->issuers);
    service->issuers = issuers;
    return true;
}

/* ---- calls under way at a reload ------------------------------------------------- */

/* What the workers said when they took the snapshot. */
struct adoptions {
    unsigned count;
    struct adoption *each[WORKERS_MAX];
};

static bool holds(const void *self, uint64_t id)
{
    const struct adoptions *adoptions = self;
    unsigned worker =
        (unsigned)(id >> ENTRY_ID_SEQUENCE_BITS) & ((1U << ENTRY_ID_WORKER_BITS) - 1);

    return worker < adoptions->count && adoptions->each[worker] != NULL &&
           adoption_holds(adoptions->each[worker], id);
}

static void nap(void)
{
    const struct timespec moment = { .tv_nsec = NS_PER_MS };

    nanosleep(&moment, NULL);
}

/* Waits until a worker has taken the snapshot, and until what ended before is in the
 * ledger. NULL: neither can be known in time. */
static struct adoption *await_adoption(const struct service *service, unsigned number,
                                       const struct snapshot *snapshot,
                                       uint64_t deadline_ns)
{
    const struct journal *journal = service->journals[number];
    struct adoption *adoption = NULL;

    while (adoption == NULL && clock_monotonic_ns() < deadline_ns) {
        adoption = worker_adoption(service->workers[number]);
        if (adoption != NULL && adoption->snapshot != snapshot) {
            free(adoption);
            adoption = NULL;
        }
        nap();
    }
    while (adoption != NULL &&
           (int32_t)(journal_released(journal) - adoption->released) < 0 &&
           clock_monotonic_ns() < deadline_ns) {
        nap();
    }
    return adoption;
}

/* Policies that are new count what ended before they came into force by the ledger, and
 * what was under way then when it ends. */
static void count_late(struct service *service, const struct snapshot *snapshot,
                       struct error *error)
{
    uint64_t deadline_ns = clock_monotonic_ns() + (uint64_t)ADOPTION_MS * NS_PER_MS;
    struct adoptions adoptions = { .count = service->started };
    const struct quota_holders holders = { holds, &adoptions };

    for (unsigned i = 0; i < service->started; i++) {
        adoptions.each[i] = await_adoption(service, i, snapshot, deadline_ns);
    }
    if (!quota_rebuild(service->quota, snapshot->quotas, snapshot->prices,
                       snapshot->config->state, clock_unix_ns(), &holders, error)) {
        log_line(LOG_ERROR, "quota_uncounted",
                 "new quotas count from now on, for the ledger cannot be read: %s",
                 error->entries[error->count - 1].words);
    }
    for (unsigned i = 0; i < service->started; i++) {
        free(adoptions.each[i]);
    }
}

bool service_reload(struct service *service, struct config *config, struct error *error)
{
    struct snapshot *snapshot;

    config_reload_check(service->snapshot->config, config, error);
    if (error_any(error)) {
        config_free(config);
        return false;
    }
    snapshot = snapshot_new(config, error);
    if (snapshot == NULL) {
        return false;
    }
    quota_adopt(service->quota, snapshot->quotas);
    if (!retrust(service, snapshot->config, error)) {
        snapshot_unref(snapshot);
        return false;
    }
    quota_in_force(service->quota, snapshot->quotas);
    analyst_reload(service->analyst, snapshot->config);
    ledger_keep(service->ledger, snapshot->config->retention.exchanges_days);
    keeper_adopt(service->keeper, snapshot->config);
    for (unsigned i = 0; i < service->count; i++) {
        worker_reload(service->workers[i], snapshot_ref(snapshot));
    }
    pthread_mutex_lock(&service->force_lock);
    snapshot_unref(service->snapshot);
    service->snapshot = snapshot;
    pthread_mutex_unlock(&service->force_lock);
    note_expiry(service);
    if (quota_has_fresh(snapshot->quotas)) {
        count_late(service, snapshot, error);
    }
    return true;
}

bool service_rekey(struct service *service, struct error *error)
{
    bool keys = key_watch_changed(service->keys);
    bool issuers = jwks_keeper_changed(service->issuers);
    struct trust *trust;

    jwks_keeper_tell(service->issuers, error);
    if (keys || issuers) {
        trust = trust_new(service->snapshot->config, service->issuers, error);
        if (trust == NULL) {
            return false;
        }
        put_in_force(service, trust);
    }
    return !error_any(error);
}

void service_sweep(struct service *service)
{
    quota_sweep(service->quota, clock_unix_ns(), clock_monotonic_ns());
}

void service_stop(struct service *service, enum worker_stop how)
{
    __atomic_store_n(&service->ready, false, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < service->started; i++) {
        worker_stop(service->workers[i], how);
    }
}

bool service_stopped(const struct service *service)
{
    for (unsigned i = 0; i < service->started; i++) {
        if (!worker_ended(service->workers[i])) {
            return false;
        }
    }
    return true;
}

/* ---- ending ---------------------------------------------------------------------- */

struct service *service_free(struct service *service)
{
    service->keeper = keeper_free(service->keeper);
    jwks_keeper_stop(service->issuers);
    for (unsigned i = 0; i < service->started; i++) {
        worker_join(service->workers[i]);
    }
    if (service->started > 0) {
        analyst_stop(service->analyst);
        ledger_stop(service->ledger);
    }
    for (unsigned i = 0; i < service->count; i++) {
        worker_free(service->workers[i]);
        metrics_shard_free(service->shards[i]);
        journal_close(service->journals[i]);
    }
    analyst_free(service->analyst);
    ledger_close(service->ledger);
    calibration_free(service->calibration);
    once_free(service->once);
    quota_redis_stop(service->sharing);
    quota_free(service->quota);
    trust_unref(service->trust);
    verifier_free(service->verifier);
    pthread_mutex_destroy(&service->force_lock);
    jwks_keeper_unref(service->issuers);
    key_watch_close(service->keys);
    snapshot_unref(service->snapshot);
    free(service);
    return NULL;
}

/* ---- who asks -------------------------------------------------------------------- */

/* A listener that takes every kind of credential that one of the configured listeners
 * takes, but no trusted headers. */
static struct config_listener any_listener(const struct config *config)
{
    struct config_listener any = { 0 };

    for (enum config_identify kind = IDENTIFY_KEY; kind <= IDENTIFY_CERTIFICATE;
         kind++) {
        bool takes = false;

        for (size_t i = 0; i < config->listener_count; i++) {
            const struct config_listener *listener = &config->listeners[i];

            takes |= identity_rule_takes(listener, kind);
            if (kind == IDENTIFY_CERTIFICATE && takes && any.default_team == NULL) {
                any.default_team = listener->default_team;
            }
        }
        if (takes) {
            any.identify.at[any.identify.count++] = (uint8_t)kind;
        }
    }
    return any;
}

enum fault service_verify(struct service *service, struct evidence *evidence,
                          struct known_caller *kept)
{
    struct config_listener listener;
    struct caller caller;
    enum fault fault;

    pthread_mutex_lock(&service->force_lock);
    listener = any_listener(service->snapshot->config);
    evidence->listener = &listener;
    fault = identity_verify(service->verifier, service->trust, evidence, &caller);
    if (fault == FAULT_NONE) {
        *kept = *caller.known;
    }
    pthread_mutex_unlock(&service->force_lock);
    evidence->listener = NULL;
    return fault;
}

/* ---- looking --------------------------------------------------------------------- */

size_t service_shards(const struct service *service,
                      struct metrics_shard *const **shards)
{
    *shards = service->shards;
    return service->count;
}

struct quota *service_quota(const struct service *service)
{
    return service->quota;
}

bool service_ready(const struct service *service)
{
    return __atomic_load_n(&service->ready, __ATOMIC_ACQUIRE) &&
           ledger_healthy(service->ledger);
}

unsigned service_credentials_failing(const struct service *service)
{
    return service_ready(service) ? keeper_failing(service->keeper) : 0;
}

int64_t service_certificate_expiry(const struct service *service)
{
    return __atomic_load_n(&service->certificate_expiry, __ATOMIC_RELAXED);
}
