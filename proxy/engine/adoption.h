/* What a worker does when another configuration comes into force while calls are under
 * way: its quotas take them in, and the worker says which they were. So the calls that
 * ended before are counted from the ledger, these when they end, and none twice. */
#ifndef ASSAY_ENGINE_ADOPTION_H
#define ASSAY_ENGINE_ADOPTION_H

#include "proxy/meter/quota.h"

struct snapshot;
struct worker;

struct adoption {
    const struct snapshot *snapshot; /* for comparison only: no reference is held */
    uint64_t last_id;                /* calls with greater ids began under it */
    /* Once the journal has released so many slots, the ledger has all calls
     * that had ended. */
    uint32_t released;
    size_t count;
    uint64_t ids[]; /* of the calls under way, ascending */
};

/* The worker, in the turn in which it takes the snapshot. NULL without memory: then
 * nobody knows which calls were under way. */
struct adoption *adoption_make(struct worker *worker);

/* Another thread: was the call of this id taken in, or did it begin afterwards? */
bool adoption_holds(const struct adoption *adoption, uint64_t id);

#endif
