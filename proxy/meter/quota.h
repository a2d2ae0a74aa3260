/* Quotas: who may spend how much. A call reserves in every policy that counts it before
 * it goes upstream, all or nothing; its end settles that to what it came to.
 *
 * Promises, at every moment and for every counter of an `over: refuse` policy:
 *   - what calls were let through with is at most the limit: used and reserved together,
 *     but for what calls came to beyond their own reservation;
 *   - every reservation ends with its call; nothing is left when no call is under way;
 *   - a counter is what the ledger says: rebuilding it from there gives the same sum.
 *
 * A call belongs to the window that it began in (entry.started_ns). Rolling periods go
 * by a steady clock, so that setting the wall clock neither frees nor burdens them. */
#ifndef ASSAY_METER_QUOTA_H
#define ASSAY_METER_QUOTA_H

#include "proxy/meter/price.h"
#include "proxy/meter/quota_cell.h"

struct quota;

/* Both clocks at the same moment: they set the steady clock. */
struct quota *quota_new(uint64_t unix_ns, uint64_t monotonic_ns);
struct quota *quota_free(struct quota *quota);

/* ---- policies -------------------------------------------------------------------- */

/* Control thread. Connects policies that are not in force yet to counters: those of the
 * same name and meaning in force keep theirs; the others are marked fresh. */
void quota_adopt(struct quota *quota, struct quota_policies *policies);

/* Which calls hold something in fresh policies already: they are counted
 * when they end. */
struct quota_holders {
    bool (*holds)(const void *self, uint64_t id);
    const void *self;
};

/* Control thread. Fills the counters of fresh policies from the ledger in `directory`,
 * for the windows that are open: also with what calls of unknown end had reserved. NULL
 * for `holders`: no call does. false and an entry in *error if it cannot be read. */
bool quota_rebuild(struct quota *quota, struct quota_policies *policies,
                   const struct price_table *prices, const char *directory,
                   uint64_t unix_ns, const struct quota_holders *holders,
                   struct error *error);

/* Is any of them fresh? */
bool quota_has_fresh(struct quota_policies *policies);

/* Control thread. What quota_each() and metrics speak of; takes a reference
 * of its own. */
void quota_in_force(struct quota *quota, struct quota_policies *policies);

/* Control thread, several times a second: forgets counters that are long over. */
void quota_sweep(struct quota *quota, uint64_t unix_ns, uint64_t monotonic_ns);

/* ---- calls ----------------------------------------------------------------------- */

enum { QUOTA_HOLDS_FEW = 2 };

/* What a call holds. Zeroed: nothing. It belongs to one exchange. */
struct quota_hold {
    struct quota_cell *cell;
    struct quota_policy *policy;
    uint64_t amount;
};
struct reservation {
    struct quota_hold holds[QUOTA_HOLDS_FEW]; /* most calls meet no more policies */
    struct quota_hold *more; /* owned: room for those beyond; NULL: there are none */
    uint32_t count;
    struct quota_policies *policies; /* kept for the holds; NULL: the snapshot does */
    bool cuts;                       /* one of the policies cuts streams */
    bool exceeded;    /* it crossed the limit of a policy that lets it pass */
    int64_t steady_s; /* when it began */
};

enum quota_verdict {
    QUOTA_TAKEN,
    QUOTA_REFUSED, /* it would cross a limit */
    QUOTA_FULL     /* there are more counters than memory for them */
};

/* A counter as somebody is told of it. Borrows from its policy and cell. */
struct quota_state {
    struct quota_policy *policy;
    const char *subject; /* "": one counter for all */
    uint64_t used;
    uint64_t reserved;
    uint64_t asked; /* of a refusal: what the call may come to; 0: it had begun */
    bool leased;    /* it is not used up, but what this replica may take up of it is */
    bool paced;     /* it is not used up, but ahead of its pace */
    int64_t resets_s; /* Unix time at which it has room again; 0: when calls end */
    int64_t window_s; /* when its window, or this length of a rolling one, began */
};

/* Before the call goes upstream. `call` says whose it is, what for, when it began,
 * and in reserved_input and reserved_output what it may come to. With QUOTA_REFUSED
 * *refusal is the tightest counter, the one that resets last; its policy has
 * counted the refusal. */
enum quota_verdict quota_reserve(struct quota *quota, struct quota_policies *policies,
                                 const struct price_table *prices,
                                 const struct entry *call, uint64_t monotonic_ns,
                                 struct reservation *reservation,
                                 struct quota_state *refusal) MUST_CHECK;

/* Other policies came into force while the call is under way: holds the same in each
 * that counts it, whatever their limits, and gives back what it held in others. */
void quota_join(struct quota *quota, struct quota_policies *policies,
                const struct price_table *prices, const struct entry *call,
                uint64_t monotonic_ns, struct reservation *reservation);

/* A stream under way has come to so much output: holds more in the policies
 * that cut, where that is beyond what is held. false: one has no room, and
 * *refusal is its counter. */
bool quota_extend(struct quota *quota, const struct price_table *prices,
                  const struct entry *call, uint64_t output, uint64_t unix_ns,
                  struct reservation *reservation,
                  struct quota_state *refusal) MUST_CHECK;

/* The call is over and `call` final: gives back what was reserved and counts what it
 * came to. Nothing is held afterwards. */
void quota_settle(struct quota *quota, const struct price_table *prices,
                  const struct entry *call, uint64_t monotonic_ns,
                  struct reservation *reservation);

/* Counts a call whose usage is known only now, long after it was let through: nothing
 * is held, and nothing can be refused any more. */
void quota_add(struct quota *quota, struct quota_policies *policies,
               const struct price_table *prices, const struct entry *call,
               uint64_t monotonic_ns);

/* The answer of a call that was settled without one has come, and was
 * counted by another: gives back what the call was charged for it.
 * `began_s` is its reservation's steady_s. */
void quota_take_back(struct quota *quota, struct quota_policies *policies,
                     const struct price_table *prices, const struct entry *call,
                     int64_t began_s, uint64_t unix_ns, uint64_t monotonic_ns);

/* The highest warning that a call under way has reached: its counter in *state, and the
 * percentage; 0: none. */
uint32_t quota_warning(const struct reservation *reservation,
                       struct quota_state *state);

/* Output tokens that a call to this model may come to when it does not limit them: what
 * such calls lately came to. A guess, never a bound. */
uint64_t quota_usual_output(const struct quota *quota, const char *model);

/* ---- telling --------------------------------------------------------------------- */

/* Control thread, several times a second. Calls back for every share at which a policy
 * in force warns, and for 100 percent, that a counter reached since it was told of
 * last: once per share and window, or period length of a rolling one. A call that was
 * refused has reached 100. Costs nothing while nothing is reached. */
void quota_each_reached(struct quota *quota, uint64_t unix_ns, uint64_t monotonic_ns,
                        void (*each)(void *self, const struct quota_state *state,
                                     uint32_t percent),
                        void *self);

/* ---- looking --------------------------------------------------------------------- */

/* Any thread. Calls back for every counter of a policy in force whose window is open,
 * after one call for each policy with subject NULL. */
void quota_each(struct quota *quota, uint64_t unix_ns, uint64_t monotonic_ns,
                void (*each)(void *self, const struct quota_state *state), void *self);

/* Calls back with the counter of each policy that counts this call. */
void quota_look(struct quota *quota, struct quota_policies *policies,
                const struct entry *call, uint64_t monotonic_ns,
                void (*each)(void *self, const struct quota_state *state), void *self);

/* Percent of the limit; at most UINT32_MAX. */
uint32_t quota_percent(uint64_t amount, uint64_t limit);

/* Appends when a counter resets, as its policy's wall clocks show it. */
void quota_put_reset(struct text *text, const struct quota_state *state);

#endif
