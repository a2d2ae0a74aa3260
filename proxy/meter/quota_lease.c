#include "proxy/meter/quota_lease.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

struct quota_leases {
    struct quota_lease *all;
    uint32_t most;
    uint32_t slice_percent;
    bool fail_open;
    atomic_bool reachable;
    atomic_uint_least32_t queue; /* the number queued last; 0: none */
    int event_fd;
};

/* ---- life ------------------------------------------------------------------------ */

struct quota_leases *quota_leases_new(uint32_t most, uint32_t slice_percent,
                                      bool fail_open)
{
    struct quota_leases *leases = calloc(1, sizeof *leases);

    CHECK(leases != NULL);
    leases->most = most;
    leases->slice_percent = slice_percent;
    leases->fail_open = fail_open;
    leases->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    /* Pages are given by the kernel as they are written to, zeroed. */
    leases->all = mmap(NULL, most * sizeof(struct quota_lease), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(leases->event_fd >= 0 && leases->all != MAP_FAILED);
    return leases;
}

struct quota_leases *quota_leases_free(struct quota_leases *leases)
{
    if (leases != NULL) {
        munmap(leases->all, leases->most * sizeof(struct quota_lease));
        close(leases->event_fd);
        free(leases);
    }
    return NULL;
}

struct quota_lease *quota_lease_at(struct quota_leases *leases, uint32_t number)
{
    CHECK(number >= 1 && number <= leases->most);
    return &leases->all[number - 1];
}

static uint64_t slice_of(const struct quota_leases *leases, uint64_t limit)
{
    uint64_t slice =
        limit / 100 * leases->slice_percent + limit % 100 * leases->slice_percent / 100;

    return slice > 0 ? slice : 1;
}

void quota_lease_begin(struct quota_leases *leases, uint32_t number, uint64_t limit)
{
    struct quota_lease *lease = quota_lease_at(leases, number);
    uint64_t slice = slice_of(leases, limit);

    atomic_store_explicit(&lease->slice, slice, memory_order_relaxed);
    atomic_store_explicit(&lease->bound, slice, memory_order_relaxed);
    atomic_store_explicit(&lease->registered, 0, memory_order_relaxed);
    atomic_store_explicit(&lease->others, 0, memory_order_relaxed);
    lease->heard_ms = 0;
}

/* ---- workers --------------------------------------------------------------------- */

uint64_t quota_lease_room(struct quota_leases *leases, uint32_t number, uint64_t limit)
{
    uint64_t others = atomic_load_explicit(&quota_lease_at(leases, number)->others,
                                           memory_order_relaxed);

    return others < limit ? limit - others : 0;
}

uint64_t quota_lease_bound(struct quota_leases *leases, uint32_t number, uint64_t limit)
{
    struct quota_lease *lease = quota_lease_at(leases, number);
    uint64_t bound = atomic_load_explicit(&lease->bound, memory_order_relaxed);

    if (leases->fail_open && !quota_leases_are_reachable(leases)) {
        bound = quota_lease_room(leases, number, limit);
    }
    return bound < limit ? bound : limit;
}

/* Half a slice is left, or more than two are too many, or nobody knows of it at all. */
static bool is_worth_telling(const struct quota_lease *lease, uint64_t held)
{
    uint64_t registered =
        atomic_load_explicit(&lease->registered, memory_order_relaxed);
    uint64_t slice = atomic_load_explicit(&lease->slice, memory_order_relaxed);

    return held + (slice + 1) / 2 > registered || held + 2 * slice < registered;
}

void quota_lease_queue(struct quota_leases *leases, uint32_t number,
                       atomic_uint_least32_t *uses)
{
    struct quota_lease *lease = quota_lease_at(leases, number);
    uint64_t one = 1;
    uint32_t first;

    if (atomic_load_explicit(&lease->queued, memory_order_relaxed) ||
        atomic_exchange_explicit(&lease->queued, true, memory_order_acquire)) {
        return;
    }
    atomic_fetch_add_explicit(uses, 1, memory_order_relaxed);
    first = atomic_load_explicit(&leases->queue, memory_order_relaxed);
    do {
        atomic_store_explicit(&lease->next, first, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&leases->queue, &first, number,
                                                    memory_order_release,
                                                    memory_order_relaxed));
    if (first == 0) {
        (void)!write(leases->event_fd, &one, sizeof one);
    }
}

void quota_lease_moved(struct quota_leases *leases, uint32_t number, uint64_t held,
                       atomic_uint_least32_t *uses)
{
    if (is_worth_telling(quota_lease_at(leases, number), held)) {
        quota_lease_queue(leases, number, uses);
    }
}

/* ---- the thread ------------------------------------------------------------------ */

int quota_leases_fd(const struct quota_leases *leases)
{
    return leases->event_fd;
}

uint32_t quota_leases_take(struct quota_leases *leases)
{
    uint64_t times;

    (void)!read(leases->event_fd, &times, sizeof times);
    return atomic_exchange_explicit(&leases->queue, 0, memory_order_acquire);
}

uint32_t quota_leases_next(struct quota_leases *leases, uint32_t number)
{
    struct quota_lease *lease = quota_lease_at(leases, number);
    uint32_t next = atomic_load_explicit(&lease->next, memory_order_relaxed);

    atomic_store_explicit(&lease->queued, false, memory_order_release);
    return next;
}

uint64_t quota_lease_wanted(const struct quota_lease *lease, uint64_t held, bool idle)
{
    return idle ? held
                : held + atomic_load_explicit(&lease->slice, memory_order_relaxed);
}

void quota_lease_heard(struct quota_lease *lease, uint64_t limit, uint64_t held,
                       uint64_t registered, uint64_t others)
{
    uint64_t slice = atomic_load_explicit(&lease->slice, memory_order_relaxed);
    uint64_t room = others < limit ? limit - others : 0;
    uint64_t bound = held + slice < room ? held + slice : room;

    bound = bound > registered ? bound : registered;
    atomic_store_explicit(&lease->registered, registered, memory_order_relaxed);
    atomic_store_explicit(&lease->others, others, memory_order_relaxed);
    atomic_store_explicit(&lease->bound, bound, memory_order_relaxed);
}

void quota_leases_reachable(struct quota_leases *leases, bool reachable)
{
    atomic_store_explicit(&leases->reachable, reachable, memory_order_relaxed);
}

bool quota_leases_are_reachable(const struct quota_leases *leases)
{
    return atomic_load_explicit(&leases->reachable, memory_order_relaxed);
}
