/* What an exchange may ask for, by the permits that fit its caller, and by its
 * provider's word on models without a price. */
#ifndef ASSAY_ENGINE_PERMIT_H
#define ASSAY_ENGINE_PERMIT_H

#include "proxy/engine/exchange.h"

/* Does a permit that may apply to this exchange need its whole body first? Reads from
 * the entry whose it is. */
bool permit_waits(const struct exchange *x);

/* Its facts are known: FAULT_NONE, or FAULT_NOT_PERMITTED or FAULT_UNPRICED_MODEL with
 * words to tell. What costs nothing is permitted. */
enum fault permit(struct exchange *x) MUST_CHECK;

#endif
