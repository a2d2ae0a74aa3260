/* Counters as they are told of: on the admin port, by commands, and when a share of a
 * limit is reached. */
#include "proxy/base/clock.h"
#include "proxy/base/date.h"
#include "proxy/meter/quota_parts.h"

uint32_t quota_percent(uint64_t amount, uint64_t limit)
{
    uint64_t percent =
        amount <= UINT64_MAX / 100 ? amount * 100 / limit : amount / (limit / 100 + 1);

    return percent < UINT32_MAX ? (uint32_t)percent : UINT32_MAX;
}

void quota_put_reset(struct text *text, const struct quota_state *state)
{
    date_put(text, state->resets_s, zone_local(state->policy->zone, state->resets_s));
}

void quota_look(struct quota *quota, struct quota_policies *policies,
                const struct entry *call, uint64_t monotonic_ns,
                void (*each)(void *self, const struct quota_state *state), void *self)
{
    struct quota_policy *policy;
    size_t index = 0;

    while ((policy = quota_policy_next(policies, call, &index)) != NULL) {
        struct quota_cell *cell = quota_cell_for(quota, policy, call);
        struct quota_state state;

        if (cell != NULL) {
            quota_cell_expire(cell, quota_steady(quota, monotonic_ns));
            state = quota_state_of(policy, cell);
            each(self, &state);
            quota_cell_back(cell);
        }
    }
}

struct looking {
    struct quota_policies *policies;
    int64_t unix_s, steady_s;
    void (*reached)(void *self, const struct quota_state *state, uint32_t percent);
    void (*each)(void *self, const struct quota_state *state);
    void *self;
};

/* The policy in force of a counter whose window is open; else NULL. */
static struct quota_policy *policy_of(const struct looking *looking,
                                      struct quota_cell *cell)
{
    if (cell->ends != 0 &&
        (cell->ends <= looking->unix_s || cell->begins > looking->unix_s)) {
        return NULL;
    }
    return quota_policy_numbered(looking->policies, cell->policy);
}

static void look_at_cell(void *self, struct quota_cell *cell)
{
    const struct looking *looking = self;
    struct quota_policy *policy = policy_of(looking, cell);
    struct quota_state state;

    if (policy != NULL) {
        quota_cell_expire(cell, looking->steady_s);
        state = quota_state_of(policy, cell);
        looking->each(looking->self, &state);
    }
}

void quota_each(struct quota *quota, uint64_t unix_ns, uint64_t monotonic_ns,
                void (*each)(void *self, const struct quota_state *state), void *self)
{
    struct looking looking = { .unix_s = clock_seconds(unix_ns),
                               .steady_s = quota_steady(quota, monotonic_ns),
                               .each = each,
                               .self = self };

    looking.policies = quota_policies_now(quota);
    if (looking.policies == NULL) {
        return;
    }
    for (size_t i = 0; i < quota_policies_count(looking.policies); i++) {
        struct quota_policy *policy = quota_policy_at(looking.policies, i);
        struct quota_window window = quota_window_at(policy, looking.unix_s);

        each(self, &(struct quota_state){ .policy = policy, .resets_s = window.ends });
    }
    quota_cells_each(quota->cells, look_at_cell, &looking);
    quota_policies_unref(looking.policies);
}

/* ---- telling --------------------------------------------------------------------- */

/* When its window began. A rolling period is taken in lengths counted from 1970, so
 * that each share is told of once in a length. */
static int64_t window_of(const struct quota_policy *policy,
                         const struct quota_cell *cell, int64_t steady_s)
{
    uint32_t rolling_s = policy->rule.period.rolling_s;

    return rolling_s == 0 ? cell->begins : steady_s - steady_s % rolling_s;
}

static void tell_of(const struct looking *looking, struct quota_cell *cell,
                    const struct quota_state *state)
{
    const struct quota_policy *policy = state->policy;
    uint32_t percent = quota_percent(state->used, policy->rule.limit.amount);

    bool all = atomic_exchange_explicit(&cell->refused, false, memory_order_relaxed) ||
               percent >= 100;

    for (size_t i = 0; i < QUOTA_WARNINGS_MAX && policy->warn[i] != 0; i++) {
        if (policy->warn[i] > cell->told && policy->warn[i] <= percent &&
            policy->warn[i] < 100) {
            looking->reached(looking->self, state, policy->warn[i]);
        }
    }
    if (cell->told < 100 && all) {
        looking->reached(looking->self, state, 100);
    }
    cell->told = (uint8_t)(all ? 100 : percent);
}

static void look_for_reached(void *self, struct quota_cell *cell)
{
    const struct looking *looking = self;
    struct quota_policy *policy = policy_of(looking, cell);
    struct quota_state state;

    if (policy != NULL && policy->telling_count > 0) {
        quota_cell_expire(cell, looking->steady_s);
        state = quota_state_of(policy, cell);
        state.window_s = window_of(policy, cell, looking->steady_s);
        tell_of(looking, cell, &state);
    }
}

void quota_each_reached(struct quota *quota, uint64_t unix_ns, uint64_t monotonic_ns,
                        void (*each)(void *self, const struct quota_state *state,
                                     uint32_t percent),
                        void *self)
{
    struct looking looking = { .unix_s = clock_seconds(unix_ns),
                               .steady_s = quota_steady(quota, monotonic_ns),
                               .reached = each,
                               .self = self };

    if (!atomic_exchange_explicit(&quota->reached, false, memory_order_acquire)) {
        return;
    }
    looking.policies = quota_policies_now(quota);
    if (looking.policies != NULL) {
        quota_cells_each(quota->cells, look_for_reached, &looking);
        quota_policies_unref(looking.policies);
    }
}
