/* Which calls a scope of the configuration takes in, by their entries. */
#ifndef ASSAY_METER_CALL_SCOPE_H
#define ASSAY_METER_CALL_SCOPE_H

#include "config/config.h"
#include "proxy/meter/entry.h"

/* As far as the head of a request tells: who, which grade, which provider. */
bool call_scope_fits_sender(const struct config_scope *scope, const struct entry *call);

/* All of it: also the model, and what the tool says of itself. */
bool call_scope_fits(const struct config_scope *scope, const struct entry *call);

#endif
