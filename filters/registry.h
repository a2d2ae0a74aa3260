/* Which dialect a request speaks. */
#ifndef ASSAY_FILTERS_REGISTRY_H
#define ASSAY_FILTERS_REGISTRY_H

#include "filters/dialect.h"

/* The first dialect of one of the families (NULL at the end) that claims this canonical
 * path; *route is the row that matched. NULL if none does. */
const struct dialect *registry_claim(const char *const *wanted, enum method method,
                                     struct span path,
                                     const struct dialect_route **route);

/* The words that a provider's `dialects` may hold, NULL at the end. */
const char *const *registry_families(void);

/* The first dialect of a family: its error shape and credential field serve for paths
 * that no dialect of the family claims. NULL for an unknown family. */
const struct dialect *registry_family_dialect(const char *family);

/* The header in which a provider of these families wants its credential, for a call of
 * this dialect: that of the first family that speaks it, else of the first family. */
struct dialect_family registry_credential(const char *const *wanted,
                                          const struct dialect *dialect);

/* The dialect of paths that nobody claims, and a route of it that counts nothing. */
const struct dialect *registry_unknown(const struct dialect_route **route);

/* The same with the route for such a path that is relayed all the same. */
const struct dialect *registry_unclaimed(enum method method, struct span path,
                                         const struct dialect_route **route);

/* A dialect's paths, compiled: NULL where there is nothing to scan. Compiled at the
 * dialect's first call from any thread, and for good. */
struct dialect_plans {
    struct scan_plan *request;
    struct scan_plan *response;
    /* the same with what the turn gate reads; NULL where no turn can be in a call */
    struct scan_plan *request_turns;
    struct scan_plan *response_turns;
};
const struct dialect_plans *registry_plans(const struct dialect *dialect);

#endif
