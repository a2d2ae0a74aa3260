#include "proxy/alert/webhook.h"

#include "proxy/alert/outbox.h"
#include "proxy/alert/receiver.h"
#include "proxy/base/clock.h"
#include "proxy/base/date.h"
#include "proxy/base/log.h"

#include <event2/event.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    QUEUE_MAX = 1024,
    TURN_MS = 60 * 1000, /* at the latest: the wall clock may have jumped */
    PAUSE_MS = 1000,     /* when the outbox cannot be written */
    MS_PER_S = 1000
};

/* News on their way to the thread. */
struct queued {
    struct queued *next;
    char event[24];
    int64_t keep_ms;
    struct outbox_message message;
};

/* A receiver, and what of its message under way is needed at the end. */
struct post {
    struct webhook *webhook;
    struct receiver *receiver;
    int64_t paused_ms; /* nothing is sent before */
    char id[OUTBOX_ID_SIZE];
    uint32_t tries;
    int64_t made_ms;
};

struct posts {
    size_t count;
    struct post each[];
};

struct webhook {
    char *directory;
    pthread_t thread;
    bool started;
    int wake_fd;
    /* handed to the thread, under the lock */
    pthread_mutex_t lock;
    struct posts *wanted; /* NULL: those in use */
    struct queued *first, **last;
    size_t queued;
    bool stop;
    /* the thread's own */
    struct outbox *outbox;
    struct event_base *base;
    struct event *wake, *timer;
    struct posts *posts;
    int64_t swept_ms;
    atomic_uint_least64_t taken, failed, dropped;
};

static int64_t now_ms(void)
{
    return (int64_t)(clock_unix_ns() / NS_PER_MS);
}

static void drop(struct webhook *webhook, const char *id, const char *why)
{
    atomic_fetch_add_explicit(&webhook->dropped, 1, memory_order_relaxed);
    log_line(LOG_WARN, "webhook_dropped", "message %s: %s", id, why);
}

/* ---- sending --------------------------------------------------------------------- */

/* false where the outbox could not be written. */
static bool put_off(const struct post *post, const char *reason)
{
    struct webhook *webhook = post->webhook;
    const char *name = receiver_name(post->receiver);
    int64_t next = now_ms() + receiver_wait_ms(post->receiver, post->tries);

    if (next - post->made_ms > receiver_give_up_ms(post->receiver)) {
        drop(webhook, post->id, reason);
        return outbox_done(webhook->outbox, name, post->id);
    }
    atomic_fetch_add_explicit(&webhook->failed, 1, memory_order_relaxed);
    log_line(LOG_WARN, "webhook_failed", "%s, attempt %u: %s", name, post->tries + 1,
             reason);
    return outbox_later(webhook->outbox, name, post->id, next);
}

static bool conclude(const struct post *post, enum receiver_end end, const char *reason)
{
    struct webhook *webhook = post->webhook;

    switch (end) {
    case RECEIVER_FAILED:
        return put_off(post, reason);
    case RECEIVER_REFUSED:
        drop(webhook, post->id, "its receiver wants it no more");
        break;
    case RECEIVER_TAKEN:
        atomic_fetch_add_explicit(&webhook->taken, 1, memory_order_relaxed);
        break;
    }
    return outbox_done(webhook->outbox, receiver_name(post->receiver), post->id);
}

static void on_done(void *self, struct receiver *receiver, enum receiver_end end,
                    const char *reason)
{
    struct post *post = self;

    (void)receiver;
    if (!conclude(post, end, reason)) {
        post->paused_ms = now_ms() + PAUSE_MS;
    }
    event_active(post->webhook->timer, EV_TIMEOUT, 0);
}

/* Sends what is due. Returns when the next message is. */
static int64_t send_due(struct post *post, int64_t now)
{
    struct webhook *webhook = post->webhook;
    struct outbox_message message;

    if (post->paused_ms > now) {
        return post->paused_ms;
    }
    if (!outbox_next(webhook->outbox, receiver_name(post->receiver), &message)) {
        return INT64_MAX;
    }
    /* No wait is that long: the clock was set back. */
    if (message.next_ms > now && message.next_ms - now <= 2 * RECEIVER_WAIT_MAX_MS) {
        return message.next_ms;
    }
    memcpy(post->id, message.id, sizeof post->id);
    post->tries = message.tries;
    post->made_ms = message.made_ms;
    receiver_send(post->receiver, webhook->base, &message, now, on_done, post);
    return now + PAUSE_MS;
}

static void turn(struct webhook *webhook)
{
    int64_t now = now_ms(), next = now + TURN_MS;
    struct timeval wait;

    for (size_t i = 0; webhook->posts != NULL && i < webhook->posts->count; i++) {
        struct post *post = &webhook->posts->each[i];
        int64_t due = receiver_turn(post->receiver, now);

        if (due == 0) {
            due = send_due(post, now);
        }
        next = due < next ? due : next;
    }
    if (now - webhook->swept_ms >= TURN_MS || now < webhook->swept_ms) {
        outbox_sweep(webhook->outbox, now);
        webhook->swept_ms = now;
    }
    next = next > now ? next - now : 1;
    wait.tv_sec = next / MS_PER_S;
    wait.tv_usec = next % MS_PER_S * 1000;
    event_add(webhook->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short events, void *self)
{
    (void)fd;
    (void)events;
    turn(self);
}

/* ---- what is handed in ----------------------------------------------------------- */

static struct posts *posts_free(struct posts *posts)
{
    for (size_t i = 0; posts != NULL && i < posts->count; i++) {
        receiver_free(posts->each[i].receiver);
    }
    free(posts);
    return NULL;
}

static void file_news(struct webhook *webhook, const struct queued *queued)
{
    for (size_t i = 0; webhook->posts != NULL && i < webhook->posts->count; i++) {
        const struct receiver *receiver = webhook->posts->each[i].receiver;

        if (!receiver_wants(receiver, queued->event)) {
            continue;
        }
        switch (outbox_put(webhook->outbox, receiver_name(receiver), &queued->message,
                           queued->keep_ms)) {
        case OUTBOX_FULL:
            drop(webhook, queued->message.id, "too many wait for its receiver");
            break;
        case OUTBOX_BROKEN:
            drop(webhook, queued->message.id, "outbox.db cannot be written");
            break;
        case OUTBOX_NEW:
        case OUTBOX_KNOWN:
            break;
        }
    }
}

static void on_wake(evutil_socket_t fd, short events, void *self)
{
    struct webhook *webhook = self;
    struct queued *queued;
    struct posts *wanted;
    uint64_t times;
    bool stop;

    (void)events;
    (void)!read(fd, &times, sizeof times);
    pthread_mutex_lock(&webhook->lock);
    stop = webhook->stop;
    wanted = webhook->wanted;
    webhook->wanted = NULL;
    queued = webhook->first;
    webhook->first = NULL;
    webhook->last = &webhook->first;
    webhook->queued = 0;
    pthread_mutex_unlock(&webhook->lock);
    if (wanted != NULL) {
        posts_free(webhook->posts);
        webhook->posts = wanted;
    }
    while (queued != NULL) {
        struct queued *next = queued->next;

        file_news(webhook, queued);
        free(queued);
        queued = next;
    }
    if (stop) {
        event_base_loopbreak(webhook->base);
    } else {
        turn(webhook);
    }
}

static void wake(const struct webhook *webhook)
{
    const uint64_t one = 1;

    if (webhook->started) {
        (void)!write(webhook->wake_fd, &one, sizeof one);
    }
}

/* ---- telling --------------------------------------------------------------------- */

static void put_body(const struct webhook_news *news, struct text *body)
{
    int64_t unix_s = clock_seconds(news->unix_ns);

    text_printf(body, "{\"type\":\"%s\",\"timestamp\":\"", news->event);
    date_put(body, unix_s, unix_s);
    text_put(body, SPAN("\",\"data\":"));
    text_put(body, news->data);
    text_put(body, SPAN("}"));
}

static struct queued *queued_new(const struct webhook_news *news)
{
    struct queued *queued = calloc(1, sizeof *queued);
    struct outbox_message *message;
    struct text body;

    CHECK(queued != NULL && news->data.len <= WEBHOOK_DATA_MAX);
    message = &queued->message;
    body = text_over(message->body, sizeof message->body - 1);
    snprintf(message->id, sizeof message->id, "%016llx%016llx",
             (unsigned long long)news->id[0], (unsigned long long)news->id[1]);
    message->made_ms = (int64_t)(news->unix_ns / NS_PER_MS);
    queued->keep_ms = news->remembered_s * MS_PER_S;
    text_store(queued->event, sizeof queued->event, span_text(news->event));
    put_body(news, &body);
    CHECK(!body.full);
    return queued;
}

void webhook_tell(struct webhook *webhook, const struct webhook_news *news)
{
    struct queued *queued = queued_new(news);

    pthread_mutex_lock(&webhook->lock);
    if (webhook->started && webhook->queued < QUEUE_MAX) {
        *webhook->last = queued;
        webhook->last = &queued->next;
        webhook->queued++;
        queued = NULL;
    }
    pthread_mutex_unlock(&webhook->lock);
    if (queued != NULL && webhook->started) {
        drop(webhook, queued->message.id, "the queue is full");
    }
    free(queued);
    wake(webhook);
}

struct webhook_counts webhook_counts(struct webhook *webhook)
{
    return (struct webhook_counts){
        .taken = atomic_load_explicit(&webhook->taken, memory_order_relaxed),
        .failed = atomic_load_explicit(&webhook->failed, memory_order_relaxed),
        .dropped = atomic_load_explicit(&webhook->dropped, memory_order_relaxed),
    };
}

/* ---- life ------------------------------------------------------------------------ */

static void *webhook_run(void *self)
{
    struct webhook *webhook = self;

    event_active(webhook->timer, EV_TIMEOUT, 0);
    event_base_loop(webhook->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static bool loop_make(struct webhook *webhook)
{
    webhook->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    webhook->base = event_base_new();
    if (webhook->wake_fd < 0 || webhook->base == NULL) {
        return false;
    }
    webhook->wake = event_new(webhook->base, webhook->wake_fd, EV_READ | EV_PERSIST,
                              on_wake, webhook);
    webhook->timer = evtimer_new(webhook->base, on_timer, webhook);
    return webhook->wake != NULL && webhook->timer != NULL &&
           event_add(webhook->wake, NULL) == 0;
}

static void loop_free(struct webhook *webhook)
{
    if (webhook->timer != NULL) {
        event_free(webhook->timer);
        webhook->timer = NULL;
    }
    if (webhook->wake != NULL) {
        event_free(webhook->wake);
        webhook->wake = NULL;
    }
    if (webhook->base != NULL) {
        event_base_free(webhook->base);
        webhook->base = NULL;
    }
    if (webhook->wake_fd >= 0) {
        close(webhook->wake_fd);
        webhook->wake_fd = -1;
    }
    webhook->outbox = outbox_close(webhook->outbox);
}

static bool start(struct webhook *webhook, struct error *error)
{
    webhook->outbox = outbox_open(webhook->directory, error);
    if (webhook->outbox == NULL) {
        return false;
    }
    webhook->started = loop_make(webhook) && pthread_create(&webhook->thread, NULL,
                                                            webhook_run, webhook) == 0;
    if (!webhook->started) {
        error_add(error, (struct error_place){ 0 },
                  "webhooks cannot be started: out of resources");
        loop_free(webhook);
    }
    return webhook->started;
}

struct webhook *webhook_new(const char *directory)
{
    struct webhook *webhook = calloc(1, sizeof *webhook);

    CHECK(webhook != NULL);
    webhook->directory = strdup(directory);
    CHECK(webhook->directory != NULL);
    webhook->wake_fd = -1;
    webhook->last = &webhook->first;
    pthread_mutex_init(&webhook->lock, NULL);
    return webhook;
}

bool webhook_use(struct webhook *webhook, const struct config *config,
                 struct error *error)
{
    size_t size = config->webhook_count * sizeof(struct post);
    struct posts *posts = calloc(1, sizeof *posts + size);

    CHECK(posts != NULL);
    for (size_t i = 0; i < config->webhook_count; i++) {
        struct receiver *receiver = receiver_new(&config->webhooks[i], error);

        if (receiver == NULL) {
            posts_free(posts);
            return false;
        }
        posts->each[posts->count++] =
            (struct post){ .webhook = webhook, .receiver = receiver };
    }
    if (!webhook->started && (posts->count == 0 || !start(webhook, error))) {
        bool unused = posts->count == 0;

        posts_free(posts);
        return unused;
    }
    pthread_mutex_lock(&webhook->lock);
    posts_free(webhook->wanted);
    webhook->wanted = posts;
    pthread_mutex_unlock(&webhook->lock);
    wake(webhook);
    return true;
}

struct webhook *webhook_free(struct webhook *webhook)
{
    if (webhook == NULL) {
        return NULL;
    }
    if (webhook->started) {
        pthread_mutex_lock(&webhook->lock);
        webhook->stop = true;
        pthread_mutex_unlock(&webhook->lock);
        wake(webhook);
        pthread_join(webhook->thread, NULL);
    }
    posts_free(webhook->posts);
    posts_free(webhook->wanted);
    while (webhook->first != NULL) {
        struct queued *queued = webhook->first;

        webhook->first = queued->next;
        free(queued);
    }
    loop_free(webhook);
    pthread_mutex_destroy(&webhook->lock);
    free(webhook->directory);
    free(webhook);
    return NULL;
}
