/* assay run: the service in the foreground, until a signal ends it. */
#include "proxy/admin/admin.h"
#include "proxy/alert/quota_alert.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/notify.h"
#include "proxy/base/pages.h"
#include "proxy/cli/command.h"
#include "proxy/engine/exchange.h"
#include "proxy/engine/service.h"
#include "proxy/identity/key_digest.h"

#include <openssl/ssl.h>
#include <yaml.h>

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WATCH_MS = 250, /* how often keys are looked at: changes hold within a second */
    HEAP_STEP = 256 * 1024,
    HEAP_KEPT = 4 * 1024 * 1024
};

struct run {
    const struct command_line *line;
    struct service *service;
    struct admin *admin;
    struct webhook *webhook;
    bool stopping;
    bool log_exchanges; /* atomic: the ledger's thread asks while a reload frees the
                           configuration that said so */
};

/* ---- the process ----------------------------------------------------------------- */

static void raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static sigset_t served_signals(void)
{
    static const int numbers[] = { SIGHUP, SIGTERM, SIGINT, SIGUSR1 };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(&set, numbers[i]);
    }
    return set;
}

static void prepare_process(void)
{
    sigset_t signals = served_signals();

    umask(077);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* every thread inherits this */
    prctl(PR_SET_DUMPABLE, 0);              /* a core would hold credentials */
    raise_limits();
    /* Workers give blocks back and take them again all the time: not to the kernel. */
    mallopt(M_TOP_PAD, HEAP_STEP);
    mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
}

/* ---- events ---------------------------------------------------------------------- */

static void log_errors(enum log_level level, const char *event,
                       const struct error *error)
{
    for (size_t i = 0; i < error->count; i++) {
        const struct error_entry *entry = &error->entries[i];
        const char *file = entry->place.file == NULL ? "" : entry->place.file;

        log_line(level, event, "%s:%u:%u: %s", file, entry->place.line,
                 entry->place.column, entry->words);
    }
}

static void choose_lines(struct run *run, const struct config *config)
{
    __atomic_store_n(&run->log_exchanges, config->log_exchanges, __ATOMIC_RELAXED);
}

/* Everything beside the service that follows the configuration. */
static bool use(struct run *run, const struct config *config, struct error *error)
{
    choose_lines(run, config);
    return webhook_use(run->webhook, config, error) &&
           admin_use(run->admin, config, error);
}

/* On failure the old webhooks and admin users stay, as everything else does. */
static bool reload_all(struct run *run, struct config *config, struct error *error)
{
    bool usable = use(run, config, error);
    struct error unused;
    bool good;

    if (usable && service_reload(run->service, config, error)) {
        return true;
    }
    if (!usable) {
        config_free(config);
    }
    error_init(&unused);
    good = use(run, service_config(run->service), &unused);
    CHECK(good || error_any(&unused));
    error_done(&unused);
    return false;
}

static void reload(struct run *run)
{
    struct error error;
    struct config *config;

    error_init(&error);
    notify("RELOADING=1");
    config = command_config_read(run->line, CONFIG_WITH_SECRETS, &error);
    if (config != NULL && reload_all(run, config, &error)) {
        log_line(LOG_INFO, "reloaded", "%s is in force", run->line->config);
    } else {
        log_line(LOG_ERROR, "reload_failed", "the old configuration stays in force");
        log_errors(LOG_ERROR, "reload_failed", &error);
    }
    notify("READY=1");
    error_done(&error);
}

static void stop(struct run *run)
{
    notify("STOPPING=1");
    if (run->stopping) {
        log_line(LOG_WARN, "stopping", "second signal: open exchanges are cut");
    } else {
        log_line(LOG_INFO, "stopping", "open exchanges may finish");
    }
    service_stop(run->service, run->stopping ? WORKER_STOPS : WORKER_DRAINS);
    run->stopping = true;
}

static void watch_keys(struct run *run)
{
    struct error error;

    error_init(&error);
    if (!service_rekey(run->service, &error)) {
        log_errors(LOG_ERROR, "keys_unread", &error);
    }
    error_done(&error);
}

static void serve_signal(struct run *run, int number)
{
    switch (number) {
    case SIGHUP:
        reload(run);
        break;
    case SIGUSR1:
        log_reopen();
        break;
    case SIGTERM:
    case SIGINT:
        stop(run);
        break;
    default:
        watch_keys(run);
        service_sweep(run->service);
        quota_alert(run->webhook, service_quota(run->service), clock_unix_ns(),
                    clock_monotonic_ns());
        break;
    }
}

static void serve(struct run *run)
{
    const struct timespec wait = { .tv_nsec = (long)WATCH_MS * NS_PER_MS };
    const struct timespec soon = { .tv_nsec = 10L * NS_PER_MS };
    sigset_t signals = served_signals();

    while (!run->stopping || !service_stopped(run->service)) {
        serve_signal(run, sigtimedwait(&signals, NULL, run->stopping ? &soon : &wait));
    }
}

/* ---- the command ----------------------------------------------------------------- */

/* On the ledger's thread, for every entry that is safe. */
static void log_exchange(const struct entry *entry)
{
    char memory[ENTRY_JSON_MAX];
    struct text line = text_over(memory, sizeof memory);

    entry_json(entry, &line);
    log_entry(text_span(&line));
}

static void entry_written(void *self, const struct entry *entry)
{
    struct run *run = self;

    if (__atomic_load_n(&run->log_exchanges, __ATOMIC_RELAXED)) {
        log_exchange(entry);
    }
}

static bool is_ready(void *self)
{
    return service_ready(self);
}

static int64_t certificate_expiry(void *self)
{
    return service_certificate_expiry(self);
}

static unsigned credentials_failing(void *self)
{
    return service_credentials_failing(self);
}

static enum fault verify(void *self, struct evidence *evidence,
                         struct known_caller *caller)
{
    return service_verify(self, evidence, caller);
}

static struct admin *start_admin(struct run *run, struct error *error)
{
    struct admin_sources sources = {
        .config = service_config(run->service),
        .quota = service_quota(run->service),
        .state = service_config(run->service)->state,
        .webhook = run->webhook,
        .state_names = exchange_state_names,
        .ready = is_ready,
        .certificate_expiry = certificate_expiry,
        .credentials_failing = credentials_failing,
        .verify = verify,
        .self = run->service,
    };

    sources.shard_count = service_shards(run->service, &sources.shards);
    return admin_new(&sources, error);
}

static bool start(struct run *run, struct error *error)
{
    const struct config *config = service_config(run->service);

    if (!log_open(config->log_file, LOG_JSON, LOG_INFO, error)) {
        return false;
    }
    choose_lines(run, config);
    run->webhook = webhook_new(config->state);
    if (!webhook_use(run->webhook, config, error)) {
        return false;
    }
    service_alert(run->service, run->webhook);
    if (config->admin_on) {
        run->admin = start_admin(run, error);
        if (run->admin == NULL) {
            return false;
        }
    }
    return service_start(run->service, entry_written, run, error);
}

static void tell_ready(const struct run *run)
{
    const struct config *config = service_config(run->service);

    for (size_t i = 0; i < config->listener_count; i++) {
        log_line(LOG_INFO, "listening", "%s (%s)", config->listeners[i].address.text,
                 config->listeners[i].tls.certificate_count > 0 ? "TLS" : "plain HTTP");
    }
    if (config->admin_on) {
        log_line(LOG_INFO, "listening", "%s (admin)", config->admin.text);
    }
    log_line(LOG_INFO, "ready", "assay %s, %zu provider%s", ASSAY_VERSION,
             config->provider_count, config->provider_count == 1 ? "" : "s");
    notify("READY=1");
}

/* What every call with a key needs of the cryptographic library. */
static void use_digest(void)
{
    struct key_digest unused;

    CHECK(key_digest(SPAN("no key"), &unused));
}

/* Will calls be encrypted, on either side? */
static bool speaks_tls(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].tls.certificate_count > 0) {
            return true;
        }
    }
    for (size_t i = 0; i < config->provider_count; i++) {
        if (config->providers[i].tls) {
            return true;
        }
    }
    return false;
}

/* What reading configuration and certificates took of memory is given back. No call has
 * to wait for what it needs itself to come back; what every handshake needs stays. */
static void forget_start(const struct config *config)
{
    malloc_trim(0);
    use_digest(); /* it is set up at its first use */
    pages_release((uintptr_t)OPENSSL_init_crypto);
    if (!speaks_tls(config)) {
        pages_release((uintptr_t)OPENSSL_init_ssl);
    }
    pages_release((uintptr_t)yaml_parser_initialize);
    use_digest();
}

int command_run(const struct command_line *line)
{
    struct run run = { .line = line };
    struct config *config = command_config(line, CONFIG_WITH_SECRETS);
    struct error error;
    int code = COMMAND_FAILED;

    if (config == NULL) {
        return COMMAND_MISUSED;
    }
    prepare_process();
    error_init(&error);
    run.service = service_new(config, &error);
    if (run.service != NULL) {
        if (start(&run, &error)) {
            forget_start(service_config(run.service));
            tell_ready(&run);
            serve(&run);
            code = COMMAND_OK;
        }
        service_stop(run.service, WORKER_STOPS);
        admin_free(run.admin);
        service_free(run.service);
        webhook_free(run.webhook);
        if (code == COMMAND_OK) {
            log_line(LOG_INFO, "stopped", "every exchange is settled");
        }
        log_close();
    }
    error_print(&error, stderr);
    error_done(&error);
    return code;
}
