#include "proxy/credential/keeper.h"

#include "proxy/base/clock.h"
#include "proxy/credential/source.h"

#include <event2/event.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LOOK_AGAIN_S = 30, /* at keys without an end: a file may have changed */
    EARLY_S = 10 * 60, /* before the end, if that leaves at least as much */
    SOON_S = 5,        /* the least between two renewals */
    RETRY_MOST_S = 60,
    TELL_AGAIN = 10 /* every so many failures in a row */
};

/* Origins that the configuration wants, on their way to the keeper's thread. */
struct wanted {
    size_t count;
    struct credential_origin origins[];
};

struct keeper {
    struct keeper_owner owner;
    pthread_t thread;
    bool started;
    struct event_base *base;
    struct evdns_base *names;
    struct event *mail;
    int mail_fd;
    struct source *sources; /* the keeper's thread's own */
    pthread_mutex_t lock;   /* of the rest */
    pthread_cond_t settled;
    struct wanted *wanted; /* NULL: taken */
    bool all_asked;
    bool stop;
    unsigned failing; /* atomic */
};

/* ---- telling --------------------------------------------------------------------- */

static void publish(struct keeper *keeper)
{
    size_t count = 0;
    struct wallet *wallet;

    for (struct source *source = keeper->sources; source != NULL;
         source = source->next) {
        count++;
    }
    wallet = wallet_new(count);
    for (struct source *source = keeper->sources; source != NULL;
         source = source->next) {
        if (source->credential != NULL) {
            wallet_put(wallet, &source->origin, credential_ref(source->credential));
        }
    }
    keeper->owner.changed(keeper->owner.self, wallet);
}

/* Whoever waits for the first attempts may go on once each source made one. */
static void tell_settled(struct keeper *keeper)
{
    bool all = true;
    unsigned failing = 0;

    for (struct source *source = keeper->sources; source != NULL;
         source = source->next) {
        all = all && source->asked;
        failing += source->failures > 0 && !source->resting;
    }
    __atomic_store_n(&keeper->failing, failing, __ATOMIC_RELAXED);
    pthread_mutex_lock(&keeper->lock);
    keeper->all_asked = all && keeper->wanted == NULL;
    if (keeper->all_asked) {
        pthread_cond_broadcast(&keeper->settled);
    }
    pthread_mutex_unlock(&keeper->lock);
}

static const char *name_of(const struct source *source)
{
    return source->origin.kind == CREDENTIAL_GOOGLE ? "the access token of Google"
                                                    : "the key of AWS";
}

/* ---- renewing -------------------------------------------------------------------- */

static void plan(struct source *source, uint64_t wait_s)
{
    const struct timeval wait = { .tv_sec = (time_t)wait_s };

    CHECK(event_add(source->due, &wait) == 0);
}

static uint64_t wait_of(const struct credential *credential, uint64_t now_s)
{
    uint64_t left, wait;

    if (credential->expires_s == 0) {
        return LOOK_AGAIN_S;
    }
    left = credential->expires_s > now_s ? credential->expires_s - now_s : 0;
    wait = left >= 2 * EARLY_S ? left - EARLY_S : left / 2;
    return wait < SOON_S ? SOON_S : wait;
}

static bool is_same(const struct credential *a, const struct credential *b)
{
    return a != NULL && strcmp(a->access_key_id, b->access_key_id) == 0 &&
           a->expires_s == b->expires_s &&
           (a->session == NULL) == (b->session == NULL) &&
           secret_equal(a->secret, secret_reveal(b->secret)) &&
           (a->session == NULL || secret_equal(a->session, secret_reveal(b->session)));
}

void source_renewed(struct source *source, struct credential *credential)
{
    struct keeper *keeper = source->keeper;
    bool same;

    if (credential == NULL) {
        source_failed(source, "it is longer than a credential can be");
        return;
    }
    same = is_same(source->credential, credential);
    if (!same && (source->credential == NULL || source->failures > 0)) {
        char words[SOURCE_WORDS_SIZE];

        (void)snprintf(words, sizeof words, "%s is in force", name_of(source));
        keeper->owner.renewed(keeper->owner.self, words);
    }
    credential_unref(source->credential);
    source->credential = credential;
    source->failures = 0;
    source->asked = true;
    plan(source, wait_of(credential, clock_unix_ns() / NS_PER_S));
    if (!same) {
        publish(keeper);
    }
    tell_settled(keeper);
}

static uint64_t retry_wait(unsigned failures)
{
    uint64_t wait = failures > 6 ? RETRY_MOST_S : UINT64_C(1) << (failures - 1);

    return wait > RETRY_MOST_S ? RETRY_MOST_S : wait;
}

void source_failed(struct source *source, const char *format, ...)
{
    struct keeper *keeper = source->keeper;
    char why[SOURCE_WORDS_SIZE], words[2 * SOURCE_WORDS_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    if (source->failures++ % TELL_AGAIN == 0) {
        (void)snprintf(words, sizeof words, "%s cannot be had%s: %s", name_of(source),
                       source->credential == NULL ? "" : " anew, the last one is kept",
                       why);
        keeper->owner.failed(keeper->owner.self, words);
    }
    source->asked = true;
    plan(source, retry_wait(source->failures));
    tell_settled(keeper);
}

static void on_fetched(void *owner, const struct fetch_reply *reply)
{
    struct source *source = owner;

    source->fetch = NULL;
    source->fetched(source, reply);
}

void source_fetch(struct source *source, const struct fetch_request *request,
                  void (*done)(struct source *source, const struct fetch_reply *reply))
{
    struct keeper *keeper = source->keeper;
    struct error error;

    error_init(&error);
    source->fetched = done;
    source->fetch =
        fetch_start(keeper->base, keeper->names, request, on_fetched, source, &error);
    if (source->fetch == NULL) {
        source_failed(source, "%s", error.entries[0].words);
    }
    error_done(&error);
}

static void on_due(evutil_socket_t fd, short events, void *self)
{
    struct source *source = self;

    (void)fd;
    (void)events;
    source->now_s = clock_unix_ns() / NS_PER_S;
    if (source->origin.kind == CREDENTIAL_GOOGLE) {
        source_renew_google(source);
    } else {
        source_renew_aws(source);
    }
}

/* ---- sources --------------------------------------------------------------------- */

static void source_add(struct keeper *keeper, const struct credential_origin *origin)
{
    struct source *source = calloc(1, sizeof *source);

    CHECK(source != NULL);
    source->keeper = keeper;
    source->origin = *origin;
    source->due = event_new(keeper->base, -1, 0, on_due, source);
    CHECK(source->due != NULL);
    source->next = keeper->sources;
    keeper->sources = source;
    plan(source, 0);
}

static void source_rest(struct source *source)
{
    event_del(source->due);
    source->fetch = fetch_cancel(source->fetch);
    source->asked = true;
    source->resting = true;
}

static void source_free(struct source *source)
{
    source_rest(source);
    event_free(source->due);
    credential_origin_free(&source->origin);
    credential_unref(source->credential);
    explicit_bzero(source, sizeof *source);
    free(source);
}

/* Drops the sources that the configuration before this one had left already. */
static void drop_resting(struct keeper *keeper)
{
    struct source **link = &keeper->sources;

    while (*link != NULL) {
        struct source *source = *link;

        if (source->resting) {
            *link = source->next;
            source_free(source);
        } else {
            link = &source->next;
        }
    }
}

static bool adopts(struct wanted *wanted, const struct source *source)
{
    for (size_t i = 0; i < wanted->count; i++) {
        struct credential_origin *origin = &wanted->origins[i];

        if (credential_origin_equal(origin, &source->origin)) {
            credential_origin_free(origin);
            *origin = wanted->origins[--wanted->count];
            return true;
        }
    }
    return false;
}

static void take_wanted(struct keeper *keeper, struct wanted *wanted)
{
    drop_resting(keeper);
    for (struct source *source = keeper->sources; source != NULL;
         source = source->next) {
        if (!adopts(wanted, source)) {
            source_rest(source);
        } else if (source->fetch == NULL) {
            source->asked = false;
            plan(source, 0);
        }
    }
    for (size_t i = 0; i < wanted->count; i++) {
        source_add(keeper, &wanted->origins[i]);
    }
    free(wanted);
}

/* ---- the thread ------------------------------------------------------------------ */

static void on_mail(evutil_socket_t fd, short events, void *self)
{
    struct keeper *keeper = self;
    struct wanted *wanted;
    uint64_t count;
    bool stop;

    (void)events;
    (void)!read(fd, &count, sizeof count);
    pthread_mutex_lock(&keeper->lock);
    wanted = keeper->wanted;
    keeper->wanted = NULL;
    stop = keeper->stop;
    pthread_mutex_unlock(&keeper->lock);
    if (wanted != NULL) {
        take_wanted(keeper, wanted);
        tell_settled(keeper);
    }
    if (stop) {
        event_base_loopbreak(keeper->base);
    }
}

static void *keeper_run(void *self)
{
    struct keeper *keeper = self;

    event_base_dispatch(keeper->base);
    return NULL;
}

static void ring(struct keeper *keeper)
{
    const uint64_t one = 1;

    (void)!write(keeper->mail_fd, &one, sizeof one);
}

static void keeper_start(struct keeper *keeper)
{
    keeper->started = true;
    keeper->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    keeper->base = event_base_new();
    CHECK(keeper->mail_fd >= 0 && keeper->base != NULL);
    /* Without name servers, addresses and /etc/hosts are still read. */
    keeper->names = evdns_base_new(keeper->base, 0);
    CHECK(keeper->names != NULL);
    (void)evdns_base_resolv_conf_parse(keeper->names, DNS_OPTIONS_ALL,
                                       "/etc/resolv.conf");
    keeper->mail =
        event_new(keeper->base, keeper->mail_fd, EV_READ | EV_PERSIST, on_mail, keeper);
    CHECK(keeper->mail != NULL && event_add(keeper->mail, NULL) == 0);
    CHECK(pthread_create(&keeper->thread, NULL, keeper_run, keeper) == 0);
}

/* ---- from other threads ---------------------------------------------------------- */

static bool has(const struct wanted *wanted, const struct credential_origin *origin)
{
    for (size_t i = 0; i < wanted->count; i++) {
        if (credential_origin_equal(&wanted->origins[i], origin)) {
            return true;
        }
    }
    return false;
}

static struct wanted *wanted_of(const struct config *config)
{
    struct wanted *wanted =
        calloc(1, sizeof *wanted +
                      config->provider_count * sizeof(struct credential_origin));

    CHECK(wanted != NULL);
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];
        struct credential_origin origin = credential_origin_of(provider);

        if (credential_is_renewed(provider) && !has(wanted, &origin)) {
            wanted->origins[wanted->count++] = credential_origin_copy(&origin);
        }
    }
    return wanted;
}

static struct wanted *wanted_free(struct wanted *wanted)
{
    for (size_t i = 0; wanted != NULL && i < wanted->count; i++) {
        credential_origin_free(&wanted->origins[i]);
    }
    free(wanted);
    return NULL;
}

static void await_settled(struct keeper *keeper)
{
    struct timespec until;

    CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_sec += KEEPER_FIRST_WAIT_MS / 1000;
    while (!keeper->all_asked &&
           pthread_cond_timedwait(&keeper->settled, &keeper->lock, &until) == 0) {
    }
}

void keeper_adopt(struct keeper *keeper, const struct config *config)
{
    struct wanted *wanted = wanted_of(config);

    if (!keeper->started && wanted->count == 0) {
        wanted_free(wanted);
        return;
    }
    if (!keeper->started) {
        keeper_start(keeper);
    }
    pthread_mutex_lock(&keeper->lock);
    wanted_free(keeper->wanted);
    keeper->wanted = wanted;
    keeper->all_asked = false;
    ring(keeper);
    await_settled(keeper);
    pthread_mutex_unlock(&keeper->lock);
}

struct keeper *keeper_new(const struct config *config, const struct keeper_owner *owner)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);

    CHECK(keeper != NULL);
    keeper->owner = *owner;
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->settled, NULL);
    keeper_adopt(keeper, config);
    return keeper;
}

unsigned keeper_failing(const struct keeper *keeper)
{
    return __atomic_load_n(&keeper->failing, __ATOMIC_RELAXED);
}

static void keeper_end(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->stop = true;
    pthread_mutex_unlock(&keeper->lock);
    ring(keeper);
    pthread_join(keeper->thread, NULL);
    while (keeper->sources != NULL) {
        struct source *source = keeper->sources;

        keeper->sources = source->next;
        source_free(source);
    }
    event_free(keeper->mail);
    evdns_base_free(keeper->names, 0);
    event_base_free(keeper->base);
    close(keeper->mail_fd);
}

struct keeper *keeper_free(struct keeper *keeper)
{
    if (keeper == NULL) {
        return NULL;
    }
    if (keeper->started) {
        keeper_end(keeper);
    }
    wanted_free(keeper->wanted);
    pthread_mutex_destroy(&keeper->lock);
    pthread_cond_destroy(&keeper->settled);
    free(keeper);
    return NULL;
}
