#include "proxy/sharing/quota_redis.h"

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/secret.h"
#include "proxy/sharing/redis_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    BATCH = 256, /* counters told of in one round trip */
    KEY_MAX = 160,
    NUMBERS = 6,
    ARGUMENTS = 5 + NUMBERS,
    NUMBER_MAX = 24,
    REPLICA_SIZE = 17,
    AGAIN_MS = 10 * 1000, /* every counter is told of at least so often */
    RETRY_MS = 100,
    RETRY_MAX_MS = 2000
};

/* KEYS: the counter. ARGV: replica, held, wanted, limit, now, stale, keep. Returns what is
 * registered for the replica now and what the others hold. Fields that nobody renewed for
 * `stale` are void. What is held is registered even where it does not fit any more. */
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
    struct config_redis config; /* its strings are copies */
    struct quota *quota;
    pthread_t thread;
    int stop_fd;
    char replica[REPLICA_SIZE];
    char epoch[REPLICA_SIZE];  /* the server's mark, as this replica knows it */
    char sha[64];              /* of the script; "": it is not there */
    struct tls_client *tls;    /* NULL: none is wanted */
    struct redis_link *server; /* NULL: not connected */
    bool lost;                 /* and the log was told */
    uint64_t told_all_ns;      /* monotonic */
    int wait_ms;               /* before the next attempt to connect */
};

/* ---- the connection -------------------------------------------------------------------- */

/* Once per silence, however many attempts it takes. */
static void note_lost(struct quota_redis *redis, const char *why)
{
    if (!redis->lost) {
        log_line(LOG_ERROR, "quota_sharing_lost", "%s: %s", redis->config.text, why);
    }
    redis->lost = true;
}

static void note_reached(struct quota_redis *redis)
{
    if (redis->lost) {
        log_line(LOG_INFO, "quota_sharing", "%s answers again", redis->config.text);
    }
    redis->lost = false;
}

static void disconnect(struct quota_redis *redis)
{
    const char *why = redis->server == NULL ? NULL : redis_link_why(redis->server);

    if (why != NULL) {
        note_lost(redis, why);
    }
    redis->server = redis_link_close(redis->server);
    redis->sha[0] = '\0';
    quota_share_reachable(redis->quota, false);
}

/* An answer; NULL on any failure, also where the server answers with an error. */
static redisReply *answer(struct quota_redis *redis)
{
    redisReply *reply = redis->server == NULL ? NULL : redis_link_get(redis->server);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        note_lost(redis, reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

static redisReply *ask(struct quota_redis *redis, int count, const char **arguments,
                       const size_t *sizes)
{
    redis_link_put(redis->server, count, arguments, sizes);
    return answer(redis);
}

static bool authenticate(struct quota_redis *redis)
{
    const struct config_redis *config = &redis->config;
    struct span password =
        config->password == NULL ? SPAN("") : secret_reveal(config->password);
    const char *arguments[3] = { "AUTH" };
    size_t sizes[3] = { 4 };
    int count = 1;
    redisReply *reply;

    if (config->password == NULL) {
        return true;
    }
    if (config->username != NULL) {
        arguments[count] = config->username;
        sizes[count++] = strlen(config->username);
    }
    arguments[count] = password.at;
    sizes[count++] = password.len;
    reply = ask(redis, count, arguments, sizes);
    freeReplyObject(reply);
    return reply != NULL;
}

static bool choose_database(struct quota_redis *redis)
{
    char number[NUMBER_MAX];
    const char *arguments[] = { "SELECT", number };
    size_t sizes[] = { 6, 0 };
    redisReply *reply;

    if (redis->config.database == 0) {
        return true;
    }
    sizes[1] = (size_t)snprintf(number, sizeof number, "%u", redis->config.database);
    reply = ask(redis, 2, arguments, sizes);
    freeReplyObject(reply);
    return reply != NULL;
}

static bool load_script(struct quota_redis *redis)
{
    const char *arguments[] = { "SCRIPT", "LOAD", script };
    const size_t sizes[] = { 6, 4, sizeof script - 1 };
    redisReply *reply = ask(redis, 3, arguments, sizes);
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
    redis->server = redis_link_open(&redis->config, redis->tls);
    if (!authenticate(redis) || !choose_database(redis) || !load_script(redis)) {
        disconnect(redis);
        return false;
    }
    redis->epoch[0] = '\0'; /* whatever it forgot is told again */
    return true;
}

/* ---- telling --------------------------------------------------------------------------- */

/* An empty subject, or one with any bytes, is a part of the key as it stands. */
static size_t put_key(const struct quota_redis *redis,
                      const struct quota_shared *shared, char key[KEY_MAX])
{
    struct text text = text_over(key, KEY_MAX);

    text_printf(&text, "%.47s:quota:%016llx:%lld:", redis->config.prefix,
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
                                         redis->replica };
    size_t sizes[ARGUMENTS] = { 7, strlen(redis->sha), 1, put_key(redis, shared, key),
                                strlen(redis->replica) };

    for (size_t i = 0; i < NUMBERS; i++) {
        arguments[5 + i] = texts[i];
        sizes[5 + i] = (size_t)snprintf(texts[i], NUMBER_MAX, "%llu",
                                        (unsigned long long)numbers[i]);
    }
    redis_link_put(redis->server, ARGUMENTS, arguments, sizes);
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
    redisReply *reply = answer(redis);
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
    } while (count == BATCH && redis->server != NULL);
}

/* The server's mark: a new one says that it has forgotten what it was told. */
static bool look_at_epoch(struct quota_redis *redis)
{
    char key[KEY_MAX];
    const char *set[] = { "SET", key, redis->replica, "NX" };
    const char *get[] = { "GET", key };
    size_t length =
        (size_t)snprintf(key, sizeof key, "%.47s:epoch", redis->config.prefix);
    const size_t set_sizes[] = { 3, length, strlen(redis->replica), 2 };
    const size_t get_sizes[] = { 3, length };
    redisReply *made, *reply;
    bool good, forgot;

    made = ask(redis, 4, set, set_sizes);
    reply = made == NULL ? NULL : ask(redis, 2, get, get_sizes);
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

/* ---- the thread ------------------------------------------------------------------------ */

/* One turn; returns how long to wait for the next at most. */
static int turn(struct quota_redis *redis)
{
    if (redis->server == NULL && !connect_server(redis)) {
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
    if (redis->server == NULL) {
        return RETRY_MS;
    }
    quota_share_reachable(redis->quota, true);
    note_reached(redis);
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
        poll(fds, redis->server == NULL ? 1 : 2, wait_ms);
    }
    disconnect(redis);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------ */

/* The name of this replica: made once, then read. */
static bool name_replica(struct quota_redis *redis, const char *directory,
                         struct error *error)
{
    const struct error_place nowhere = { 0 };
    char path[PATH_MAX];
    uint64_t number;
    int fd;
    ssize_t len;

    snprintf(path, sizeof path, "%s/replica", directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    len = fd < 0 ? -1 : read(fd, redis->replica, REPLICA_SIZE - 1);
    if (len == 0) {
        CHECK(getrandom(&number, sizeof number, 0) == sizeof number);
        snprintf(redis->replica, REPLICA_SIZE, "%016llx", (unsigned long long)number);
        len = write(fd, redis->replica, REPLICA_SIZE - 1);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (len != REPLICA_SIZE - 1) {
        error_add(error, nowhere, "%s cannot be read or written: %s", path,
                  strerror(errno));
    }
    return len == REPLICA_SIZE - 1;
}

static const char *copy(const char *text)
{
    const char *own = text == NULL ? NULL : strdup(text);

    CHECK((own == NULL) == (text == NULL));
    return own;
}

static struct quota_redis *redis_new(const struct config_redis *config)
{
    struct quota_redis *redis = calloc(1, sizeof *redis);

    CHECK(redis != NULL);
    redis->config = *config;
    redis->config.text = copy(config->text);
    redis->config.host = copy(config->host);
    redis->config.path = copy(config->path);
    redis->config.username = copy(config->username);
    redis->config.prefix = copy(config->prefix);
    redis->config.ca = copy(config->ca);
    redis->config.certificate = copy(config->certificate);
    redis->config.key = copy(config->key);
    redis->config.password =
        config->password == NULL ? NULL : secret_new(secret_reveal(config->password));
    redis->wait_ms = RETRY_MS;
    redis->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(redis->stop_fd >= 0);
    return redis;
}

static struct quota_redis *redis_free(struct quota_redis *redis)
{
    const char *const copies[] = { redis->config.text,        redis->config.host,
                                   redis->config.path,        redis->config.username,
                                   redis->config.prefix,      redis->config.ca,
                                   redis->config.certificate, redis->config.key };

    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        free((void *)(uintptr_t)copies[i]);
    }
    secret_free(redis->config.password);
    tls_client_free(redis->tls);
    close(redis->stop_fd);
    free(redis);
    return NULL;
}

struct quota_redis *quota_redis_start(const struct config_redis *config,
                                      const char *directory, struct quota *quota,
                                      struct error *error)
{
    struct quota_redis *redis = redis_new(config);

    redis->quota = quota;
    if (config->tls) {
        redis->tls = tls_client_new(config->host, config->ca, false, error);
    }
    if ((config->tls && redis->tls == NULL) || !name_replica(redis, directory, error)) {
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
