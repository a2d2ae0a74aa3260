#include "proxy/identity/jwks_keeper.h"

#include "proxy/base/clock.h"
#include "proxy/base/text.h"
#include "proxy/credential/fetch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WHY_MAX = 400 };

/* What is kept of one issuer. The thread alone fetches; `lock` guards what
 * it hands over. */
struct kept {
    struct jwks_keeper *keeper;
    const struct config_issuer *issuer;
    struct event *due;
    struct fetch *fetch; /* under way; NULL: none */
    pthread_mutex_t lock;
    struct jwks *keys; /* newest good ones */
    char *text;        /* that they were read from */
    size_t text_len;
    unsigned version;    /* how often they changed */
    char why[WHY_MAX];   /* what went wrong last; "": nothing, or it was told */
    bool failing;        /* told once until a fetch succeeds */
    uint64_t fetched_ns; /* atomic; monotonic, of the last attempt; 0: none yet */
    bool wanted;         /* atomic: an unknown key was named */
};

struct jwks_keeper {
    unsigned references; /* atomic */
    const struct config *config;
    unsigned changed; /* atomic */
    int ring_fd;
    bool stop; /* atomic */
    pthread_t thread;
    bool started;
    struct event_base *base;
    struct evdns_base *names;
    struct event *ring;
    size_t count;
    struct kept kept[];
};

/* ---- taking keys ----------------------------------------------------------------- */

static char *text_copy(struct span text)
{
    char *copy = malloc(text.len + 1);

    if (copy != NULL) {
        memcpy(copy, text.at, text.len);
    }
    return copy;
}

static void keys_replace(struct kept *kept, struct jwks *keys, char *text, size_t len)
{
    struct jwks *old_keys;
    char *old_text;

    pthread_mutex_lock(&kept->lock);
    old_keys = kept->keys;
    old_text = kept->text;
    kept->keys = keys;
    kept->text = text;
    kept->text_len = len;
    kept->version++;
    pthread_mutex_unlock(&kept->lock);
    jwks_unref(old_keys);
    free(old_text);
}

/* NULL, or what is wrong with the text. */
static const char *take(struct jwks_keeper *keeper, struct kept *kept, struct span text)
{
    bool file = kept->issuer->jwks.file != NULL;
    struct jwks *keys;
    const char *why;
    char *copy;

    if (kept->text != NULL && span_equal(text, span_of(kept->text, kept->text_len))) {
        return NULL;
    }
    keys = jwks_read(text, kept->issuer->rsa_algorithm, file, &why);
    if (keys == NULL) {
        return why;
    }
    copy = text_copy(text);
    if (copy == NULL) {
        jwks_unref(keys);
        return "does not fit into memory";
    }
    keys_replace(kept, keys, copy, text.len);
    __atomic_add_fetch(&keeper->changed, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* ---- files ----------------------------------------------------------------------- */

/* The bytes of a whole file, or NULL with errno set. */
static char *file_read(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(JWKS_BYTES_MAX + 1);

    if (text != NULL) {
        *len = fread(text, 1, JWKS_BYTES_MAX + 1, file);
        if (ferror(file) != 0 || *len > JWKS_BYTES_MAX) {
            errno = ferror(file) != 0 ? EIO : EFBIG;
            free(text);
            text = NULL;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

/* A shared secret is as good as a private key. */
static bool secret_guarded(const struct kept *kept, const char *path)
{
    struct stat file;

    return !jwks_has_secret(kept->keys) ||
           (stat(path, &file) == 0 && (file.st_mode & 077) == 0);
}

static bool file_load(struct jwks_keeper *keeper, struct kept *kept,
                      struct error *error)
{
    const struct config_issuer *issuer = kept->issuer;
    size_t len = 0;
    char *text = file_read(issuer->jwks.file, &len);
    const char *why =
        text == NULL ? strerror(errno) : take(keeper, kept, span_of(text, len));

    free(text);
    if (why == NULL && !secret_guarded(kept, issuer->jwks.file)) {
        why = "holds a shared secret that others can read; chmod 600 it";
    }
    if (why != NULL) {
        error_add(error, issuer->place, "%s: %s", issuer->jwks.file, why);
    }
    return why == NULL;
}

static bool saved_path(const struct jwks_keeper *keeper, const struct kept *kept,
                       const char *ending, struct text *path)
{
    text_printf(path, "%s/jwks-%s.json%s", keeper->config->state, kept->issuer->name,
                ending);
    return !path->full && strchr(kept->issuer->name, '/') == NULL;
}

/* What an earlier process fetched; gone or damaged, there is none. */
static void saved_load(struct jwks_keeper *keeper, struct kept *kept)
{
    char memory[4096];
    struct text path = text_over(memory, sizeof memory);
    size_t len = 0;
    char *text = saved_path(keeper, kept, "", &path) ? file_read(memory, &len) : NULL;

    if (text != NULL) {
        (void)take(keeper, kept, span_of(text, len));
    }
    free(text);
}

/* Best effort: without it a restart waits for the issuer. */
static void saved_write(const struct jwks_keeper *keeper, const struct kept *kept)
{
    char name[4096], fresh_name[4096];
    struct text path = text_over(name, sizeof name);
    struct text fresh = text_over(fresh_name, sizeof fresh_name);
    FILE *file;
    bool written;

    if (!saved_path(keeper, kept, "", &path) ||
        !saved_path(keeper, kept, ".new", &fresh)) {
        return;
    }
    file = fopen(fresh_name, "we");
    if (file == NULL) {
        return;
    }
    written = fwrite(kept->text, 1, kept->text_len, file) == kept->text_len;
    if (fclose(file) != 0 || !written || rename(fresh_name, name) != 0) {
        (void)remove(fresh_name);
    }
}

/* ---- URLs ------------------------------------------------------------------------ */

/* How long until this issuer's keys are to be fetched. A failure is
 * tried again soon. */
static uint64_t due_in(const struct kept *kept)
{
    bool soon = kept->failing || __atomic_load_n(&kept->wanted, __ATOMIC_ACQUIRE);
    uint64_t pause = soon ? (uint64_t)JWKS_FETCH_PAUSE_S * NS_PER_S
                          : (uint64_t)kept->issuer->refresh_ms * NS_PER_MS;
    uint64_t last = __atomic_load_n(&kept->fetched_ns, __ATOMIC_ACQUIRE);
    uint64_t now = clock_monotonic_ns();

    return last == 0 || now - last >= pause ? 0 : pause - (now - last);
}

static void plan(struct kept *kept)
{
    uint64_t wait_us = due_in(kept) / NS_PER_US;
    const struct timeval wait = { .tv_sec = (time_t)(wait_us / 1000000),
                                  .tv_usec = (suseconds_t)(wait_us % 1000000) };

    CHECK(event_add(kept->due, &wait) == 0);
}

static void note_failure(struct kept *kept, const char *why)
{
    pthread_mutex_lock(&kept->lock);
    if (!kept->failing) {
        snprintf(kept->why, sizeof kept->why, "keys of issuer '%s': %s %s%s",
                 kept->issuer->name, kept->issuer->jwks.text, why,
                 kept->keys == NULL ? "; its tokens are refused until there are some"
                                    : "; the last good ones stay in force");
    }
    kept->failing = true;
    pthread_mutex_unlock(&kept->lock);
}

static void note_result(struct kept *kept, const char *why)
{
    __atomic_store_n(&kept->fetched_ns, clock_monotonic_ns(), __ATOMIC_RELEASE);
    __atomic_store_n(&kept->wanted, false, __ATOMIC_RELEASE);
    if (why == NULL) {
        kept->failing = false;
    } else {
        note_failure(kept, why);
    }
    plan(kept);
}

static void on_reply(void *self, const struct fetch_reply *reply)
{
    struct kept *kept = self;
    unsigned before = kept->version;
    const char *why = reply->failure;
    char words[64];

    kept->fetch = NULL;
    if (reply->status == 200) {
        why = take(kept->keeper, kept, reply->body);
    } else if (reply->status != 0) {
        snprintf(words, sizeof words, "answered with status %d", reply->status);
        why = words;
    }
    if (kept->version != before) {
        saved_write(kept->keeper, kept);
    }
    note_result(kept, why);
}

static void on_due(evutil_socket_t fd, short events, void *self)
{
    static const struct fetch_field fields[] = { { "accept", "application/json" },
                                                 { NULL, NULL } };
    struct kept *kept = self;
    const struct fetch_request request = { .method = FETCH_GET,
                                           .url = kept->issuer->jwks.text,
                                           .ca = kept->issuer->ca,
                                           .fields = fields };
    struct error error;

    (void)fd;
    (void)events;
    if (kept->fetch != NULL) {
        return;
    }
    error_init(&error);
    kept->fetch = fetch_start(kept->keeper->base, kept->keeper->names, &request,
                              on_reply, kept, &error);
    if (kept->fetch == NULL) {
        note_result(kept,
                    error_any(&error) ? error.entries[0].words : "cannot be asked");
    }
    error_done(&error);
}

/* ---- the thread ------------------------------------------------------------------ */

static void on_ring(evutil_socket_t fd, short events, void *self)
{
    struct jwks_keeper *keeper = self;
    uint64_t count;

    (void)events;
    (void)!read(fd, &count, sizeof count);
    if (__atomic_load_n(&keeper->stop, __ATOMIC_ACQUIRE)) {
        event_base_loopbreak(keeper->base);
        return;
    }
    for (size_t i = 0; i < keeper->count; i++) {
        struct kept *kept = &keeper->kept[i];

        if (kept->due != NULL && kept->fetch == NULL) {
            plan(kept);
        }
    }
}

static void *keeper_run(void *self)
{
    struct jwks_keeper *keeper = self;

    event_base_dispatch(keeper->base);
    return NULL;
}

static void ring(struct jwks_keeper *keeper)
{
    const uint64_t one = 1;

    (void)!write(keeper->ring_fd, &one, sizeof one);
}

static bool loop_make(struct jwks_keeper *keeper)
{
    keeper->base = event_base_new();
    keeper->names = keeper->base == NULL ? NULL : evdns_base_new(keeper->base, 0);
    if (keeper->names == NULL) {
        return false;
    }
    /* Without name servers, addresses and /etc/hosts are still read. */
    (void)evdns_base_resolv_conf_parse(keeper->names, DNS_OPTIONS_ALL,
                                       "/etc/resolv.conf");
    keeper->ring =
        event_new(keeper->base, keeper->ring_fd, EV_READ | EV_PERSIST, on_ring, keeper);
    return keeper->ring != NULL && event_add(keeper->ring, NULL) == 0;
}

static void loop_free(struct jwks_keeper *keeper)
{
    for (size_t i = 0; i < keeper->count; i++) {
        keeper->kept[i].fetch = fetch_cancel(keeper->kept[i].fetch);
        if (keeper->kept[i].due != NULL) {
            event_free(keeper->kept[i].due);
            keeper->kept[i].due = NULL;
        }
    }
    if (keeper->ring != NULL) {
        event_free(keeper->ring);
        keeper->ring = NULL;
    }
    if (keeper->names != NULL) {
        evdns_base_free(keeper->names, 0);
        keeper->names = NULL;
    }
    if (keeper->base != NULL) {
        event_base_free(keeper->base);
        keeper->base = NULL;
    }
}

/* ---- life ------------------------------------------------------------------------ */

/* The keys that an earlier keeper had from the same place. */
static void hand_on(struct jwks_keeper *keeper, struct kept *kept,
                    struct jwks_keeper *old)
{
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        struct kept *before = &old->kept[i];

        pthread_mutex_lock(&before->lock);
        if (before->text != NULL &&
            strcmp(before->issuer->jwks.text, kept->issuer->jwks.text) == 0) {
            (void)take(keeper, kept, span_of(before->text, before->text_len));
        }
        pthread_mutex_unlock(&before->lock);
    }
}

static bool kept_init(struct jwks_keeper *keeper, size_t n, struct jwks_keeper *old,
                      struct error *error)
{
    struct kept *kept = &keeper->kept[n];

    kept->keeper = keeper;
    kept->issuer = &keeper->config->issuers[n];
    pthread_mutex_init(&kept->lock, NULL);
    keeper->count++;
    if (kept->issuer->jwks.file != NULL) {
        return file_load(keeper, kept, error);
    }
    hand_on(keeper, kept, old);
    if (kept->keys == NULL) {
        saved_load(keeper, kept);
    }
    return true;
}

struct jwks_keeper *jwks_keeper_new(const struct config *config,
                                    struct jwks_keeper *old, struct error *error)
{
    struct jwks_keeper *keeper =
        calloc(1, sizeof *keeper + config->issuer_count * sizeof keeper->kept[0]);
    bool sound = true;

    CHECK(keeper != NULL);
    keeper->references = 1;
    keeper->config = config;
    keeper->ring_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (keeper->ring_fd < 0) {
        error_add(error, (struct error_place){ .file = config->file },
                  "the keys of issuers cannot be kept: %s", strerror(errno));
        return jwks_keeper_unref(keeper);
    }
    for (size_t i = 0; i < config->issuer_count; i++) {
        sound = kept_init(keeper, i, old, error) && sound;
    }
    return sound ? keeper : jwks_keeper_unref(keeper);
}

static bool fetches(const struct jwks_keeper *keeper)
{
    for (size_t i = 0; i < keeper->count; i++) {
        if (keeper->kept[i].issuer->jwks.file == NULL) {
            return true;
        }
    }
    return false;
}

bool jwks_keeper_start(struct jwks_keeper *keeper)
{
    if (!fetches(keeper)) {
        return true;
    }
    if (!loop_make(keeper)) {
        return false;
    }
    for (size_t i = 0; i < keeper->count; i++) {
        struct kept *kept = &keeper->kept[i];

        if (kept->issuer->jwks.file == NULL) {
            kept->due = event_new(keeper->base, -1, 0, on_due, kept);
            CHECK(kept->due != NULL);
            plan(kept);
        }
    }
    keeper->started = pthread_create(&keeper->thread, NULL, keeper_run, keeper) == 0;
    return keeper->started;
}

void jwks_keeper_stop(struct jwks_keeper *keeper)
{
    if (keeper == NULL) {
        return;
    }
    if (keeper->started) {
        __atomic_store_n(&keeper->stop, true, __ATOMIC_RELEASE);
        ring(keeper);
        pthread_join(keeper->thread, NULL);
        keeper->started = false;
    }
    loop_free(keeper);
}

struct jwks_keeper *jwks_keeper_ref(struct jwks_keeper *keeper)
{
    __atomic_add_fetch(&keeper->references, 1, __ATOMIC_RELAXED);
    return keeper;
}

struct jwks_keeper *jwks_keeper_unref(struct jwks_keeper *keeper)
{
    if (keeper == NULL ||
        __atomic_sub_fetch(&keeper->references, 1, __ATOMIC_ACQ_REL) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < keeper->count; i++) {
        jwks_unref(keeper->kept[i].keys);
        free(keeper->kept[i].text);
        pthread_mutex_destroy(&keeper->kept[i].lock);
    }
    close(keeper->ring_fd);
    free(keeper);
    return NULL;
}

/* ---- asking ---------------------------------------------------------------------- */

struct jwks *jwks_keeper_keys(struct jwks_keeper *keeper, size_t n)
{
    struct kept *kept = &keeper->kept[n];
    struct jwks *keys;

    pthread_mutex_lock(&kept->lock);
    keys = jwks_ref(kept->keys);
    pthread_mutex_unlock(&kept->lock);
    return keys;
}

bool jwks_keeper_changed(struct jwks_keeper *keeper)
{
    return __atomic_exchange_n(&keeper->changed, 0, __ATOMIC_ACQ_REL) != 0;
}

void jwks_keeper_tell(struct jwks_keeper *keeper, struct error *error)
{
    for (size_t i = 0; i < keeper->count; i++) {
        struct kept *kept = &keeper->kept[i];

        pthread_mutex_lock(&kept->lock);
        if (kept->why[0] != '\0') {
            error_add(error, kept->issuer->place, "%s", kept->why);
            kept->why[0] = '\0';
        }
        pthread_mutex_unlock(&kept->lock);
    }
}

bool jwks_keeper_want(struct jwks_keeper *keeper, size_t n)
{
    struct kept *kept = &keeper->kept[n];
    uint64_t last = __atomic_load_n(&kept->fetched_ns, __ATOMIC_ACQUIRE);

    if (kept->issuer->jwks.file != NULL) {
        return false;
    }
    if (last != 0 &&
        clock_monotonic_ns() - last < (uint64_t)JWKS_FETCH_PAUSE_S * NS_PER_S) {
        return false;
    }
    if (!__atomic_exchange_n(&kept->wanted, true, __ATOMIC_ACQ_REL)) {
        ring(keeper);
    }
    return true;
}
