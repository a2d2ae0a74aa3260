/* Which tools that a request names are the provider's own: they run there, and
 * most cost extra. */
#ifndef ASSAY_FILTERS_PAID_TOOL_H
#define ASSAY_FILTERS_PAID_TOOL_H

#include "proxy/base/span.h"

/* Every type but those known to run at the client, or to cost nothing but their tokens:
 * a type that is new is the provider's own until somebody knows better. */
bool paid_tool(struct span type);

#endif
