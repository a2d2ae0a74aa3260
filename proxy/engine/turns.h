/* Lets the turn gate read along with an exchange, and hands the analyst what it saw. */
#ifndef ASSAY_ENGINE_TURNS_H
#define ASSAY_ENGINE_TURNS_H

#include "proxy/engine/exchange.h"

/* Each does nothing where detection is off, or the call can have no turn. Without
 * memory the call is not seen: detection never costs a caller an answer. */

/* The request is about to be watched. */
void turns_begin(struct exchange *x);
/* It has ended, and its watch is about to be closed. */
void turns_asked(struct exchange *x);
/* The response is about to be watched. */
void turns_answer(struct exchange *x);
/* The entry is complete. */
void turns_settle(struct exchange *x, const struct entry *entry);

#endif
