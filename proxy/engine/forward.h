/* The request head that goes upstream: written anew from parsed
 * values, never copied. */
#ifndef ASSAY_ENGINE_FORWARD_H
#define ASSAY_ENGINE_FORWARD_H

#include "proxy/engine/exchange.h"
#include "proxy/engine/route.h"

/* Writes the upstream head into the worker's buffer, without the provider's credential,
 * framing, Accept-Encoding, Content-Encoding and the final blank line, and notes those
 * of its own accord in the exchange: exchange->head, ->accept and ->encoding, borrowed
 * until exchange_keep(). FAULT_HEAD_TOO_LARGE if it does not fit,
 * FAULT_NO_PROVIDER_CREDENTIAL without an access token that the provider wants. */
enum fault forward_head(struct exchange *exchange, const struct head *head,
                        const struct route *route) MUST_CHECK;

/* The provider's credential, which is sent behind the head: apart from it, so that no
 * copy of a head that is kept holds it. All empty if it has none, or one that is no
 * field (sign.h). Borrowed. */
struct forward_credential {
    struct span field, prefix, secret; /* "authorization", "Bearer ", ... */
};
struct forward_credential forward_credential(const struct exchange *exchange);

/* Is this field an identity, rewriting or credential field that a client must not pass
 * to a provider (in dashes or underscores)? */
bool forward_drops(struct span name);

#endif
