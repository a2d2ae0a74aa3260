/* The request head that goes upstream: written anew from parsed
 * values, never copied. */
#ifndef ASSAY_ENGINE_FORWARD_H
#define ASSAY_ENGINE_FORWARD_H

#include "proxy/engine/exchange.h"
#include "proxy/engine/route.h"

/* Writes the upstream head into the worker's buffer, without framing, Accept-Encoding,
 * Content-Encoding and the final blank line, and notes those of its own accord in the
 * exchange: exchange->head, ->accept and ->encoding, borrowed until exchange_keep(). A
 * secret of the provider's ends it, but is not in it: so no copy of a head that is kept
 * holds one. FAULT_HEAD_TOO_LARGE if it does not fit, FAULT_NO_PROVIDER_CREDENTIAL
 * without an access token that the provider wants. */
enum fault forward_head(struct exchange *exchange, const struct head *head,
                        const struct route *route) MUST_CHECK;

/* Does the exchange's head end with the name of a field whose value is this? false if
 * the provider has no credential, or one that is no field (sign.h). Empty if the access
 * token is gone again. Borrowed. */
bool forward_secret(const struct exchange *exchange, struct span *secret);

/* Is this field an identity, rewriting or credential field that a client must not pass
 * to a provider (in dashes or underscores)? */
bool forward_drops(struct span name);

#endif
