#include "proxy/sharing/feed.h"

#include "proxy/base/clock.h"
#include "proxy/base/ring.h"
#include "proxy/base/span.h"
#include "proxy/base/text.h"
#include "proxy/sharing/redis_server.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    ROOM = 2048, /* messages, either way */
    BATCH = 128, /* in one round trip */
    KEY_MAX = 128,
    ID_MAX = 48, /* of a message: "milliseconds-number" */
    BUSY_MS = 20,
    IDLE_MS = 100,
    RETRY_MS = 100,
    RETRY_MAX_MS = 2000
};

struct feed {
    struct redis_server server;
    struct ring out, in;
    size_t message_size;
    char key[KEY_MAX];
    char heard[ID_MAX]; /* the last message that was fetched */
    int heard_fd;
    char *message; /* room for one */
    int wait_ms;   /* before the next attempt to connect */
    pthread_t thread;
    int stop_fd;
};

/* ---- how far it came ------------------------------------------------------------- */

static bool open_heard(struct feed *feed, const char *directory, const char *name,
                       struct error *error)
{
    char path[PATH_MAX];
    ssize_t len;

    snprintf(path, sizeof path, "%s/%s.heard", directory, name);
    feed->heard_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    len = feed->heard_fd < 0 ? -1 : pread(feed->heard_fd, feed->heard, ID_MAX - 1, 0);
    if (len < 0) {
        error_add(error, (struct error_place){ 0 }, "%s cannot be read or written",
                  path);
        return false;
    }
    feed->heard[strcspn(feed->heard, "\n")] = '\0';
    if (feed->heard[0] == '\0') {
        text_store(feed->heard, ID_MAX, SPAN("0-0"));
    }
    return true;
}

/* Best effort: what is heard twice after a crash counts twice. */
static void note_heard(struct feed *feed)
{
    char line[ID_MAX + 1];
    int len = snprintf(line, sizeof line, "%s\n", feed->heard);

    (void)!pwrite(feed->heard_fd, line, (size_t)len, 0);
}

/* ---- telling --------------------------------------------------------------------- */

static void append(struct feed *feed)
{
    char most[16];
    const char *arguments[] = { "XADD",    feed->key,    "MAXLEN", "~",
                                most,      "*",          "from",   feed->server.replica,
                                "message", feed->message };
    size_t sizes[] = {
        4, strlen(feed->key), 6, 1, 0, 1, 4, strlen(feed->server.replica),
        7, feed->message_size
    };

    sizes[4] = (size_t)snprintf(most, sizeof most, "%d", FEED_KEPT);
    redis_link_put(feed->server.link, (int)(sizeof sizes / sizeof *sizes), arguments,
                   sizes);
}

/* Returns how many messages were told, or -1. */
static int tell(struct feed *feed)
{
    int count = 0;

    while (count < BATCH && ring_take(&feed->out, feed->message)) {
        append(feed);
        count++;
    }
    for (int i = 0; i < count; i++) {
        redisReply *reply = redis_server_answer(&feed->server);

        if (reply == NULL) {
            return -1;
        }
        freeReplyObject(reply);
    }
    return count;
}

/* ---- hearing --------------------------------------------------------------------- */

static struct span text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? span_of(reply->str, (size_t)reply->len)
                                             : SPAN("");
}

/* A message: [id, ["from", replica, "message", bytes]]. The own ones are known, and
 * those of another size are no messages. */
static void hear(struct feed *feed, const redisReply *entry)
{
    const redisReply *fields = entry->element[1];

    text_store(feed->heard, ID_MAX, text_of(entry->element[0]));
    if (fields->type == REDIS_REPLY_ARRAY && fields->elements == 4 &&
        !span_equal(text_of(fields->element[1]), span_text(feed->server.replica)) &&
        text_of(fields->element[3]).len == feed->message_size) {
        /* fetch() asks for no more than there is room for. */
        CHECK(ring_put(&feed->in, text_of(fields->element[3]).at));
    }
}

static bool is_entry(const redisReply *entry)
{
    return entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 &&
           text_of(entry->element[0]).len > 0 &&
           text_of(entry->element[0]).len < ID_MAX;
}

/* [[key, [entry, ...]]], or nil where there is nothing new. */
static int hear_all(struct feed *feed, const redisReply *reply)
{
    const redisReply *entries;
    int count = 0;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 ||
        reply->element[0]->type != REDIS_REPLY_ARRAY ||
        reply->element[0]->elements != 2 ||
        reply->element[0]->element[1]->type != REDIS_REPLY_ARRAY) {
        return 0;
    }
    entries = reply->element[0]->element[1];
    for (; (size_t)count < entries->elements; count++) {
        if (!is_entry(entries->element[count])) {
            break;
        }
        hear(feed, entries->element[count]);
    }
    note_heard(feed);
    return count;
}

/* Returns how many messages were fetched, or -1. */
static int fetch(struct feed *feed)
{
    size_t room = ROOM - ring_waiting(&feed->in);
    char most[16];
    const char *arguments[] = { "XREAD",   "COUNT",   most,
                                "STREAMS", feed->key, feed->heard };
    size_t sizes[] = { 5, 5, 0, 7, strlen(feed->key), strlen(feed->heard) };
    redisReply *reply;
    int count;

    if (room == 0) {
        return 0;
    }
    sizes[2] = (size_t)snprintf(most, sizeof most, "%zu", room < BATCH ? room : BATCH);
    reply = redis_server_ask(&feed->server, (int)(sizeof sizes / sizeof *sizes),
                             arguments, sizes);
    count = reply == NULL ? -1 : hear_all(feed, reply);
    freeReplyObject(reply);
    return count;
}

/* ---- the thread ------------------------------------------------------------------ */

/* The server is away: what was put is out of date when it comes back. */
static int go_alone(struct feed *feed)
{
    redis_server_disconnect(&feed->server);
    while (ring_take(&feed->out, feed->message)) {
    }
    feed->wait_ms = feed->wait_ms * 2 < RETRY_MAX_MS ? feed->wait_ms * 2 : RETRY_MAX_MS;
    return feed->wait_ms;
}

/* One turn; returns how long to wait for the next. */
static int turn(struct feed *feed)
{
    int told, fetched;

    if (feed->server.link == NULL && !redis_server_connect(&feed->server)) {
        return go_alone(feed);
    }
    told = tell(feed);
    fetched = told < 0 ? -1 : fetch(feed);
    if (fetched < 0) {
        return go_alone(feed);
    }
    feed->wait_ms = RETRY_MS;
    redis_server_reached(&feed->server);
    return told == BATCH || fetched == BATCH ? 0
           : told + fetched > 0              ? BUSY_MS
                                             : IDLE_MS;
}

static void *run(void *self)
{
    struct feed *feed = self;
    struct pollfd stop = { .fd = feed->stop_fd, .events = POLLIN };

    while (poll(&stop, 1, turn(feed)) == 0) {
    }
    while (feed->server.link != NULL && tell(feed) > 0) {
    }
    return NULL;
}

/* ---- for others ------------------------------------------------------------------ */

bool feed_put(struct feed *feed, const void *message)
{
    return ring_put(&feed->out, message);
}

bool feed_take(struct feed *feed, void *message)
{
    return ring_take(&feed->in, message);
}

/* ---- life ------------------------------------------------------------------------ */

static struct feed *feed_free(struct feed *feed)
{
    redis_server_done(&feed->server);
    ring_done(&feed->out);
    ring_done(&feed->in);
    free(feed->message);
    if (feed->heard_fd >= 0) {
        close(feed->heard_fd);
    }
    close(feed->stop_fd);
    free(feed);
    return NULL;
}

static struct feed *feed_new(size_t message_size)
{
    struct feed *feed = calloc(1, sizeof *feed);

    CHECK(feed != NULL);
    feed->message_size = message_size;
    feed->message = malloc(message_size);
    feed->heard_fd = -1;
    feed->wait_ms = RETRY_MS;
    feed->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(feed->message != NULL && feed->stop_fd >= 0 &&
          ring_init(&feed->out, message_size, ROOM) &&
          ring_init(&feed->in, message_size, ROOM));
    return feed;
}

struct feed *feed_start(const struct config_redis *config, const char *directory,
                        const char *name, size_t message_size, struct error *error)
{
    struct feed *feed = feed_new(message_size);

    snprintf(feed->key, sizeof feed->key, "%.47s:%s", config->prefix, name);
    if (!redis_server_init(&feed->server, config, directory, "detection_sharing",
                           error) ||
        !open_heard(feed, directory, name, error)) {
        return feed_free(feed);
    }
    if (pthread_create(&feed->thread, NULL, run, feed) != 0) {
        error_add(error, (struct error_place){ 0 }, "a thread cannot be started");
        return feed_free(feed);
    }
    return feed;
}

struct feed *feed_stop(struct feed *feed)
{
    const uint64_t one = 1;

    if (feed == NULL) {
        return NULL;
    }
    (void)!write(feed->stop_fd, &one, sizeof one);
    pthread_join(feed->thread, NULL);
    return feed_free(feed);
}
