#include "proxy/sharing/quota_redis.h"

#include "proxy/base/clock.h"
#include "proxy/sharing/redis_server.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BATCH = 256, /* counters told of in one round trip */
    KEY_MAX = 160,
    NUMBERS = 6,
    ARGUMENTS = 5 + NUMBERS,
    NUMBER_MAX = 24,
    AGAIN_MS = 10 * 1000, /* every counter is told of at least so often */
    RETRY_MS = 100,
    RETRY_MAX_MS = 2000
};

/* KEYS: the counter. ARGV: replica, held, wanted, limit, now, stale, keep. Returns
 * what is registered for the replica now and what the others hold. Fields that
 * nobody renewed for `stale` are void. What is held is registered even where it
 * does not fit any more. */
static const char script[] =
    "local others = 0 "
    "local fields = redis.call('HGETALL', KEYS[1]) "
    "for i = 1, #fields, 2 do "
    "  local held, time = string.match(fields[i + 1], '^(%d+) (%d+)$') "
    "  local stale = tonumber(ARGV[6]) "
    "  if fields[i] == ARGV[1] then "
    "  elseif held == nil or "
    "         (stale > 0 and tonumber(time) + stale < tonumber(ARGV[5])) then "
    "    redis.call('HDEL', KEYS[1], fields[i]) "
    "  else others = others + tonumber(held) end "
    "end "
    "local take = math.max(tonumber(ARGV[2]), "
    "  math.min(tonumber(ARGV[3]), tonumber(ARGV[4]) - others)) "
    "local text = string.format('%.0f', take) "
    "redis.call('HSET', KEYS[1], ARGV[1], text .. ' ' .. ARGV[5]) "
    "redis.call('PEXPIRE', KEYS[1], ARGV[7]) "
    "return {text, string.format('%.0f', others)}";

struct quota_redis {
    struct redis_server server;
    struct quota *quota;
    pthread_t thread;
    int stop_fd;
    char epoch[REDIS_REPLICA_SIZE]; /* the server's mark, as this replica knows it */
    char sha[64];                   /* of the script; "": it is not there */
    uint64_t told_all_ns;           /* monotonic */
    int wait_ms;                    /* before the next attempt to connect */
};

/* ---- the connection -------------------------------------------------------------- */

static void disconnect(struct quota_redis *redis)
{
    redis_server_disconnect(&redis->server);
    redis->sha[0] = '\0';
    quota_share_reachable(redis->quota, false);
}

static bool load_script(struct quota_redis *redis)
{
    const char *arguments[] = { "SCRIPT", "LOAD", script };
    const size_t sizes[] = { 6, 4, sizeof script - 1 };
    redisReply *reply = redis_server_ask(&redis->server, 3, arguments, sizes);
    bool good = reply != NULL && reply->type == REDIS_REPLY_STRING;

    if (good) {
        text_store(redis->sha, sizeof redis->sha,
                   span_of(reply->str, (size_t)reply->len));
    }
    freeReplyObject(reply);
    return good;
}

static bool connect_server(struct quota_redis *redis)
{
    if (!redis_server_connect(&redis->server) || !load_script(redis)) {
        disconnect(redis);
        return false;
    }
    redis->epoch[0] = '\0'; /* whatever it forgot is told again */
    return true;
}

/* ---- telling --------------------------------------------------------------------- */

/* An empty subject, or one with any bytes, is a part of the key as it stands. */
static size_t put_key(const struct quota_redis *redis,
                      const struct quota_shared *shared, char key[KEY_MAX])
{
    struct text text = text_over(key, KEY_MAX);

    text_printf(&text, "%.47s:quota:%016llx:%lld:", redis->server.config.prefix,
                (unsigned long long)shared->meaning, (long long)shared->window_s);
    text_put(&text, span_text(shared->cell->subject));
    return text.len;
}

static void append(struct quota_redis *redis, const struct quota_shared *shared,
                   int64_t now_ms)
{
    const uint64_t numbers[NUMBERS] = { shared->held,
                                        shared->wanted,
                                        shared->limit,
                                        (uint64_t)now_ms,
                                        (uint64_t)shared->stale_ms,
                                        (uint64_t)shared->keep_ms };
    char key[KEY_MAX], texts[NUMBERS][NUMBER_MAX];
    const char *arguments[ARGUMENTS] = { "EVALSHA", redis->sha, "1", key,
                                         redis->server.replica };
    size_t sizes[ARGUMENTS] = { 7, strlen(redis->sha), 1, put_key(redis, shared, key),
                                strlen(redis->server.replica) };

    for (size_t i = 0; i < NUMBERS; i++) {
        arguments[5 + i] = texts[i];
        sizes[5 + i] = (size_t)snprintf(texts[i], NUMBER_MAX, "%llu",
                                        (unsigned long long)numbers[i]);
    }
    redis_link_put(redis->server.link, ARGUMENTS, arguments, sizes);
}

static bool read_number(const redisReply *reply, uint64_t *number)
{
    return reply->type == REDIS_REPLY_STRING &&
           span_decimal(span_of(reply->str, (size_t)reply->len), number);
}

/* One answer of a batch. */
static bool hear(struct quota_redis *redis, const struct quota_shared *shared)
{
    uint64_t registered = 0, others = 0;
    redisReply *reply = redis_server_answer(&redis->server);
    bool good = reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
                reply->elements == 2 && read_number(reply->element[0], &registered) &&
                read_number(reply->element[1], &others);

    if (good) {
        quota_share_heard(redis->quota, shared, clock_unix_ns(), registered, others);
    } else {
        quota_share_failed(redis->quota, shared);
        disconnect(redis);
    }
    freeReplyObject(reply);
    return good;
}

/* Tells of everything that moved. */
static void tell(struct quota_redis *redis)
{
    struct quota_shared batch[BATCH];
    size_t count;

    do {
        uint64_t now_ns = clock_unix_ns();

        count = quota_share_take(redis->quota, now_ns, batch, BATCH);
        for (size_t i = 0; i < count; i++) {
            append(redis, &batch[i], (int64_t)(now_ns / NS_PER_MS));
        }
        for (size_t i = 0; i < count; i++) {
            hear(redis, &batch[i]);
        }
    } while (count == BATCH && redis->server.link != NULL);
}

/* The server's mark: a new one says that it has forgotten what it was told. */
static bool look_at_epoch(struct quota_redis *redis)
{
    char key[KEY_MAX];
    const char *set[] = { "SET", key, redis->server.replica, "NX" };
    const char *get[] = { "GET", key };
    size_t length =
        (size_t)snprintf(key, sizeof key, "%.47s:epoch", redis->server.config.prefix);
    const size_t set_sizes[] = { 3, length, strlen(redis->server.replica), 2 };
    const size_t get_sizes[] = { 3, length };
    redisReply *made, *reply;
    bool good, forgot;

    made = redis_server_ask(&redis->server, 4, set, set_sizes);
    reply = made == NULL ? NULL : redis_server_ask(&redis->server, 2, get, get_sizes);
    good = reply != NULL && reply->type == REDIS_REPLY_STRING;
    forgot = good && (made->type == REDIS_REPLY_STATUS ||
                      strcmp(redis->epoch, reply->str) != 0);
    if (forgot) {
        text_store(redis->epoch, sizeof redis->epoch, span_text(reply->str));
        quota_share_again(redis->quota, clock_unix_ns());
    }
    freeReplyObject(made);
    freeReplyObject(reply);
    return good;
}

static void tell_all_now_and_then(struct quota_redis *redis)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (now_ns - redis->told_all_ns >= (uint64_t)AGAIN_MS * NS_PER_MS) {
        quota_share_again(redis->quota,
                          clock_unix_ns() - (uint64_t)AGAIN_MS * NS_PER_MS);
        redis->told_all_ns = now_ns;
    }
}

/* ---- the thread ------------------------------------------------------------------ */

/* One turn; returns how long to wait for the next at most. */
static int turn(struct quota_redis *redis)
{
    if (redis->server.link == NULL && !connect_server(redis)) {
        redis->wait_ms =
            redis->wait_ms * 2 < RETRY_MAX_MS ? redis->wait_ms * 2 : RETRY_MAX_MS;
        return redis->wait_ms;
    }
    redis->wait_ms = RETRY_MS;
    if (!look_at_epoch(redis)) {
        disconnect(redis);
        return RETRY_MS;
    }
    tell_all_now_and_then(redis);
    tell(redis);
    if (redis->server.link == NULL) {
        return RETRY_MS;
    }
    quota_share_reachable(redis->quota, true);
    redis_server_reached(&redis->server);
    return 1000;
}

static void *quota_redis_run(void *self)
{
    struct quota_redis *redis = self;
    struct pollfd fds[] = { { .fd = redis->stop_fd, .events = POLLIN },
                            { .fd = quota_share_fd(redis->quota), .events = POLLIN } };

    while ((fds[0].revents & POLLIN) == 0) {
        int wait_ms = turn(redis);

        /* What moves while the server is away waits, too. */
        poll(fds, redis->server.link == NULL ? 1 : 2, wait_ms);
    }
    disconnect(redis);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------ */

static struct quota_redis *redis_free(struct quota_redis *redis)
{
    redis_server_done(&redis->server);
    close(redis->stop_fd);
    free(redis);
    return NULL;
}

struct quota_redis *quota_redis_start(const struct config_redis *config,
                                      const char *directory, struct quota *quota,
                                      struct error *error)
{
    struct quota_redis *redis = calloc(1, sizeof *redis);

    CHECK(redis != NULL);
    redis->quota = quota;
    redis->wait_ms = RETRY_MS;
    redis->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(redis->stop_fd >= 0);
    if (!redis_server_init(&redis->server, config, directory, "quota_sharing", error)) {
        return redis_free(redis);
    }
    if (pthread_create(&redis->thread, NULL, quota_redis_run, redis) != 0) {
        error_add(error, (struct error_place){ 0 }, "a thread cannot be started");
        return redis_free(redis);
    }
    return redis;
}

struct quota_redis *quota_redis_stop(struct quota_redis *redis)
{
    const uint64_t one = 1;

    if (redis == NULL) {
        return NULL;
    }
    (void)!write(redis->stop_fd, &one, sizeof one);
    pthread_join(redis->thread, NULL);
    return redis_free(redis);
}
