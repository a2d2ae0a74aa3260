/* What callers are verified with: keys, issuers, the directory. Immutable and counted;
 * threads share it. */
#ifndef ASSAY_IDENTITY_TRUST_H
#define ASSAY_IDENTITY_TRUST_H

#include "proxy/identity/directory.h"
#include "proxy/identity/installation_key.h"
#include "proxy/identity/jwks_keeper.h"
#include "proxy/identity/virtual_key.h"

struct trust {
    unsigned references; /* atomic */
    uint64_t number;     /* no other trust of the process has it */
    struct key_table *keys;
    struct directory *directory;
    const struct config_issuer *issuers; /* of the configuration, which outlives it */
    struct jwks **issuer_keys;           /* NULL: none came yet */
    size_t issuer_count;
    struct jwks_keeper *keeper;
    struct installation_key tag_key; /* where a provider is told who calls */
};

/* Reads keys and members as they are now, and takes the keeper's newest keys. NULL and
 * entries in *error on failure. */
struct trust *trust_new(const struct config *config, struct jwks_keeper *keeper,
                        struct error *error);
struct trust *trust_ref(struct trust *trust);
/* Takes NULL; returns NULL. The last one frees it. */
struct trust *trust_unref(struct trust *trust);

#endif
