/* What quotas of a configuration mean for each other, and their rules across fields. */
#ifndef ASSAY_CONFIG_QUOTA_RULE_H
#define ASSAY_CONFIG_QUOTA_RULE_H

#include "config/config.h"
#include "config/validate.h"

/* Does a model fit a pattern, in which * stands for any characters? Letters compare
 * without regard to case. */
bool quota_rule_fits_model(struct span pattern, struct span model);

/* Can one call count in both? Says yes where two patterns of models may have a common
 * name. */
bool quota_rules_meet(const struct config_quota *one, const struct config_quota *other);

/* Adds every broken rule about quotas. */
void quota_rules_validate(const struct config *config,
                          const struct validation *validation);

#endif
