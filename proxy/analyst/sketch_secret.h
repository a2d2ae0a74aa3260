/* The secret behind an installation's sketches: `state`/sketch.key, 32 random bytes
 * that only the owner can read, made at the first start. Whoever replaces it starts
 * anew: nothing kept before resembles anything that comes after. */
#ifndef ASSAY_ANALYST_SKETCH_SECRET_H
#define ASSAY_ANALYST_SKETCH_SECRET_H

#include "config/config.h"
#include "filters/turn/sketch_key.h"
#include "proxy/base/check.h"
#include "proxy/base/error.h"

/* Where `detection.secret` is set, that one counts. false and an entry in *error on
 * failure. */
bool sketch_secret_load(const struct config *config, struct sketch_key *key,
                        struct error *error) MUST_CHECK;

#endif
