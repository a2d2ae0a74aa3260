/* Rules across the keys that say who may call, and who may look. */
#ifndef ASSAY_CONFIG_IDENTITY_RULE_H
#define ASSAY_CONFIG_IDENTITY_RULE_H

#include "config/validate.h"

/* Adds every broken rule: listeners that take credentials they cannot verify,
 * issuers that nobody asks for, teams and tags that are not there, an admin
 * port without guard. */
void identity_rules_validate(const struct config *config,
                             const struct validation *validation);

/* Does this listener take such a credential? */
bool identity_rule_takes(const struct config_listener *listener,
                         enum config_identify identify);

#endif
