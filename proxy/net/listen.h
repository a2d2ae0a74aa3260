/* A listening socket of one worker: every worker has its own (SO_REUSEPORT), so the
 * kernel spreads connections and nothing is shared. */
#ifndef ASSAY_NET_LISTEN_H
#define ASSAY_NET_LISTEN_H

#include "proxy/base/error.h"
#include "proxy/net/loop.h"

#include <sys/socket.h>

struct listen_address {
    const char *host; /* numeric; NULL for a Unix socket */
    const char *path;
    uint16_t port;
    struct error_place place; /* where the configuration names it */
};

struct listener;

/* Does nobody listen there? With SO_REUSEPORT a port would silently be shared with
 * another process, which would get some of the connections; a Unix socket would be
 * taken from it. To be asked of all addresses before the first is opened. false and an
 * entry in *error if somebody listens. */
bool listen_address_unused(const struct listen_address *address,
                           struct error *error) MUST_CHECK;

/* Binds and listens; connections wait in the backlog until listener_start(). `shared`
 * (may be NULL) is an earlier worker's listener: a Unix socket cannot be bound twice
 * and is shared instead. NULL and an entry in *error on failure. */
struct listener *listener_open(const struct listen_address *address,
                               const struct listener *shared, struct error *error);

/* Begins to accept: `accepted` owns the non-blocking socket it gets. When file
 * descriptors run short, accepting pauses for a moment and `paused` is called (may be
 * NULL): the last of them are not for clients. */
bool listener_start(struct listener *listener, struct loop *loop,
                    void (*accepted)(void *self, int fd), void (*paused)(void *self),
                    void *self) MUST_CHECK;

/* Takes what the backlog still holds, then closes; takes NULL; returns NULL. */
struct listener *listener_close(struct listener *listener);

#endif
