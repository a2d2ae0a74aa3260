/* Which dialect a request speaks. */
#ifndef ASSAY_FILTERS_REGISTRY_H
#define ASSAY_FILTERS_REGISTRY_H

#include "filters/dialect.h"

/* The first dialect of one of the families (NULL at the end) that claims this canonical
 * path; *route is the row that matched. NULL if none does. */
const struct dialect *registry_claim(const char *const *families, enum method method,
                                     struct span path,
                                     const struct dialect_route **route);

/* Is there a dialect of this family? For the configuration's check. */
bool registry_family(struct span family);

/* The first dialect of a family: its error shape and credential field serve for paths that
 * no dialect of the family claims. NULL for an unknown family. */
const struct dialect *registry_family_dialect(const char *family);

/* The dialect of paths that nobody claims, and its only route. */
const struct dialect *registry_unknown(const struct dialect_route **route);

/* A dialect's paths, compiled: NULL where there is nothing to scan. Compiled at the first
 * call from any thread, for all dialects and for good. */
struct dialect_plans {
    const struct scan_plan *request;
    const struct scan_plan *response;
};
const struct dialect_plans *registry_plans(const struct dialect *dialect);

#endif
