/* Answers that come later than the call that asked for them
 * (see proxy/meter/once.h). */
#ifndef ASSAY_ENGINE_LATER_H
#define ASSAY_ENGINE_LATER_H

#include "proxy/engine/exchange.h"

/* At the response's head: notes in the exchange's facts whether it asks for an answer
 * that an earlier call is to pay for. */
void later_ask(struct exchange *x);

/* May the response name an object that is asked for later? */
bool later_expected(const struct exchange *x);

/* After more of the response was read: if it says that the answer comes later, that
 * answer is awaited from now on. */
void later_read(struct exchange *x);

/* The usage is known. If an earlier exchange showed the same answer's, this one
 * has none. true: this is the first, so whoever made the call pays, and *entry
 * gets his labels. */
bool later_settle(struct exchange *x, struct entry *entry, bool whole);

/* The exchange was settled and its quotas were charged. If its answer comes later, the
 * charge stands in for the answer until then. */
void later_charged(struct exchange *x, const struct entry *entry);

#endif
