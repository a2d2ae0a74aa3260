/* Answers that come later than the call that asked for them (see proxy/meter/once.h). */
#ifndef ASSAY_ENGINE_LATER_H
#define ASSAY_ENGINE_LATER_H

#include "proxy/engine/exchange.h"

/* At the response's head: does the exchange ask for an answer that somebody has to pay for?
 * Notes it in its facts. */
void later_ask(struct exchange *x);

/* May the response name an object that is asked for later? */
bool later_expected(const struct exchange *x);

/* After more of the response was read: is it one that comes later? Then it is awaited. */
void later_read(struct exchange *x);

/* Its usage is known: is it the first to show it? If not, there is no usage. true: another
 * call's maker pays now, and *entry has its labels. */
bool later_settle(struct exchange *x, struct entry *entry, bool whole);

/* It was settled and its quotas charged. Where its answer comes later, the charge stands for
 * that until then. */
void later_charged(struct exchange *x, const struct entry *entry);

#endif
