#include "proxy/net/resolve.h"

#include "proxy/base/clock.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* evdns wants text. */
#define QUERY_TIMEOUT_S "2"
#define QUERY_ATTEMPTS  "2"

/* While a question is under way, its answer is looked for this often. */
enum { POLL_MS = 5 };

/* libevent's resolver has a loop of its own, made when the first name needs it and
 * turned only while a question is under way. */
struct resolver {
    struct loop *loop;
    struct event_base *base;
    struct evdns_base *dns;
    struct deadline poll;
    size_t asked; /* questions under way */
};

struct resolve_name {
    struct resolver *resolver;
    char *host;
    uint16_t port;
    bool literal; /* an address, not a name: never asked for */
    bool failing;
    bool freed; /* by its owner, while a question was under way */
    struct evdns_getaddrinfo_request *request; /* NULL: none under way */
    uint64_t asked_ns;                         /* of the newest answer; 0: none yet */
    struct resolve_wait waits;                 /* ring */
    struct deadline failed; /* ends waits outside resolve_address() */
    size_t count, next;
    socklen_t lengths[RESOLVE_ADDRESSES_MAX];
    struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
};

static void resolver_poll(void *self)
{
    struct resolver *resolver = self;

    event_base_loop(resolver->base, EVLOOP_NONBLOCK);
    if (resolver->asked > 0) {
        deadline_set(&resolver->loop->deadlines, &resolver->poll,
                     resolver->loop->now_ns, (uint64_t)POLL_MS * NS_PER_MS);
    }
}

struct resolver *resolver_new(struct loop *loop)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver != NULL) {
        resolver->loop = loop;
        resolver->poll =
            (struct deadline){ .expired = resolver_poll, .owner = resolver };
    }
    return resolver;
}

struct resolver *resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) {
        return NULL;
    }
    deadline_clear(&resolver->poll);
    if (resolver->dns != NULL) {
        evdns_base_free(resolver->dns, 0);
    }
    if (resolver->base != NULL) {
        event_base_loop(resolver->base, EVLOOP_NONBLOCK); /* what was cancelled ends */
        event_base_free(resolver->base);
    }
    free(resolver);
    return NULL;
}

static bool name_literal(struct resolve_name *name)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&name->addresses[0];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&name->addresses[0];

    if (inet_pton(AF_INET, name->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(name->port);
        name->lengths[0] = sizeof *v4;
    } else if (inet_pton(AF_INET6, name->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(name->port);
        name->lengths[0] = sizeof *v6;
    } else {
        return false;
    }
    name->count = 1;
    return true;
}

struct resolve_name *resolve_name_free(struct resolve_name *name)
{
    if (name == NULL) {
        return NULL;
    }
    CHECK(name->waits.next == &name->waits);
    deadline_clear(&name->failed);
    if (name->request != NULL) {
        /* Its callback comes later, with EVUTIL_EAI_CANCEL, and frees what is left. */
        name->freed = true;
        evdns_getaddrinfo_cancel(name->request);
        return NULL;
    }
    free(name->host);
    free(name);
    return NULL;
}

/* The last one to be told may free the name, so the whole list is taken
 * off it first. */
static void waits_end(struct resolve_name *name)
{
    struct resolve_wait ring = name->waits;
    bool found = name->count > 0;

    if (ring.next == &name->waits) {
        return;
    }
    ring.next->previous = &ring;
    ring.previous->next = &ring;
    name->waits.next = &name->waits;
    name->waits.previous = &name->waits;
    while (ring.next != &ring) {
        struct resolve_wait *wait = ring.next;

        resolve_cancel(wait);
        wait->done(wait->owner, found);
    }
}

static void failed_at_once(void *self)
{
    waits_end(self);
}

struct resolve_name *resolve_name_new(struct resolver *resolver, const char *host,
                                      uint16_t port)
{
    struct resolve_name *name = calloc(1, sizeof *name);

    if (name == NULL) {
        return NULL;
    }
    name->resolver = resolver;
    name->port = port;
    name->waits.next = &name->waits;
    name->waits.previous = &name->waits;
    name->host = strdup(host);
    name->failed = (struct deadline){ .expired = failed_at_once, .owner = name };
    if (name->host == NULL) {
        return resolve_name_free(name);
    }
    name->literal = name_literal(name);
    return name;
}

static void addresses_keep(struct resolve_name *name,
                           const struct evutil_addrinfo *answer)
{
    size_t count = 0;

    for (; answer != NULL && count < RESOLVE_ADDRESSES_MAX; answer = answer->ai_next) {
        if (answer->ai_addrlen <= sizeof name->addresses[0]) {
            memcpy(&name->addresses[count], answer->ai_addr, answer->ai_addrlen);
            name->lengths[count] = answer->ai_addrlen;
            count++;
        }
    }
    if (count > 0) {
        name->count = count;
        name->next = 0;
    }
}

static void answered(int result, struct evutil_addrinfo *answer, void *self)
{
    struct resolve_name *name = self;

    name->request = NULL;
    name->resolver->asked--;
    if (name->freed) {
        resolve_name_free(name);
    } else {
        name->failing = result != 0;
        name->asked_ns = name->resolver->loop->now_ns;
        if (result == 0) {
            addresses_keep(name, answer);
        }
        waits_end(name);
    }
    if (answer != NULL) {
        evutil_freeaddrinfo(answer);
    }
}

/* libevent would write to standard error. */
static void log_nothing(int is_warning, const char *words)
{
    (void)is_warning;
    (void)words;
}

static void log_quietly(void)
{
    evdns_set_log_fn(log_nothing);
}

static bool resolver_open(struct resolver *resolver)
{
    static pthread_once_t quiet = PTHREAD_ONCE_INIT;
    const int flags = EVDNS_BASE_DISABLE_WHEN_INACTIVE;

    pthread_once(&quiet, log_quietly);
    if (resolver->base == NULL) {
        resolver->base = event_base_new();
    }
    if (resolver->base == NULL) {
        return false;
    }
    resolver->dns =
        evdns_base_new(resolver->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | flags);
    if (resolver->dns == NULL) {
        /* resolv.conf cannot be read: the hosts file alone must do. */
        resolver->dns = evdns_base_new(resolver->base, flags);
    }
    if (resolver->dns == NULL) {
        return false;
    }
    evdns_base_set_option(resolver->dns, "timeout:", QUERY_TIMEOUT_S);
    evdns_base_set_option(resolver->dns, "attempts:", QUERY_ATTEMPTS);
    return true;
}

static void ask(struct resolve_name *name)
{
    struct resolver *resolver = name->resolver;
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = EVUTIL_AI_ADDRCONFIG,
    };
    char port[8];

    if (resolver->dns == NULL && !resolver_open(resolver)) {
        return;
    }
    snprintf(port, sizeof port, "%u", (unsigned)name->port);
    resolver->asked++;
    name->request =
        evdns_getaddrinfo(resolver->dns, name->host, port, &hints, answered, name);
    if (name->request != NULL) {
        resolver_poll(resolver);
    }
}

bool resolve_address(struct resolve_name *name, struct resolve_wait *wait,
                     struct sockaddr_storage *address, socklen_t *length)
{
    uint64_t age_ns = name->resolver->loop->now_ns - name->asked_ns;
    uint64_t fresh_s = name->failing ? RESOLVE_RETRY_S : RESOLVE_FRESH_S;
    bool stale = name->asked_ns == 0 || age_ns > fresh_s * NS_PER_S;

    if (!name->literal && stale && name->request == NULL) {
        ask(name);
    }
    if (name->count == 0) {
        wait->next = &name->waits;
        wait->previous = name->waits.previous;
        wait->previous->next = wait;
        name->waits.previous = wait;
        if (name->request == NULL) {
            deadline_set(&name->resolver->loop->deadlines, &name->failed,
                         name->resolver->loop->now_ns, 0);
        }
        return false;
    }
    *address = name->addresses[name->next];
    *length = name->lengths[name->next];
    name->next = (name->next + 1) % name->count;
    return true;
}

void resolve_cancel(struct resolve_wait *wait)
{
    if (wait->next != NULL) {
        wait->previous->next = wait->next;
        wait->next->previous = wait->previous;
        wait->next = NULL;
        wait->previous = NULL;
    }
}
