/* Where a request goes: one canonical route, made once from method and path. Identity,
 * metering, forwarding and logs read only this. The Host field plays no part. */
#ifndef ASSAY_ENGINE_ROUTE_H
#define ASSAY_ENGINE_ROUTE_H

#include "filters/dialect.h"
#include "proxy/engine/upstream.h"
#include "proxy/engine/worker.h"

struct route {
    struct origin *origin;         /* NULL: no provider serves this path */
    const struct dialect *dialect; /* never NULL: shapes the refusal also without one */
    const struct dialect_route *row;
    struct span target; /* raw; what goes upstream behind the provider's base path */
    bool events;        /* alt=sse stands in the query */
};

/* Finds the route of a request:
 *   /NAME/...   the provider of that name; the rest is its native path, whose leading
 *               slashes count as one
 *   other       the default provider whose dialects claim the path, else the first default
 *               provider that relays unknown paths
 * Faults: those of the target, FAULT_NO_ROUTE, FAULT_UNKNOWN_PATH. The route is filled as
 * far as it is known also with a fault. */
enum fault route_find(struct view *view, const struct head *head,
                      struct route *route) MUST_CHECK;

#endif
