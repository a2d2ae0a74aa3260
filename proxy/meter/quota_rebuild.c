/* Counters from the ledger: after a start, and for policies that are new. */
#include "proxy/base/clock.h"
#include "proxy/meter/ledger.h"
#include "proxy/meter/quota_parts.h"

#include <stdlib.h>

enum { CHAINS = 1024 };

/* A call whose answer may come later in the ledger. */
struct unanswered {
    struct unanswered *next;
    struct entry call; /* without lines */
};

struct rebuild {
    struct quota *quota;
    struct quota_policies *policies;
    const struct price_table *prices;
    const struct quota_holders *holders;
    int64_t now_s;
    struct unanswered *unanswered[CHAINS]; /* by object */
};

/* Since when the ledger matters to a policy. */
static int64_t open_since(const struct quota_policy *policy, int64_t now_s)
{
    const struct config_period *period = &policy->rule.period;

    if (period->unit == PERIOD_NONE) {
        return now_s;
    }
    if (period->unit == PERIOD_ROLLING) {
        return now_s - (int64_t)policy->step_s * QUOTA_STEPS;
    }
    return quota_window_at(policy, now_s).begins;
}

static void count_again(const struct rebuild *rebuild, struct quota_policy *policy,
                        const struct entry *call)
{
    struct quota_window window =
        quota_window_at(policy, clock_seconds(call->started_ns));
    uint64_t used = quota_charge(policy, rebuild->prices, call);
    struct quota_cell *cell;

    if (used == 0 || (window.ends != 0 && window.ends <= rebuild->now_s)) {
        return;
    }
    cell = quota_cells_take(rebuild->quota->cells, policy, &window,
                            quota_subject(policy, call));
    if (cell != NULL) {
        quota_cell_settle(cell, 0, used, clock_seconds(call->started_ns),
                          rebuild->now_s);
        quota_cell_back(cell);
        /* An earlier process may not have told. */
        atomic_store_explicit(&rebuild->quota->reached, true, memory_order_relaxed);
    }
}

/* Takes back what a call was charged in a fresh policy's counter, now that its
 * answer is known. */
static void count_back(const struct rebuild *rebuild, struct quota_policy *policy,
                       const struct entry *call)
{
    struct quota_window window =
        quota_window_at(policy, clock_seconds(call->started_ns));
    uint64_t charged = quota_charge(policy, rebuild->prices, call);
    struct quota_cell *cell;

    if (charged == 0 || (window.ends != 0 && window.ends <= rebuild->now_s)) {
        return;
    }
    cell = quota_cells_take(rebuild->quota->cells, policy, &window,
                            quota_subject(policy, call));
    if (cell != NULL) {
        quota_cell_refund(cell, charged, clock_seconds(call->started_ns),
                          rebuild->now_s);
        quota_cell_back(cell);
    }
}

static void for_fresh(const struct rebuild *rebuild, const struct entry *call,
                      void (*count)(const struct rebuild *, struct quota_policy *,
                                    const struct entry *))
{
    struct quota_policy *policy;
    size_t index = 0;

    while ((policy = quota_policy_next(rebuild->policies, call, &index)) != NULL) {
        if (policy->fresh) {
            count(rebuild, policy, call);
        }
    }
}

/* The place of who had the object made; it holds NULL if nobody is known. */
static struct unanswered **find_unanswered(struct rebuild *rebuild, uint64_t object)
{
    struct unanswered **place = &rebuild->unanswered[object % CHAINS];

    while (*place != NULL && (*place)->call.object != object) {
        place = &(*place)->next;
    }
    return place;
}

static void keep_unanswered(struct rebuild *rebuild, const struct entry *call)
{
    struct unanswered **place = find_unanswered(rebuild, call->object);

    if (*place == NULL) {
        *place = calloc(1, sizeof **place);
        CHECK(*place != NULL);
        (*place)->call = *call;
        (*place)->call.line_count = 0;
    }
}

static void drop_unanswered(struct unanswered **place)
{
    struct unanswered *gone = *place;

    *place = gone->next;
    free(gone);
}

/* The answer is there: the charge that stood in for it goes. */
static void answer_one(struct rebuild *rebuild, const struct entry *call)
{
    struct unanswered **place = find_unanswered(rebuild, call->object);

    if (*place != NULL) {
        for_fresh(rebuild, &(*place)->call, count_back);
        drop_unanswered(place);
    }
}

static bool rebuild_one(void *self, const struct entry *call)
{
    struct rebuild *rebuild = self;
    const struct quota_holders *holders = rebuild->holders;

    if (holders == NULL || !holders->holds(holders->self, call->id)) {
        for_fresh(rebuild, call, count_again);
    }
    if (call->object != 0 && call->usage.known_tokens != 0) {
        answer_one(rebuild, call);
    } else if (call->object != 0 && !call->free) {
        keep_unanswered(rebuild, call);
    }
    quota_learn_output(rebuild->quota, call);
    return true;
}

bool quota_has_fresh(struct quota_policies *policies)
{
    for (size_t i = 0; i < quota_policies_count(policies); i++) {
        if (quota_policy_at(policies, i)->fresh) {
            return true;
        }
    }
    return false;
}

bool quota_rebuild(struct quota *quota, struct quota_policies *policies,
                   const struct price_table *prices, const char *directory,
                   uint64_t unix_ns, const struct quota_holders *holders,
                   struct error *error)
{
    struct rebuild rebuild = { .quota = quota,
                               .policies = policies,
                               .prices = prices,
                               .holders = holders,
                               .now_s = clock_seconds(unix_ns) };
    struct ledger_query query = { 0 };
    int64_t since = rebuild.now_s;
    bool fresh = false, good;

    for (size_t i = 0; i < quota_policies_count(policies); i++) {
        const struct quota_policy *policy = quota_policy_at(policies, i);
        int64_t open = open_since(policy, rebuild.now_s);

        fresh |= policy->fresh;
        since = policy->fresh && open < since ? open : since;
    }
    if (!fresh) {
        return true;
    }
    /* An id is made a moment before the beginning is noted. */
    query.since_ns = since > 1 ? (uint64_t)(since - 1) * NS_PER_S : 0;
    good = ledger_each(directory, &query, rebuild_one, &rebuild, error);
    for (size_t i = 0; i < CHAINS; i++) {
        while (rebuild.unanswered[i] != NULL) {
            drop_unanswered(&rebuild.unanswered[i]);
        }
    }
    return good;
}
