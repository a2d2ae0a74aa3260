/* The counters of a quota as replicas share them: what the thread that keeps the
 * others informed works through (sharing/quota_redis.h). All of it is that one
 * thread's, but for quota_share(). */
#ifndef ASSAY_METER_QUOTA_SHARE_H
#define ASSAY_METER_QUOTA_SHARE_H

#include "proxy/meter/quota.h"

/* Before any call: leases of `slice_percent` of each limit; see quota_lease.h. */
void quota_share(struct quota *quota, uint32_t slice_percent, bool fail_open);

/* Are the others in reach? true for a quota that is not shared. */
bool quota_share_is_reachable(const struct quota *quota);
void quota_share_reachable(struct quota *quota, bool reachable);

/* Readable when counters moved. */
int quota_share_fd(const struct quota *quota);

/* A counter that the others should hear of. */
struct quota_shared {
    struct quota_cell *cell; /* until quota_share_heard() or quota_share_failed() */
    uint64_t meaning;        /* of its policy: the same in every replica */
    int64_t window_s;        /* when its window began; 0: of a period without windows */
    int64_t keep_ms;         /* how long the others need to know it */
    int64_t stale_ms;        /* what was not told again for so long is void; 0: never */
    uint64_t limit, held, wanted;
};

/* Takes counters that moved, up to `most`. Fewer: no more have. */
size_t quota_share_take(struct quota *quota, uint64_t unix_ns,
                        struct quota_shared *shared, size_t most);

/* What was registered, and what the others hold. */
void quota_share_heard(struct quota *quota, const struct quota_shared *shared,
                       uint64_t unix_ns, uint64_t registered, uint64_t others);
/* It could not be told: it will be again, after quota_share_again(). */
void quota_share_failed(struct quota *quota, const struct quota_shared *shared);

/* Queues every counter that holds something or was told not to, and that the others did
 * not hear of since `before_ns`: after a silence, and now and then. */
void quota_share_again(struct quota *quota, uint64_t before_ns);

#endif
