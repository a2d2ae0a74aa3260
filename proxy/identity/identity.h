/* Who is calling: verified, or not at all. What tools say of themselves are claims; they
 * live in filters/facts.h and never become a caller. */
#ifndef ASSAY_IDENTITY_IDENTITY_H
#define ASSAY_IDENTITY_IDENTITY_H

#include "proxy/base/fault.h"
#include "proxy/http/head.h"
#include "proxy/identity/virtual_key.h"

struct caller {
    const char *team; /* borrowed from the key table that verified it */
    const char *name;
    const char *key_id;         /* public id of the credential */
    enum field_name credential; /* the field that carried it */
};

/* Finds the one credential in the head (Authorization: Bearer, x-api-key, api-key,
 * x-goog-api-key, x-assay-key), verifies it against `keys` at `now_unix_ns` and names the
 * caller. None: FAULT_NO_CREDENTIAL; two or more: FAULT_MANY_CREDENTIALS; unknown,
 * expired or revoked: FAULT_BAD_CREDENTIAL.
 *
 * An Authorization of AWS's signature scheme counts with its access key id as the key, and
 * beside x-assay-key not at all: SDKs of AWS always send one.
 *
 * With `passthrough` the provider's own credential stays in its field and the virtual key
 * must come as x-assay-key: then x-assay-key and at most one other field may be present. */
enum fault identity_verify(const struct head *head, const struct key_table *keys,
                           bool passthrough, uint64_t now_unix_ns,
                           struct caller *caller) MUST_CHECK;

#endif
