#include "proxy/admin/admin_parts.h"
#include "proxy/admin/guard.h"

#include <event2/bufferevent_ssl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    HEAD_MAX = 8 * 1024, /* of an admin request */
    TIMEOUT_S = 10,
    BACKLOG = 64
};

/* ---- access ---------------------------------------------------------------------- */

static struct access *access_free(struct access *access)
{
    if (access != NULL) {
        guard_free(access->guard);
        tls_server_free(access->tls);
        free(access);
    }
    return NULL;
}

static struct access *access_new(const struct config *config, struct error *error)
{
    struct access *access = calloc(1, sizeof *access);

    CHECK(access != NULL);
    access->guard = guard_new(config);
    access->names = config->admin_tls.names;
    if (config->admin_tls.certificate_count > 0) {
        access->tls = tls_server_configured(&config->admin_tls, error);
        if (access->tls == NULL) {
            return access_free(access);
        }
    }
    return access;
}

const struct access *access_now(struct admin *admin)
{
    struct access *wanted = __atomic_exchange_n(&admin->wanted, NULL, __ATOMIC_ACQ_REL);

    if (wanted != NULL) {
        access_free(admin->access);
        admin->access = wanted;
    }
    return admin->access;
}

/* NULL: evhttp makes a plain one. */
static struct bufferevent *stream_new(struct event_base *base, void *self)
{
    const struct access *access = access_now(self);
    SSL *ssl = access->tls == NULL ? NULL : tls_server_ssl(access->tls);
    struct bufferevent *stream;

    if (ssl == NULL) {
        return NULL;
    }
    stream = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                            BEV_OPT_CLOSE_ON_FREE);
    CHECK(stream != NULL);
    bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
    return stream;
}

/* ---- life ------------------------------------------------------------------------ */

static void on_stop(evutil_socket_t fd, short events, void *self)
{
    struct admin *admin = self;

    (void)fd;
    (void)events;
    event_base_loopbreak(admin->base);
}

static void *admin_run(void *self)
{
    struct admin *admin = self;

    event_base_dispatch(admin->base);
    return NULL;
}

static bool admin_make(struct admin *admin)
{
    admin->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    admin->base = event_base_new();
    if (admin->stop_fd < 0 || admin->base == NULL) {
        return false;
    }
    admin->stop = event_new(admin->base, admin->stop_fd, EV_READ, on_stop, admin);
    admin->http = evhttp_new(admin->base);
    if (admin->stop == NULL || admin->http == NULL ||
        event_add(admin->stop, NULL) != 0) {
        return false;
    }
    evhttp_set_allowed_methods(admin->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(admin->http, HEAD_MAX);
    evhttp_set_max_body_size(admin->http, 0);
    evhttp_set_timeout(admin->http, TIMEOUT_S);
    evhttp_set_gencb(admin->http, endpoint_other, admin);
    evhttp_set_bevcb(admin->http, stream_new, admin);
    for (const struct endpoint *endpoint = endpoints; endpoint->path != NULL;
         endpoint++) {
        if (evhttp_set_cb(admin->http, endpoint->path, endpoint->answer, admin) != 0) {
            return false;
        }
    }
    return true;
}

/* A socket file that an earlier process left is replaced; who may connect is decided by
 * the rights of its folder. */
static bool bind_path(struct admin *admin, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    (void)unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, BACKLOG) == 0 && evhttp_accept_socket(admin->http, fd) == 0) {
        return true;
    }
    close(fd);
    return false;
}

static bool admin_bind(struct admin *admin)
{
    const struct config_address *address = &admin->sources.config->admin;

    return address->path != NULL
               ? bind_path(admin, address->path)
               : evhttp_bind_socket(admin->http, address->host, address->port) == 0;
}

struct admin *admin_new(const struct admin_sources *sources, struct error *error)
{
    const struct error_place nowhere = { 0 };
    struct admin *admin = calloc(1, sizeof *admin);

    CHECK(admin != NULL);
    admin->sources = *sources;
    admin->state = strdup(sources->state);
    CHECK(admin->state != NULL);
    admin->stop_fd = -1;
    admin->access = access_new(sources->config, error);
    if (admin->access == NULL) {
        return admin_free(admin);
    }
    if (!admin_make(admin)) {
        error_add(error, nowhere, "the admin port cannot be made: out of resources");
        return admin_free(admin);
    }
    if (!admin_bind(admin)) {
        error_add(error, nowhere, "cannot listen on %s for admin: %s",
                  sources->config->admin.text, strerror(errno));
        return admin_free(admin);
    }
    admin->started = pthread_create(&admin->thread, NULL, admin_run, admin) == 0;
    if (!admin->started) {
        error_add(error, nowhere, "the admin thread cannot be started");
        return admin_free(admin);
    }
    return admin;
}

bool admin_use(struct admin *admin, const struct config *config, struct error *error)
{
    struct access *access = admin == NULL ? NULL : access_new(config, error);

    if (access != NULL) {
        access_free(__atomic_exchange_n(&admin->wanted, access, __ATOMIC_ACQ_REL));
    }
    return admin == NULL || access != NULL;
}

struct admin *admin_free(struct admin *admin)
{
    const uint64_t one = 1;

    if (admin == NULL) {
        return NULL;
    }
    if (admin->started) {
        (void)!write(admin->stop_fd, &one, sizeof one);
        pthread_join(admin->thread, NULL);
    }
    if (admin->http != NULL) {
        evhttp_free(admin->http);
    }
    if (admin->stop != NULL) {
        event_free(admin->stop);
    }
    if (admin->base != NULL) {
        event_base_free(admin->base);
    }
    if (admin->stop_fd >= 0) {
        close(admin->stop_fd);
    }
    access_free(admin->access);
    access_free(admin->wanted);
    free(admin->state);
    free(admin);
    return NULL;
}
