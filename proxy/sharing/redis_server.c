#include "proxy/sharing/redis_server.h"

#include "proxy/base/log.h"
#include "proxy/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { NUMBER_MAX = 24 };

/* ---- what the log is told -------------------------------------------------------- */

/* Once per silence, however many attempts it takes. */
static void note_lost(struct redis_server *server, const char *why)
{
    char event[64];

    snprintf(event, sizeof event, "%s_lost", server->sharing);
    if (!server->lost) {
        log_line(LOG_ERROR, event, "%s: %s", server->config.text, why);
    }
    server->lost = true;
}

void redis_server_reached(struct redis_server *server)
{
    if (server->lost) {
        log_line(LOG_INFO, server->sharing, "%s answers again", server->config.text);
    }
    server->lost = false;
}

/* ---- asking ---------------------------------------------------------------------- */

redisReply *redis_server_answer(struct redis_server *server)
{
    redisReply *reply = server->link == NULL ? NULL : redis_link_get(server->link);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        note_lost(server, reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

redisReply *redis_server_ask(struct redis_server *server, int count,
                             const char **arguments, const size_t *sizes)
{
    redis_link_put(server->link, count, arguments, sizes);
    return redis_server_answer(server);
}

/* ---- connecting ------------------------------------------------------------------ */

static bool authenticate(struct redis_server *server)
{
    const struct config_redis *config = &server->config;
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
    reply = redis_server_ask(server, count, arguments, sizes);
    freeReplyObject(reply);
    return reply != NULL;
}

static bool choose_database(struct redis_server *server)
{
    char number[NUMBER_MAX];
    const char *arguments[] = { "SELECT", number };
    size_t sizes[] = { 6, 0 };
    redisReply *reply;

    if (server->config.database == 0) {
        return true;
    }
    sizes[1] = (size_t)snprintf(number, sizeof number, "%u", server->config.database);
    reply = redis_server_ask(server, 2, arguments, sizes);
    freeReplyObject(reply);
    return reply != NULL;
}

bool redis_server_connect(struct redis_server *server)
{
    server->link = redis_link_open(&server->config, server->tls);
    return authenticate(server) && choose_database(server);
}

void redis_server_disconnect(struct redis_server *server)
{
    const char *why = server->link == NULL ? NULL : redis_link_why(server->link);

    if (why != NULL) {
        note_lost(server, why);
    }
    server->link = redis_link_close(server->link);
}

/* ---- life ------------------------------------------------------------------------ */

/* The name of this replica: made once, then read. */
static bool name_replica(struct redis_server *server, const char *directory,
                         struct error *error)
{
    const struct error_place nowhere = { 0 };
    char path[PATH_MAX];
    uint64_t number;
    int fd;
    ssize_t len;

    snprintf(path, sizeof path, "%s/replica", directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    len = fd < 0 ? -1 : read(fd, server->replica, REDIS_REPLICA_SIZE - 1);
    if (len == 0) {
        CHECK(getrandom(&number, sizeof number, 0) == sizeof number);
        snprintf(server->replica, REDIS_REPLICA_SIZE, "%016llx",
                 (unsigned long long)number);
        len = write(fd, server->replica, REDIS_REPLICA_SIZE - 1);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (len != REDIS_REPLICA_SIZE - 1) {
        error_add(error, nowhere, "%s cannot be read or written: %s", path,
                  strerror(errno));
    }
    return len == REDIS_REPLICA_SIZE - 1;
}

static const char *copy(const char *text)
{
    const char *own = text == NULL ? NULL : strdup(text);

    CHECK((own == NULL) == (text == NULL));
    return own;
}

static void copy_config(struct redis_server *server, const struct config_redis *config)
{
    server->config = *config;
    server->config.text = copy(config->text);
    server->config.host = copy(config->host);
    server->config.path = copy(config->path);
    server->config.username = copy(config->username);
    server->config.prefix = copy(config->prefix);
    server->config.ca = copy(config->ca);
    server->config.certificate = copy(config->certificate);
    server->config.key = copy(config->key);
    server->config.password =
        config->password == NULL ? NULL : secret_new(secret_reveal(config->password));
}

bool redis_server_init(struct redis_server *server, const struct config_redis *config,
                       const char *directory, const char *sharing, struct error *error)
{
    *server = (struct redis_server){ .sharing = sharing };
    copy_config(server, config);
    if (config->tls) {
        server->tls = tls_client_new(config->host, config->ca, false, error);
    }
    return (!config->tls || server->tls != NULL) &&
           name_replica(server, directory, error);
}

void redis_server_done(struct redis_server *server)
{
    const char *const copies[] = { server->config.text,        server->config.host,
                                   server->config.path,        server->config.username,
                                   server->config.prefix,      server->config.ca,
                                   server->config.certificate, server->config.key };

    redis_server_disconnect(server);
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        free((void *)(uintptr_t)copies[i]);
    }
    secret_free(server->config.password);
    tls_client_free(server->tls);
}
