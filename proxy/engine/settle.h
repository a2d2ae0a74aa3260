/* What an exchange leaves behind: the entry in its journal slot, priced and counted. */
#ifndef ASSAY_ENGINE_SETTLE_H
#define ASSAY_ENGINE_SETTLE_H

#include "proxy/engine/exchange.h"
#include "proxy/identity/identity.h"

/* Writes what is known at the head: so that a crash leaves a row that says whose call
 * it was and where it went. */
void settle_open(struct exchange *x, const struct known_caller *caller,
                 uint64_t now_unix_ns);

/* The same for a response over a WebSocket: whose it is stands in the entry of the
 * exchange that opened it. */
void settle_open_within(struct exchange *x, const struct entry *socket);

/* The same for what the body said. */
void settle_facts(struct exchange *x);

/* The exchange ends with exchange->fault: counts, prices and settles, once. */
void settle(struct exchange *x);

#endif
