/*
 * relay - the floor of what a relay in user space costs: read and send, nothing else.
 *
 *   relay LISTEN_PORT UPSTREAM_PORT
 *
 * Edge-triggered epoll and one shared buffer; one upstream connection per client
 * connection; one thread; loopback only.
 */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 65536, EVENTS = 512 };

struct end {
    int fd;
    struct end *peer;
    struct pair *pair;
    char *pending; /* bytes that this end's socket did not take yet */
    size_t pending_off, pending_len;
    bool readable, eof;
};

struct pair {
    struct end client, up;
    bool dead, connected;
    struct pair *next;
};

static int poller, upstream_port;
static struct pair *dead_list; /* freed after the current batch of events */

static void pair_close(struct pair *pair)
{
    if (pair->dead) {
        return;
    }
    pair->dead = true;
    close(pair->client.fd);
    close(pair->up.fd);
    free(pair->client.pending);
    free(pair->up.pending);
    pair->next = dead_list;
    dead_list = pair;
}

static void free_dead(void)
{
    while (dead_list != NULL) {
        struct pair *pair = dead_list;

        dead_list = pair->next;
        free(pair);
    }
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static void keep_rest(struct end *to, const char *bytes, size_t len)
{
    to->pending = realloc(to->pending, len);
    if (to->pending == NULL) {
        die("realloc");
    }
    memcpy(to->pending, bytes, len);
    to->pending_len = len;
    to->pending_off = 0;
}

/* Reads once and sends it on; false when nothing more is to be read for now. */
static bool copy_once(struct end *from)
{
    static char buffer[BUFFER];
    struct end *to = from->peer;
    ssize_t len = read(from->fd, buffer, sizeof(buffer));
    ssize_t sent;

    if (len <= 0) {
        from->readable = false;
        if (len == 0 || !would_block()) {
            pair_close(from->pair);
        }
        return false;
    }
    if ((size_t)len < sizeof(buffer) && !from->eof) {
        from->readable = false;
    }
    sent = send(to->fd, buffer, (size_t)len, MSG_NOSIGNAL);
    if (sent < 0 && !would_block()) {
        pair_close(from->pair);
        return false;
    }
    sent = sent < 0 ? 0 : sent;
    if (sent < len) {
        keep_rest(to, buffer + sent, (size_t)(len - sent));
    }
    return from->readable && to->pending_len == 0;
}

static void copy(struct end *from)
{
    if (!from->pair->dead && from->readable && from->peer->pending_len == 0) {
        while (copy_once(from)) {
        }
    }
}

static void flush(struct end *to)
{
    while (to->pending_len > 0) {
        ssize_t sent =
            send(to->fd, to->pending + to->pending_off, to->pending_len, MSG_NOSIGNAL);

        if (sent < 0) {
            if (!would_block()) {
                pair_close(to->pair);
            }
            return;
        }
        to->pending_off += (size_t)sent;
        to->pending_len -= (size_t)sent;
    }
    free(to->pending);
    to->pending = NULL;
}

static bool upstream_connected(struct pair *pair, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) {
        pair_close(pair);
        return false;
    }
    pair->connected = (events & EPOLLOUT) != 0;
    return pair->connected;
}

static void end_event(struct end *end, uint32_t events)
{
    struct pair *pair = end->pair;

    if (pair->dead ||
        (end == &pair->up && !pair->connected && !upstream_connected(pair, events))) {
        return;
    }
    end->eof = end->eof || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    end->readable = end->readable || end->eof || (events & EPOLLIN) != 0;
    if (!pair->connected) {
        return;
    }
    if (events & EPOLLOUT) {
        flush(end);
        copy(end->peer);
    }
    copy(end);
}

static void watch(struct end *end)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = end };

    if (epoll_ctl(poller, EPOLL_CTL_ADD, end->fd, &event) < 0) {
        die("epoll_ctl");
    }
}

static void accept_pairs(int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int up = connect_loopback(upstream_port);
        struct pair *pair = calloc(1, sizeof(*pair));

        if (pair == NULL || up < 0) {
            die("connection");
        }
        set_nodelay(fd);
        pair->client = (struct end){ .fd = fd, .peer = &pair->up, .pair = pair };
        pair->up = (struct end){ .fd = up, .peer = &pair->client, .pair = pair };
        watch(&pair->client);
        watch(&pair->up);
    }
}

int main(int count, char **arguments)
{
    struct epoll_event events[EVENTS], ready = { .events = EPOLLIN };
    int listener;

    if (count != 3) {
        fprintf(stderr, "usage: %s LISTEN_PORT UPSTREAM_PORT\n", arguments[0]);
        return 2;
    }
    raise_fd_limit();
    signal(SIGPIPE, SIG_IGN);
    upstream_port = (int)strtol(arguments[2], NULL, 10);
    listener = listen_loopback((int)strtol(arguments[1], NULL, 10));
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ready) < 0) {
        die("epoll");
    }
    for (;;) {
        int found = epoll_wait(poller, events, EVENTS, -1);

        for (int i = 0; i < found; i++) {
            if (events[i].data.ptr != NULL) {
                end_event(events[i].data.ptr, events[i].events);
            } else {
                accept_pairs(listener);
            }
        }
        free_dead();
    }
}
