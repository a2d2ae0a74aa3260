/* What a call comes to in a policy, in the unit of the policy's limit. */
#ifndef ASSAY_METER_QUOTA_CHARGE_H
#define ASSAY_METER_QUOTA_CHARGE_H

#include "proxy/meter/price.h"
#include "proxy/meter/quota_policy.h"

/* At most, before it goes upstream: its reserved input and so much output. */
uint64_t quota_reserved(const struct quota_policy *policy,
                        const struct price_table *prices, const struct entry *call,
                        uint64_t output);

/* At its end, by its entry alone. Refused and free calls come to nothing, and so do
 * errors without usage. A call that went upstream and left no usage when it was cut
 * comes to its reserved input; one whose end nobody saw, or whose answer comes later,
 * to all that was reserved for it. */
uint64_t quota_charge(const struct quota_policy *policy,
                      const struct price_table *prices, const struct entry *call);

#endif
