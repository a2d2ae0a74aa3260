/* A request's body while it waits: for a fact in it that decides something, or for a
 * connection. Bounded by limits.held over all exchanges of a worker. */
#ifndef ASSAY_ENGINE_HOLD_H
#define ASSAY_ENGINE_HOLD_H

#include "proxy/engine/exchange.h"

/* Keeps a copy of the next body bytes. FAULT_OVERLOADED above
 * the limit, FAULT_NO_MEMORY. */
enum fault hold_put(struct exchange *x, struct span data) MUST_CHECK;

/* Keeps a piece of the body's decoded copy: a callback of
 * request_watch_on_decoded(). */
void hold_put_decoded(void *self, struct span piece);

/* Replaces the held body by its decoded copy, if there is one: it is about
 * to be changed. */
void hold_use_decoded(struct exchange *x);

/* Changes the body that is held. false without memory. */
bool hold_splice(struct exchange *x, const struct splice *splice) MUST_CHECK;

/* Splices include_usage into the body that is held (into its decoded copy, which then
 * takes its place, if there is one). false without memory. */
bool hold_inject_usage(struct exchange *x) MUST_CHECK;

/* The decoded copy is not needed any longer. */
void hold_clear_decoded(struct exchange *x);

/* Nothing is held any longer. */
void hold_clear(struct exchange *x);

#endif
