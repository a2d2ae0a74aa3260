/* Signing a request for a provider that wants a signature over its whole body. */
#ifndef ASSAY_ENGINE_SIGN_H
#define ASSAY_ENGINE_SIGN_H

#include "proxy/engine/exchange.h"

/* Does the body have to be whole before the request may leave? */
bool sign_waits(const struct exchange *x);

/* Signs the head and the held body as they will leave, with the key in force:
 * exchange->signature are the further lines of the head, in the arena.
 * FAULT_NO_PROVIDER_CREDENTIAL without a key, FAULT_NO_MEMORY, FAULT_HEAD_TOO_LARGE. */
enum fault sign_request(struct exchange *x) MUST_CHECK;

#endif
