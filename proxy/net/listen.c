#include "proxy/net/listen.h"

#include "proxy/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    ACCEPTS_PER_TURN = 32, /* so that open connections get their turn */
    PAUSE_MS = 100,        /* without file descriptors */
    /* Descriptors that clients may not take: one in so many, within bounds. */
    RESERVE_SHARE = 16,
    RESERVE_MIN = 16,
    RESERVE_MAX = 256
};

struct listener {
    int fd;
    int ceiling; /* descriptors from here on are not for clients */
    struct loop *loop;
    struct loop_watch watch;
    struct deadline pause;
    bool accepting;
    void (*accepted)(void *self, int fd);
    void (*paused)(void *self);
    void *self;
};

static socklen_t address_fill(const struct listen_address *address,
                              struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    struct sockaddr_un *local = (struct sockaddr_un *)out;

    memset(out, 0, sizeof *out);
    if (address->path != NULL) {
        if (strlen(address->path) >= sizeof local->sun_path) {
            return 0;
        }
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, address->path, strlen(address->path) + 1);
        return sizeof *local;
    }
    if (inet_pton(AF_INET, address->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(address->port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, address->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(address->port);
        return sizeof *v6;
    }
    return 0;
}

/* Leaves errno as it is. */
static int close_failed(int fd)
{
    int problem = errno;

    close(fd);
    errno = problem;
    return -1;
}

/* Lets the address be bound again while old connections linger, and a port by several
 * sockets at once. */
static bool allow_reuse(int fd, bool port)
{
    int on = 1;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           (!port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
}

static int socket_bind(const struct listen_address *address)
{
    struct sockaddr_storage where;
    socklen_t size = address_fill(address, &where);
    int fd;

    if (size == 0) {
        errno = EINVAL;
        return -1;
    }
    fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (address->path != NULL) {
        unlink(address->path);
    } else if (!allow_reuse(fd, true)) {
        return close_failed(fd);
    }
    if (bind(fd, (struct sockaddr *)&where, size) != 0 || listen(fd, BACKLOG) != 0) {
        return close_failed(fd);
    }
    return fd;
}

static void add_failure(struct error *error, const struct listen_address *address)
{
    const char *why = strerror(errno);

    if (address->path != NULL) {
        error_add(error, address->place, "cannot listen on %s: %s", address->path, why);
    } else {
        error_add(error, address->place, "cannot listen on %s port %u: %s",
                  address->host, (unsigned)address->port, why);
    }
}

/* Binding alone, without SO_REUSEPORT, fails where anybody listens. */
static bool port_is_free(int fd, const struct sockaddr *where, socklen_t size)
{
    return allow_reuse(fd, false) && bind(fd, where, size) == 0;
}

/* The file may be left over: somebody who listens answers, or is too busy to. */
static bool path_is_free(int fd, const struct sockaddr *where, socklen_t size)
{
    if (connect(fd, where, size) != 0 && errno != EAGAIN) {
        return true;
    }
    errno = EADDRINUSE;
    return false;
}

bool listen_address_unused(const struct listen_address *address, struct error *error)
{
    struct sockaddr_storage storage;
    const struct sockaddr *where = (struct sockaddr *)&storage;
    socklen_t size = address_fill(address, &storage);
    bool is_free;
    int fd;

    if (size == 0) {
        return true; /* listener_open() tells */
    }
    fd = socket(where->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    is_free = fd >= 0 && (address->path != NULL ? path_is_free(fd, where, size)
                                                : port_is_free(fd, where, size));
    if (!is_free) {
        add_failure(error, address);
    }
    if (fd >= 0) {
        close(fd);
    }
    return is_free;
}

/* What is left serves upstreams, the ledger, the log and the admin port, which have to
 * go on when clients are too many. */
static int descriptor_ceiling(void)
{
    struct rlimit files;
    rlim_t reserve;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > INT_MAX) {
        return INT_MAX;
    }
    reserve = files.rlim_cur / RESERVE_SHARE;
    reserve = reserve < RESERVE_MIN ? RESERVE_MIN : reserve;
    reserve = reserve > RESERVE_MAX ? RESERVE_MAX : reserve;
    return files.rlim_cur > reserve ? (int)(files.rlim_cur - reserve) : 0;
}

struct listener *listener_open(const struct listen_address *address,
                               const struct listener *shared, struct error *error)
{
    struct listener *listener = calloc(1, sizeof *listener);

    if (listener == NULL) {
        error_add(error, address->place, "cannot listen: out of memory");
        return NULL;
    }
    listener->ceiling = descriptor_ceiling();
    if (shared != NULL && address->path != NULL) {
        listener->fd = dup(shared->fd);
    } else {
        listener->fd = socket_bind(address);
    }
    if (listener->fd < 0) {
        add_failure(error, address);
        free(listener);
        return NULL;
    }
    return listener;
}

static bool out_of_resources(int problem)
{
    return problem == EMFILE || problem == ENFILE || problem == ENOBUFS ||
           problem == ENOMEM;
}

static bool accepting_begins(struct listener *listener)
{
    listener->accepting =
        loop_watch(listener->loop, listener->fd, EPOLLIN, &listener->watch);
    return listener->accepting;
}

static void accepting_ends(struct listener *listener)
{
    if (listener->accepting) {
        listener->accepting = false;
        loop_unwatch(listener->loop, listener->fd, &listener->watch);
    }
}

static void pause_over(void *self)
{
    (void)!accepting_begins(self);
}

static void accepting_pauses(struct listener *listener)
{
    accepting_ends(listener);
    listener->pause = (struct deadline){ .expired = pause_over, .owner = listener };
    deadline_set(&listener->loop->deadlines, &listener->pause, listener->loop->now_ns,
                 (uint64_t)PAUSE_MS * NS_PER_MS);
    if (listener->paused != NULL) {
        listener->paused(listener->self);
    }
}

static void accept_some(void *self, uint32_t events)
{
    struct listener *listener = self;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int client = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (client >= listener->ceiling) {
            close(client);
            accepting_pauses(listener);
            return;
        }
        if (client >= 0) {
            listener->accepted(listener->self, client);
        } else if (out_of_resources(errno)) {
            accepting_pauses(listener);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
        /* Anything else concerns one connection that is gone already. */
    }
}

bool listener_start(struct listener *listener, struct loop *loop,
                    void (*accepted)(void *self, int fd), void (*paused)(void *self),
                    void *self)
{
    listener->loop = loop;
    listener->accepted = accepted;
    listener->paused = paused;
    listener->self = self;
    listener->watch = (struct loop_watch){ accept_some, listener };
    return accepting_begins(listener);
}

struct listener *listener_close(struct listener *listener)
{
    if (listener == NULL) {
        return NULL;
    }
    if (listener->loop != NULL) {
        /* Connections that the kernel has completed would be reset by close(). */
        accept_some(listener, EPOLLIN);
        accepting_ends(listener);
        deadline_clear(&listener->pause);
    }
    close(listener->fd);
    free(listener);
    return NULL;
}
