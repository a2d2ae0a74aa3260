/* The third pass: rules across fields. */
#ifndef ASSAY_CONFIG_VALIDATE_H
#define ASSAY_CONFIG_VALIDATE_H

#include "config/config.h"

struct validation {
    const char *const *families; /* NULL: any */
    bool look_at_files;          /* named files must be readable */
    struct error *error;
};

/* Adds every broken rule. Members whose value was refused before are NULL or 0 and
 * break no further rule. */
void config_validate(const struct config *config, const struct validation *validation);

#endif
