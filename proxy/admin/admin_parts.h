/* What the admin port is made of: private to admin.c, which serves it, and endpoint.c,
 * which answers. All of it is the admin thread's, but for `wanted`. */
#ifndef ASSAY_ADMIN_ADMIN_PARTS_H
#define ASSAY_ADMIN_ADMIN_PARTS_H

#include "certs/tls.h"
#include "proxy/admin/admin.h"

#include <event2/event.h>
#include <event2/http.h>

#include <pthread.h>

/* Who may ask, and how the port is spoken to. */
struct access {
    struct guard *guard;
    struct tls_server *tls;    /* NULL: plain HTTP */
    struct config_words names; /* of client certificates */
};

struct admin {
    struct admin_sources sources;
    char *state;
    struct access *access;
    struct access *wanted; /* atomic: another one to use from now on */
    struct event_base *base;
    struct evhttp *http;
    struct event *stop;
    int stop_fd;
    pthread_t thread;
    bool started;
};

/* What is in force: the one that a reload has left, if it did. */
const struct access *access_now(struct admin *admin);

/* A path, and what answers it; `self` is the struct admin. */
struct endpoint {
    const char *path;
    void (*answer)(struct evhttp_request *request, void *self);
};

/* path NULL at the end. */
extern const struct endpoint endpoints[];

/* All other paths: /v1/callers/NAME, and what is nowhere. */
void endpoint_other(struct evhttp_request *request, void *self);

#endif
