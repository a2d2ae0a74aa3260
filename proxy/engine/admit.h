/* What a request's head decides: where it goes, whose it is, whether it is taken. */
#ifndef ASSAY_ENGINE_ADMIT_H
#define ASSAY_ENGINE_ADMIT_H

#include "proxy/engine/known_head.h"

/* Routes the request, verifies its caller, takes a journal slot, begins to watch the
 * body and writes the upstream head. With a fault, as much is set as was known: a
 * refusal has its dialect's shape, and that of a verified caller its slot. `raw` is
 * the head as it came; `known` is the earlier head that it equals (`head` then lies
 * in it), or NULL. */
enum fault admit(struct exchange *x, const struct head *head,
                 const struct known_head *known, struct span raw) MUST_CHECK;

/* More is asked for on a WebSocket: is the caller that opened it still who he was? A
 * fault of identity_verify(). */
enum fault admit_again(struct exchange *socket) MUST_CHECK;

/* May include_usage be spliced into this exchange's request? */
bool admit_may_inject(const struct exchange *x);

#endif
