/* Rules across the fields of quotas and permits. */
#ifndef ASSAY_CONFIG_QUOTA_RULE_H
#define ASSAY_CONFIG_QUOTA_RULE_H

#include "config/config.h"
#include "config/validate.h"

/* Adds every broken rule about quotas. */
void quota_rules_validate(const struct config *config,
                          const struct validation *validation);

/* The same about permits. */
void permit_rules_validate(const struct config *config,
                           const struct validation *validation);

#endif
