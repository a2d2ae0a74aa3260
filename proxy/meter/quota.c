#include "proxy/base/clock.h"
#include "proxy/meter/quota_parts.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    USUAL_FIRST = 4096, /* before anything was seen */
    USUAL_DECAY = 32    /* calls in which an unusual one is forgotten */
};

int64_t quota_steady(const struct quota *quota, uint64_t monotonic_ns)
{
    return clock_seconds(monotonic_ns) + quota->steady_ahead_s;
}

struct quota *quota_new(uint64_t unix_ns, uint64_t monotonic_ns)
{
    struct quota *quota = calloc(1, sizeof *quota);

    CHECK(quota != NULL);
    quota->cells = quota_cells_new();
    quota->steady_ahead_s = clock_seconds(unix_ns) - clock_seconds(monotonic_ns);
    pthread_mutex_init(&quota->lock, NULL);
    return quota;
}

struct quota *quota_free(struct quota *quota)
{
    if (quota != NULL) {
        quota_policies_unref(quota->in_force);
        quota_cells_free(quota->cells);
        quota_leases_free(quota->leases);
        pthread_mutex_destroy(&quota->lock);
        free(quota);
    }
    return NULL;
}

/* ---- usual output ---------------------------------------------------------------- */

static size_t usual_place(const char *model)
{
    return XXH3_64bits(model, strlen(model)) % QUOTA_USUAL_MODELS;
}

uint64_t quota_usual_output(const struct quota *quota, const char *model)
{
    uint32_t usual =
        atomic_load_explicit(&quota->usual[usual_place(model)], memory_order_relaxed);

    return usual == 0 ? USUAL_FIRST : usual;
}

/* Threads may overwrite each other's: it is a guess. */
void quota_learn_output(struct quota *quota, const struct entry *call)
{
    atomic_uint_least32_t *place = &quota->usual[usual_place(call->request_model)];
    uint32_t usual = atomic_load_explicit(place, memory_order_relaxed);
    uint64_t output = usage_output(&call->usage);

    if (!usage_knows(&call->usage, TOKENS_OUTPUT)) {
        return;
    }
    output = output < UINT32_MAX ? output : UINT32_MAX;
    if (output >= usual) {
        usual = (uint32_t)output;
    } else {
        usual -= (usual - (uint32_t)output) / USUAL_DECAY;
    }
    atomic_store_explicit(place, usual == 0 ? 1 : usual, memory_order_relaxed);
}

/* ---- reserving ------------------------------------------------------------------- */

struct quota_state quota_state_of(struct quota_policy *policy,
                                  const struct quota_cell *cell)
{
    uint64_t used = quota_cell_used(cell), held = quota_cell_held(cell);
    bool rolling = policy->rule.period.unit == PERIOD_ROLLING;

    return (struct quota_state){
        .policy = policy,
        .subject = cell->subject,
        .used = used,
        .reserved = held > used ? held - used : 0,
        .resets_s = rolling ? quota_cell_frees_at(cell) : cell->ends,
    };
}

/* A call was refused: the first one is told. */
static void note_reached(struct quota *quota, const struct quota_policy *policy,
                         struct quota_cell *cell)
{
    if (policy->telling_count > 0 && cell->told < 100 &&
        !atomic_exchange_explicit(&cell->refused, true, memory_order_relaxed)) {
        atomic_store_explicit(&quota->reached, true, memory_order_release);
    }
}

/* What may be held at a time: the limit, or less where use may not run far ahead. */
static uint64_t bound_at(const struct quota_policy *policy,
                         const struct quota_cell *cell, int64_t unix_s)
{
    uint64_t limit = policy->rule.limit.amount, burst = policy->rule.burst.amount;
    uint64_t length = (uint64_t)(cell->ends - cell->begins);
    uint64_t gone = unix_s > cell->begins ? (uint64_t)(unix_s - cell->begins) : 0;
    uint64_t even;

    if (burst == 0 || gone >= length) {
        return limit;
    }
    even = limit / length * gone + limit % length * gone / length;
    return even < limit - burst ? burst + even : limit;
}

/* When the pace has room for an amount that the limit has room for. */
static int64_t pace_reaches(const struct quota_policy *policy,
                            const struct quota_cell *cell, uint64_t held)
{
    int64_t from = cell->begins, to = cell->ends;

    while (from < to) {
        int64_t middle = from + (to - from) / 2;

        if (bound_at(policy, cell, middle) >= held) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return to;
}

static void note_refusal(struct quota *quota, struct quota_state *refusal,
                         struct quota_policy *policy, struct quota_cell *cell,
                         uint64_t amount)
{
    struct quota_state state = quota_state_of(policy, cell);
    uint64_t limit = policy->rule.limit.amount, held = quota_cell_held(cell);

    state.asked = amount;
    state.paced =
        policy->rule.burst.amount > 0 && amount <= limit && held <= limit - amount;
    if (quota->leases != NULL) {
        uint32_t number = quota_cells_number(quota->cells, cell);
        uint64_t room = quota_lease_room(quota->leases, number, limit);

        state.leased = amount <= room && held <= room - amount;
        state.used += limit - room;
    }
    if (state.paced) {
        state.resets_s = pace_reaches(policy, cell, held + amount);
    } else if (!state.leased) {
        note_reached(quota, policy, cell);
    }
    if (refusal->policy == NULL || state.resets_s > refusal->resets_s) {
        *refusal = state;
    }
}

/* What is used went from `before` to `after`. */
static void note_used(struct quota *quota, const struct quota_policy *policy,
                      uint64_t before, uint64_t after)
{
    for (size_t i = 0; i < policy->telling_count && policy->telling[i] <= after; i++) {
        if (before < policy->telling[i]) {
            atomic_store_explicit(&quota->reached, true, memory_order_release);
        }
    }
}

/* Where replicas share the counter, one call may go beyond what is leased, for the
 * lease is extended only after it was used up. */
static bool hold(struct quota *quota, const struct quota_policy *policy,
                 struct quota_cell *cell, uint64_t amount, uint64_t bound)
{
    uint64_t limit = policy->rule.limit.amount;
    uint32_t number;
    uint64_t from, room;

    if (quota->leases == NULL) {
        return quota_cell_hold(cell, amount, bound);
    }
    number = quota_cells_number(quota->cells, cell);
    room = quota_lease_room(quota->leases, number, limit);
    from = policy->rule.over == OVER_REFUSE
               ? quota_lease_bound(quota->leases, number, limit)
               : UINT64_MAX;
    return quota_cell_hold_from(cell, amount, from, room < bound ? room : bound);
}

/* What it holds has changed: the other replicas may want to know. */
static void note_moved(struct quota *quota, struct quota_cell *cell)
{
    if (quota->leases != NULL) {
        quota_lease_moved(quota->leases, quota_cells_number(quota->cells, cell),
                          quota_cell_held(cell), &cell->uses);
    }
}

static const struct quota_hold *hold_at(const struct reservation *reservation,
                                        uint32_t i)
{
    return i < QUOTA_HOLDS_FEW ? &reservation->holds[i]
                               : &reservation->more[i - QUOTA_HOLDS_FEW];
}

/* The same, to be changed. */
static struct quota_hold *hold_of(struct reservation *reservation, uint32_t i)
{
    return i < QUOTA_HOLDS_FEW ? &reservation->holds[i]
                               : &reservation->more[i - QUOTA_HOLDS_FEW];
}

/* Is there room for one more hold? false without memory. */
static bool make_room(struct reservation *reservation)
{
    if (reservation->count >= QUOTA_HOLDS_FEW && reservation->more == NULL) {
        reservation->more =
            calloc(QUOTAS_MET_MAX - QUOTA_HOLDS_FEW, sizeof *reservation->more);
        return reservation->more != NULL;
    }
    return true;
}

static void add_hold(struct reservation *reservation, struct quota_hold new)
{
    *hold_of(reservation, reservation->count++) = new;
    reservation->cuts |= new.policy->rule.on_exceed == ON_EXCEED_CUT;
}

static void drop_holds(struct reservation *reservation)
{
    free(reservation->more);
    reservation->more = NULL;
    reservation->count = 0;
}

static enum quota_verdict reserve_one(struct quota *quota,
                                      struct reservation *reservation,
                                      struct quota_policy *policy,
                                      struct quota_cell *cell, uint64_t amount,
                                      int64_t unix_s)
{
    bool fits = hold(quota, policy, cell, amount, bound_at(policy, cell, unix_s));

    note_moved(quota, cell);

    if (!fits && policy->rule.over == OVER_REFUSE) {
        return QUOTA_REFUSED;
    }
    if (!fits) {
        reservation->exceeded |= policy->rule.over == OVER_WARN;
        atomic_fetch_add_explicit(&policy->exceeded, 1, memory_order_relaxed);
        if (!quota_cell_hold(cell, amount, UINT64_MAX)) {
            amount = 0;
        }
    }
    add_hold(reservation, (struct quota_hold){ cell, policy, amount });
    return QUOTA_TAKEN;
}

static void give_back(struct quota *quota, struct reservation *reservation)
{
    for (uint32_t i = 0; i < reservation->count; i++) {
        const struct quota_hold *held = hold_at(reservation, i);

        quota_cell_settle(held->cell, held->amount, 0, reservation->steady_s,
                          reservation->steady_s);
        note_moved(quota, held->cell);
        quota_cell_back(held->cell);
    }
    drop_holds(reservation);
}

struct quota_cell *quota_cell_for(struct quota *quota, struct quota_policy *policy,
                                  const struct entry *call)
{
    struct quota_window window =
        quota_window_at(policy, clock_seconds(call->started_ns));

    return quota_cells_take(quota->cells, policy, &window, quota_subject(policy, call));
}

enum quota_verdict quota_reserve(struct quota *quota, struct quota_policies *policies,
                                 const struct price_table *prices,
                                 const struct entry *call, uint64_t monotonic_ns,
                                 struct reservation *reservation,
                                 struct quota_state *refusal)
{
    enum quota_verdict verdict = QUOTA_TAKEN;
    struct quota_policy *policy;
    size_t index = 0;

    reservation->steady_s = quota_steady(quota, monotonic_ns);
    refusal->policy = NULL;
    while (verdict != QUOTA_FULL &&
           (policy = quota_policy_next(policies, call, &index)) != NULL) {
        uint64_t amount = quota_reserved(policy, prices, call, call->reserved_output);
        struct quota_cell *cell =
            make_room(reservation) ? quota_cell_for(quota, policy, call) : NULL;

        if (cell == NULL) {
            verdict = QUOTA_FULL;
            break;
        }
        quota_cell_expire(cell, reservation->steady_s);
        if (reserve_one(quota, reservation, policy, cell, amount,
                        clock_seconds(call->started_ns)) == QUOTA_REFUSED) {
            verdict = QUOTA_REFUSED;
            note_refusal(quota, refusal, policy, cell, amount);
            quota_cell_back(cell);
        }
    }
    if (verdict != QUOTA_TAKEN) {
        give_back(quota, reservation);
    }
    if (verdict == QUOTA_REFUSED) {
        atomic_fetch_add_explicit(&refusal->policy->refused, 1, memory_order_relaxed);
    }
    return verdict;
}

/* The hold of a cell, or NULL. */
static struct quota_hold *hold_in(struct reservation *reservation,
                                  const struct quota_cell *cell)
{
    for (uint32_t i = 0; i < reservation->count; i++) {
        struct quota_hold *held = hold_of(reservation, i);

        if (held->cell == cell) {
            return held;
        }
    }
    return NULL;
}

/* Holds in one more cell, or goes on with what is held there. */
static void join_one(struct quota *quota, struct quota_policy *policy,
                     struct quota_cell *cell, uint64_t amount,
                     struct reservation *before, struct reservation *after)
{
    struct quota_hold *held = hold_in(before, cell);

    if (held != NULL) {
        amount = held->amount;
        held->amount = 0; /* it has moved over, and its use of the cell with it */
        quota_cell_back(cell);
        held->cell = NULL;
    } else if (!quota_cell_hold(cell, amount, UINT64_MAX)) {
        amount = 0;
    }
    add_hold(after, (struct quota_hold){ cell, policy, amount });
    note_moved(quota, cell);
}

void quota_join(struct quota *quota, struct quota_policies *policies,
                const struct price_table *prices, const struct entry *call,
                uint64_t monotonic_ns, struct reservation *reservation)
{
    struct reservation before = *reservation;
    struct quota_policy *policy;
    size_t index = 0;

    reservation->count = 0;
    reservation->more = NULL;
    reservation->policies = quota_policies_ref(policies);
    while ((policy = quota_policy_next(policies, call, &index)) != NULL) {
        struct quota_cell *cell =
            make_room(reservation) ? quota_cell_for(quota, policy, call) : NULL;

        if (cell != NULL) {
            join_one(quota, policy, cell,
                     quota_reserved(policy, prices, call, call->reserved_output),
                     &before, reservation);
        }
    }
    for (uint32_t i = 0; i < before.count; i++) {
        const struct quota_hold *held = hold_at(&before, i);

        if (held->cell != NULL) {
            quota_cell_settle(held->cell, held->amount, 0, before.steady_s,
                              quota_steady(quota, monotonic_ns));
            note_moved(quota, held->cell);
            quota_cell_back(held->cell);
        }
    }
    drop_holds(&before);
    quota_policies_unref(before.policies);
}

bool quota_extend(struct quota *quota, const struct price_table *prices,
                  const struct entry *call, uint64_t output, uint64_t unix_ns,
                  struct reservation *reservation, struct quota_state *refusal)
{
    for (uint32_t i = 0; i < reservation->count; i++) {
        struct quota_hold *held = hold_of(reservation, i);
        struct quota_policy *policy = held->policy;
        struct quota_cell *cell = held->cell;
        uint64_t needed = quota_reserved(policy, prices, call, output);

        if (policy->rule.on_exceed != ON_EXCEED_CUT || needed <= held->amount) {
            continue;
        }
        if (!hold(quota, policy, cell, needed - held->amount,
                  bound_at(policy, cell, clock_seconds(unix_ns)))) {
            refusal->policy = NULL;
            note_refusal(quota, refusal, policy, cell, needed - held->amount);
            refusal->asked = 0;
            atomic_fetch_add_explicit(&policy->refused, 1, memory_order_relaxed);
            return false;
        }
        held->amount = needed;
        note_moved(quota, cell);
    }
    return true;
}

void quota_settle(struct quota *quota, const struct price_table *prices,
                  const struct entry *call, uint64_t monotonic_ns,
                  struct reservation *reservation)
{
    for (uint32_t i = 0; i < reservation->count; i++) {
        const struct quota_hold *held = hold_at(reservation, i);
        uint64_t used = quota_charge(held->policy, prices, call);
        uint64_t after =
            quota_cell_settle(held->cell, held->amount, used, reservation->steady_s,
                              quota_steady(quota, monotonic_ns));

        note_used(quota, held->policy, after > used ? after - used : 0, after);
        note_moved(quota, held->cell);
        quota_cell_back(held->cell);
    }
    drop_holds(reservation);
    reservation->policies = quota_policies_unref(reservation->policies);
    quota_learn_output(quota, call);
}

void quota_add(struct quota *quota, struct quota_policies *policies,
               const struct price_table *prices, const struct entry *call,
               uint64_t monotonic_ns)
{
    int64_t steady_s = quota_steady(quota, monotonic_ns);
    struct quota_policy *policy;
    size_t index = 0;

    while ((policy = quota_policy_next(policies, call, &index)) != NULL) {
        uint64_t used = quota_charge(policy, prices, call), after;
        struct quota_cell *cell =
            used == 0 ? NULL : quota_cell_for(quota, policy, call);

        if (cell != NULL) {
            after = quota_cell_settle(cell, 0, used, steady_s, steady_s);
            note_used(quota, policy, after > used ? after - used : 0, after);
            quota_cell_back(cell);
        }
    }
}

void quota_take_back(struct quota *quota, struct quota_policies *policies,
                     const struct price_table *prices, const struct entry *call,
                     int64_t began_s, uint64_t unix_ns, uint64_t monotonic_ns)
{
    struct quota_policy *policy;
    size_t index = 0;

    while ((policy = quota_policy_next(policies, call, &index)) != NULL) {
        struct quota_window window =
            quota_window_at(policy, clock_seconds(call->started_ns));
        uint64_t charged = quota_charge(policy, prices, call);
        bool over = window.ends != 0 && window.ends <= clock_seconds(unix_ns);
        struct quota_cell *cell =
            charged == 0 || over ? NULL : quota_cell_for(quota, policy, call);

        if (cell != NULL) {
            quota_cell_refund(cell, charged, began_s,
                              quota_steady(quota, monotonic_ns));
            note_moved(quota, cell);
            quota_cell_back(cell);
        }
    }
}

/* ---- warnings -------------------------------------------------------------------- */

/* The share that the policy warns at, of those that are reached. */
static uint32_t reached(const struct quota_policy *policy, uint32_t percent)
{
    uint32_t share = 0;

    for (size_t i = 0; i < QUOTA_WARNINGS_MAX && policy->warn[i] != 0; i++) {
        share = policy->warn[i] <= percent ? policy->warn[i] : share;
    }
    if (policy->rule.over == OVER_WARN && percent >= 100) {
        share = 100;
    }
    return share;
}

uint32_t quota_warning(const struct reservation *reservation, struct quota_state *state)
{
    uint32_t highest = 0;

    for (uint32_t i = 0; i < reservation->count; i++) {
        struct quota_policy *policy = hold_at(reservation, i)->policy;
        struct quota_state now = quota_state_of(policy, hold_at(reservation, i)->cell);
        uint32_t share =
            reached(policy, quota_percent(now.used, policy->rule.limit.amount));

        if (share > highest && policy->rule.over != OVER_SHADOW) {
            highest = share;
            *state = now;
        }
    }
    return highest;
}

/* ---- policies -------------------------------------------------------------------- */

static struct quota_policy *same_in_force(struct quota *quota,
                                          const struct quota_policy *policy)
{
    size_t count = quota->in_force == NULL ? 0 : quota_policies_count(quota->in_force);

    for (size_t i = 0; i < count; i++) {
        struct quota_policy *other = quota_policy_at(quota->in_force, i);

        if (other->meaning == policy->meaning) {
            return other;
        }
    }
    return NULL;
}

struct quota_policy *quota_policy_numbered(struct quota_policies *policies,
                                           uint32_t number)
{
    for (size_t i = 0; i < quota_policies_count(policies); i++) {
        struct quota_policy *policy = quota_policy_at(policies, i);

        if (policy->number == number) {
            return policy;
        }
    }
    return NULL;
}

static void take_over(struct quota_policy *policy, struct quota_policy *old)
{
    policy->number = old->number;
    policy->fresh = false;
    atomic_store(&policy->refused, atomic_load(&old->refused));
    atomic_store(&policy->exceeded, atomic_load(&old->exceeded));
}

void quota_adopt(struct quota *quota, struct quota_policies *policies)
{
    for (size_t i = 0; i < quota_policies_count(policies); i++) {
        struct quota_policy *policy = quota_policy_at(policies, i);
        struct quota_policy *old = same_in_force(quota, policy);

        if (old != NULL) {
            take_over(policy, old);
        } else {
            policy->number = ++quota->last_number;
            policy->fresh = true;
        }
    }
}

void quota_in_force(struct quota *quota, struct quota_policies *policies)
{
    struct quota_policies *old;

    pthread_mutex_lock(&quota->lock);
    old = quota->in_force;
    quota->in_force = quota_policies_ref(policies);
    pthread_mutex_unlock(&quota->lock);
    quota_policies_unref(old);
}

void quota_sweep(struct quota *quota, uint64_t unix_ns, uint64_t monotonic_ns)
{
    quota_cells_sweep(quota->cells, clock_seconds(unix_ns),
                      quota_steady(quota, monotonic_ns));
}

struct quota_policies *quota_policies_now(struct quota *quota)
{
    struct quota_policies *policies;

    pthread_mutex_lock(&quota->lock);
    policies = quota->in_force == NULL ? NULL : quota_policies_ref(quota->in_force);
    pthread_mutex_unlock(&quota->lock);
    return policies;
}
