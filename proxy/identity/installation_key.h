/* Secrets of an installation: `state`/NAME.key, 32 random bytes that only the owner can
 * read, made when they are first needed. Whoever replaces one starts anew. */
#ifndef ASSAY_IDENTITY_INSTALLATION_KEY_H
#define ASSAY_IDENTITY_INSTALLATION_KEY_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"

enum { INSTALLATION_KEY_SIZE = 32 };

struct installation_key {
    unsigned char bytes[INSTALLATION_KEY_SIZE];
};

/* false and an entry in *error on failure. */
bool installation_key_load(const char *state, const char *name,
                           struct installation_key *key,
                           struct error *error) MUST_CHECK;

#endif
