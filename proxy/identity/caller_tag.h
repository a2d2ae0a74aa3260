/* What a provider is told of a caller: always the same for the same one, different in
 * every installation, and nothing that leads back to a name without the installation's
 * secret. */
#ifndef ASSAY_IDENTITY_CALLER_TAG_H
#define ASSAY_IDENTITY_CALLER_TAG_H

#include "proxy/base/span.h"
#include "proxy/identity/installation_key.h"

enum { CALLER_TAG_SIZE = 33 }; /* 32 hex digits and a NUL */

/* HMAC-SHA-256 of the name, cut to 128 bits. False without memory. */
bool caller_tag(const struct installation_key *key, struct span caller,
                char tag[CALLER_TAG_SIZE]) MUST_CHECK;

#endif
