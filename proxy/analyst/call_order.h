/* Calls are handed over when they end and looked at in the order in which they began: a
 * bounded heap between the two. Of one thread. */
#ifndef ASSAY_ANALYST_CALL_ORDER_H
#define ASSAY_ANALYST_CALL_ORDER_H

#include "filters/turn/call.h"
#include "proxy/base/check.h"
#include "proxy/meter/entry.h"

#include <stddef.h>

/* Another layout of a call, or another meaning, has another number: replicas of
 * different builds do not look at each other's. */
enum { CALL_LAYOUT = 1 };

/* A call as it is handed over: its record, and the names that a finding or a
 * turn record needs. */
struct analyst_call {
    struct call call;
    bool service; /* of a declared service identity */
    char team[sizeof(((struct entry *)NULL)->team)];
    char caller[sizeof(((struct entry *)NULL)->caller)];
    char model[sizeof(((struct entry *)NULL)->response_model)];
    char tool[sizeof(((struct entry *)NULL)->tool)];
};

struct call_order;

/* NULL without memory. */
struct call_order *call_order_new(unsigned most);
struct call_order *call_order_free(struct call_order *order);

bool call_order_full(const struct call_order *order);
size_t call_order_waiting(const struct call_order *order);

/* Where the next call is to be written; call_order_put() then takes it in. There
 * must be room. */
struct analyst_call *call_order_slot(struct call_order *order);
void call_order_put(struct call_order *order);

/* The call that began first, if it began before `before_ms`; NULL if none did.
 * All that were taken live until the next call of call_order_slot(). Calls of one
 * millisecond keep their order. */
struct analyst_call *call_order_take(struct call_order *order, int64_t before_ms);

#endif
