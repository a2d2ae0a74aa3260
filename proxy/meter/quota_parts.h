/* What a quota is made of: private to the files that work on it. */
#ifndef ASSAY_METER_QUOTA_PARTS_H
#define ASSAY_METER_QUOTA_PARTS_H

#include "proxy/meter/quota.h"
#include "proxy/meter/quota_cells.h"
#include "proxy/meter/quota_charge.h"
#include "proxy/meter/quota_lease.h"

#include <pthread.h>

enum { QUOTA_USUAL_MODELS = 1024 }; /* whose usual output is remembered */

struct quota {
    struct quota_cells *cells;
    struct quota_leases *leases; /* NULL: no other replica */
    int64_t steady_ahead_s;      /* of the monotonic clock */
    uint32_t last_number;        /* of policies */
    atomic_bool reached;         /* a share that somebody is to be told of */
    pthread_mutex_t lock;        /* of in_force; not for the data path */
    struct quota_policies *in_force;
    /* Usual output of models, in tokens, by the hash of their names; 0:
     * none was seen. */
    atomic_uint_least32_t usual[QUOTA_USUAL_MODELS];
};

/* A moment of the monotonic clock by the steady one, in seconds. */
int64_t quota_steady(const struct quota *quota, uint64_t monotonic_ns);

/* The counter of a call in a policy that counts it; for quota_cell_back(). NULL: there
 * is no memory for it. */
struct quota_cell *quota_cell_for(struct quota *quota, struct quota_policy *policy,
                                  const struct entry *call);

/* As it stands, for somebody who is told of it. */
struct quota_state quota_state_of(struct quota_policy *policy,
                                  const struct quota_cell *cell);

/* A reference to the policies in force; NULL before there are any. */
struct quota_policies *quota_policies_now(struct quota *quota);

/* The policy with this number; NULL: it is no longer there. */
struct quota_policy *quota_policy_numbered(struct quota_policies *policies,
                                           uint32_t number);

/* What such calls come to, near the greatest of the last ones, moves by this one. */
void quota_learn_output(struct quota *quota, const struct entry *call);

#endif
