#include "proxy/meter/quota_share.h"

#include "proxy/base/clock.h"
#include "proxy/meter/quota_parts.h"

enum {
    MS_PER_S = 1000,
    SLACK_MS = 60 * 60 * MS_PER_S, /* clocks of replicas differ */
    CALL_STALE_MS = 30 * MS_PER_S, /* of calls under way: their replica is gone */
    IDLE_MS = 10 * MS_PER_S
};

void quota_share(struct quota *quota, uint32_t slice_percent, bool fail_open)
{
    quota->leases = quota_leases_new(quota_cells_most(), slice_percent, fail_open);
    quota_cells_share(quota->cells, quota->leases);
}

bool quota_share_is_reachable(const struct quota *quota)
{
    return quota->leases == NULL || quota_leases_are_reachable(quota->leases);
}

void quota_share_reachable(struct quota *quota, bool reachable)
{
    quota_leases_reachable(quota->leases, reachable);
}

int quota_share_fd(const struct quota *quota)
{
    return quota_leases_fd(quota->leases);
}

/* ---- taking ---------------------------------------------------------------------- */

static void set_times(struct quota_shared *shared, const struct quota_policy *policy,
                      int64_t now_ms)
{
    int64_t rolling_ms = (int64_t)policy->rule.period.rolling_s * MS_PER_S;

    shared->window_s = shared->cell->begins;
    if (shared->cell->ends != 0) {
        shared->keep_ms = shared->cell->ends * MS_PER_S - now_ms + SLACK_MS;
    } else if (rolling_ms > 0) {
        shared->keep_ms = rolling_ms + SLACK_MS;
        shared->stale_ms = rolling_ms + SLACK_MS;
    } else {
        shared->keep_ms = SLACK_MS;
        shared->stale_ms = CALL_STALE_MS;
    }
}

/* false: nobody needs to hear of it any more. */
static bool fill(struct quota *quota, struct quota_policies *policies, uint32_t number,
                 int64_t now_ms, struct quota_shared *shared)
{
    struct quota_lease *lease = quota_lease_at(quota->leases, number);
    struct quota_cell *cell = quota_cells_at(quota->cells, number);
    const struct quota_policy *policy =
        policies == NULL ? NULL : quota_policy_numbered(policies, cell->policy);
    uint64_t held = quota_cell_held(cell);
    bool idle =
        held == atomic_load_explicit(&lease->registered, memory_order_relaxed) ||
        (lease->heard_ms != 0 && now_ms - lease->heard_ms >= IDLE_MS);

    if (policy == NULL) {
        return false;
    }
    *shared = (struct quota_shared){ .cell = cell,
                                     .meaning = policy->meaning,
                                     .limit = policy->rule.limit.amount,
                                     .held = held,
                                     .wanted = quota_lease_wanted(lease, held, idle) };
    set_times(shared, policy, now_ms);
    return shared->keep_ms > 0;
}

size_t quota_share_take(struct quota *quota, uint64_t unix_ns,
                        struct quota_shared *shared, size_t most)
{
    int64_t now_ms = (int64_t)(unix_ns / NS_PER_MS);
    struct quota_policies *policies = quota_policies_now(quota);
    uint32_t number = quota_leases_take(quota->leases);
    size_t count = 0;

    while (number != 0) {
        struct quota_cell *cell = quota_cells_at(quota->cells, number);
        uint32_t next = quota_leases_next(quota->leases, number);

        if (count == most) {
            quota_lease_queue(quota->leases, number, &cell->uses);
            quota_cell_back(cell);
        } else if (fill(quota, policies, number, now_ms, &shared[count])) {
            count++;
        } else {
            quota_cell_back(cell);
        }
        number = next;
    }
    quota_policies_unref(policies);
    return count;
}

/* ---- telling --------------------------------------------------------------------- */

void quota_share_heard(struct quota *quota, const struct quota_shared *shared,
                       uint64_t unix_ns, uint64_t registered, uint64_t others)
{
    struct quota_cell *cell = shared->cell;
    uint32_t number = quota_cells_number(quota->cells, cell);
    struct quota_lease *lease = quota_lease_at(quota->leases, number);

    lease->heard_ms = (int64_t)(unix_ns / NS_PER_MS);
    quota_lease_heard(lease, shared->limit, quota_cell_held(cell), registered, others);
    quota_cell_back(cell);
}

void quota_share_failed(struct quota *quota, const struct quota_shared *shared)
{
    uint32_t number = quota_cells_number(quota->cells, shared->cell);

    quota_lease_at(quota->leases, number)->heard_ms = 0;
    quota_cell_back(shared->cell);
}

struct again {
    struct quota *quota;
    int64_t before_ms;
};

static void queue_again(void *self, struct quota_cell *cell)
{
    const struct again *again = self;
    uint32_t number = quota_cells_number(again->quota->cells, cell);
    const struct quota_lease *lease = quota_lease_at(again->quota->leases, number);

    if (lease->heard_ms < again->before_ms &&
        (quota_cell_held(cell) > 0 ||
         atomic_load_explicit(&lease->registered, memory_order_relaxed) > 0)) {
        quota_lease_queue(again->quota->leases, number, &cell->uses);
    }
}

void quota_share_again(struct quota *quota, uint64_t before_ns)
{
    struct again again = { quota, (int64_t)(before_ns / NS_PER_MS) };

    quota_cells_each(quota->cells, queue_again, &again);
}
