/* What an exchange uses of its caller's quotas: reserved before it goes upstream,
 * settled at its end. */
#ifndef ASSAY_ENGINE_RESERVE_H
#define ASSAY_ENGINE_RESERVE_H

#include "proxy/engine/exchange.h"

/* Does a permit or a quota that may apply to this exchange need its whole body first?
 * Reads from the entry whose it is. */
bool reserve_waits(const struct exchange *x);

/* Asks the permits, then reserves in every quota that counts the exchange, and notes in
 * its entry what it may come to. A fault of permit(); FAULT_QUOTA_EXCEEDED, with words
 * and a time to tell; FAULT_OVERLOADED where there is no room for a counter. */
enum fault reserve(struct exchange *x) MUST_CHECK;

/* Another configuration came into force: its quotas take the exchange in, as far as it
 * was let through already. */
void reserve_join(struct exchange *x);

/* The response has come to so many output tokens, which is more than was
 * reserved: reserves them where policies cut. false, with words to tell: one of
 * them has no room. */
bool reserve_more(struct exchange *x, uint64_t output) MUST_CHECK;

/* Is there room in every quota for a call like this one? Nothing is reserved. For what
 * cannot be refused later. */
enum fault reserve_try(struct exchange *x) MUST_CHECK;

/* Its entry is final: gives back what was reserved and counts what it came to. */
void reserve_settle(struct exchange *x, struct entry *entry);

/* Appends header lines if a quota that counts the exchange has reached a share at
 * which it warns. */
void reserve_put_warning(const struct exchange *x, struct text *head);

#endif
