#include "proxy/sharing/redis_link.h"

#include "certs/tls_reason.h"
#include "proxy/base/text.h"

#include <openssl/err.h>

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_SIZE = 16 * 1024, PORT_SIZE = 8, WHY_SIZE = 128 };

struct redis_link {
    int fd;            /* not blocking */
    SSL *ssl;          /* NULL: plain */
    redisReader *read; /* puts answers together */
    char *out;         /* what is asked for and has not left */
    size_t out_len, out_cap;
    uint32_t timeout_ms;
    char why[WHY_SIZE]; /* it is broken; "": it is not */
};

/* ---- waiting --------------------------------------------------------------------- */

static bool wait_for(const struct redis_link *link, short events)
{
    struct pollfd fd = { .fd = link->fd, .events = events };
    int ready;

    do {
        ready = poll(&fd, 1, (int)link->timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready == 1;
}

/* After a call of OpenSSL or the kernel that came to nothing: may it be tried again? */
static bool wait_again(struct redis_link *link, int result, short events)
{
    if (link->ssl == NULL) {
        return (errno == EAGAIN || errno == EINTR) && wait_for(link, events);
    }
    switch (SSL_get_error(link->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(link, POLLIN);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(link, POLLOUT);
    default:
        return false;
    }
}

/* ---- connecting ------------------------------------------------------------------ */

static bool connect_to(struct redis_link *link, const struct sockaddr *address,
                       socklen_t length)
{
    int error = 0;
    socklen_t size = sizeof error;

    link->fd =
        socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        return false;
    }
    if (connect(link->fd, address, length) == 0) {
        return true;
    }
    if (errno == EINPROGRESS && wait_for(link, POLLOUT) &&
        getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
        return true;
    }
    error = error != 0 ? error : errno;
    close(link->fd);
    link->fd = -1;
    errno = error == EINPROGRESS ? ETIMEDOUT : error;
    return false;
}

static bool connect_path(struct redis_link *link, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect_to(link, (struct sockaddr *)&address, sizeof address);
}

static bool connect_host(struct redis_link *link, const struct config_redis *config,
                         const char **why)
{
    const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char port[PORT_SIZE];
    int one = 1, failed;

    snprintf(port, sizeof port, "%u", config->port);
    failed = getaddrinfo(config->host, port, &wanted, &found);
    if (failed != 0) {
        *why = gai_strerror(failed);
        return false;
    }
    for (struct addrinfo *at = found; at != NULL && link->fd < 0; at = at->ai_next) {
        connect_to(link, at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
    if (link->fd >= 0) {
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    return link->fd >= 0;
}

/* ---- TLS ------------------------------------------------------------------------- */

/* Many servers want a certificate of their clients, too. */
static bool show_certificate(SSL *ssl, const struct config_redis *config)
{
    return config->certificate == NULL ||
           (SSL_use_certificate_chain_file(ssl, config->certificate) == 1 &&
            SSL_use_PrivateKey_file(ssl, config->key, SSL_FILETYPE_PEM) == 1);
}

static bool shake_hands(struct redis_link *link, struct tls_client *tls,
                        const struct config_redis *config)
{
    int result;

    ERR_clear_error();
    link->ssl = tls_client_ssl(tls);
    if (link->ssl == NULL || !show_certificate(link->ssl, config) ||
        SSL_set_alpn_protos(link->ssl, NULL, 0) != 0 || /* it is not HTTP */
        SSL_set_fd(link->ssl, link->fd) != 1) {
        return false;
    }
    do {
        ERR_clear_error();
        result = SSL_connect(link->ssl);
    } while (result != 1 && wait_again(link, result, 0));
    return result == 1;
}

/* Keeps the first reason. `otherwise`: where OpenSSL gives none. */
static void break_off(struct redis_link *link, const char *otherwise)
{
    const char *words = tls_client_refusal(link->ssl);
    struct tls_reason reason;

    if (words == NULL && link->ssl != NULL && ERR_peek_error() != 0) {
        reason = tls_reason();
        words = reason.words;
    }
    if (link->why[0] == '\0') {
        (void)text_store(link->why, sizeof link->why,
                         span_text(words == NULL ? otherwise : words));
    }
}

struct redis_link *redis_link_open(const struct config_redis *config,
                                   struct tls_client *tls)
{
    struct redis_link *link = calloc(1, sizeof *link);
    const char *reason = NULL;
    bool connected;

    CHECK(link != NULL);
    link->fd = -1;
    link->timeout_ms = config->timeout_ms;
    link->read = redisReaderCreate();
    CHECK(link->read != NULL);
    connected = config->path != NULL ? connect_path(link, config->path)
                                     : connect_host(link, config, &reason);
    if (!connected) {
        break_off(link, reason != NULL ? reason : strerrordesc_np(errno));
    } else if (tls != NULL && !shake_hands(link, tls, config)) {
        break_off(link, "the TLS handshake comes to no end");
    }
    return link;
}

struct redis_link *redis_link_close(struct redis_link *link)
{
    if (link == NULL) {
        return NULL;
    }
    SSL_free(link->ssl);
    if (link->fd >= 0) {
        close(link->fd);
    }
    redisReaderFree(link->read);
    free(link->out);
    free(link);
    return NULL;
}

/* ---- asking ---------------------------------------------------------------------- */

void redis_link_put(struct redis_link *link, int count, const char **arguments,
                    const size_t *sizes)
{
    char *text = NULL;
    long long len = redisFormatCommandArgv(&text, count, arguments, sizes);
    size_t needed;

    CHECK(len > 0);
    needed = link->out_len + (size_t)len;
    if (needed > link->out_cap) {
        link->out = realloc(link->out, needed * 2);
        CHECK(link->out != NULL);
        link->out_cap = needed * 2;
    }
    memcpy(link->out + link->out_len, text, (size_t)len);
    link->out_len = needed;
    OPENSSL_cleanse(text, (size_t)len); /* it may hold a password */
    redisFreeCommand(text);
}

static ssize_t write_some(struct redis_link *link, const char *bytes, size_t len)
{
    if (link->ssl == NULL) {
        return send(link->fd, bytes, len, MSG_NOSIGNAL);
    }
    ERR_clear_error();
    return SSL_write(link->ssl, bytes, (int)(len < INT_MAX ? len : INT_MAX));
}

static ssize_t read_some(struct redis_link *link, char *bytes, size_t size)
{
    if (link->ssl == NULL) {
        return recv(link->fd, bytes, size, 0);
    }
    ERR_clear_error();
    return SSL_read(link->ssl, bytes, (int)size);
}

static bool send_all(struct redis_link *link)
{
    size_t done = 0;

    while (done < link->out_len) {
        ssize_t count = write_some(link, link->out + done, link->out_len - done);

        if (count > 0) {
            done += (size_t)count;
        } else if (!wait_again(link, (int)count, POLLOUT)) {
            return false;
        }
    }
    OPENSSL_cleanse(link->out, link->out_len);
    link->out_len = 0;
    return true;
}

static bool read_more(struct redis_link *link)
{
    char bytes[READ_SIZE];
    ssize_t count;

    do {
        errno = 0;
        count = read_some(link, bytes, sizeof bytes);
    } while (count <= 0 && wait_again(link, (int)count, POLLIN));
    return count > 0 && redisReaderFeed(link->read, bytes, (size_t)count) == REDIS_OK;
}

const char *redis_link_why(const struct redis_link *link)
{
    return link->why[0] == '\0' ? NULL : link->why;
}

redisReply *redis_link_get(struct redis_link *link)
{
    void *reply = NULL;

    if (link->why[0] == '\0' && !send_all(link)) {
        (void)!read_more(link); /* an alert that came before tells why */
        break_off(link, "the connection takes nothing more");
    }
    while (link->why[0] == '\0' && reply == NULL) {
        if (redisReaderGetReply(link->read, &reply) != REDIS_OK) {
            break_off(link, "an answer is none of Redis");
        } else if (reply == NULL && !read_more(link)) {
            break_off(link, "no answer came");
        }
    }
    return reply;
}
