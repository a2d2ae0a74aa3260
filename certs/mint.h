/* A development CA and the leaf certificates it signs: for `assay certs`,
 * quickstart and tests. ECDSA P-256. Not for production: the CA's key lies
 * beside its certificate. */
#ifndef ASSAY_CERTS_MINT_H
#define ASSAY_CERTS_MINT_H

#include "proxy/base/error.h"

#include <stdint.h>

/* Writes ca.pem and ca.key (0600) into `directory`, unless both are there already. */
bool mint_ca(const char *directory, const char *common_name, unsigned days,
             struct error *error);

/* What a leaf is like; tests also mint bad ones. */
struct mint_leaf {
    const char *const *names; /* DNS names and IP addresses, NULL at the end */
    const char *spiffe;       /* URI SAN; NULL: none */
    int64_t not_before;       /* Unix seconds; 0: now */
    unsigned days;            /* of validity */
    bool client;              /* for client authentication instead of server's */
};

/* Signs a leaf with the CA in `directory`: writes `directory`/NAME.pem (leaf and CA)
 * and `directory`/NAME.key (0600), NAME being `file`. */
bool mint_leaf(const char *directory, const char *file, const struct mint_leaf *leaf,
               struct error *error);

#endif
