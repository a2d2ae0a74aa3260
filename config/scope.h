/* Which calls a quota or a permit is for. */
#ifndef ASSAY_CONFIG_SCOPE_H
#define ASSAY_CONFIG_SCOPE_H

#include "config/config.h"

/* Does a name fit a pattern, in which * stands for any characters? Letters compare
 * without regard to case. */
bool scope_fits_name(struct span pattern, struct span name);

/* Can one call be in both? Says yes where two patterns of models may have
 * a common name. */
bool scopes_meet(const struct config_scope *one, const struct config_scope *other);

/* Adds names that nothing has, at `place` where they have none of their own. */
void scope_validate(const struct config *config, const struct config_scope *scope,
                    struct error_place place, struct error *error);

#endif
