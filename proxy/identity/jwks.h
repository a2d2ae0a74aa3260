/* A set of keys that tokens of one issuer are signed with (RFC 7517, section 5).
 * Immutable; threads may share it. */
#ifndef ASSAY_IDENTITY_JWKS_H
#define ASSAY_IDENTITY_JWKS_H

#include "proxy/identity/jwk.h"

enum { JWKS_BYTES_MAX = 256 * 1024, JWKS_KEYS_MAX = 256 };

struct jwks;

/* Reads {"keys": [...]}. Keys that signatures cannot be verified with are passed over,
 * as sets hold keys for other uses, too; so are keys that share id, type and algorithm.
 * NULL, with words in *why, for a text that is no set, a set without one usable key,
 * one that mixes shared secrets with public keys (a public key must never be taken for
 * a secret), and secrets where `secrets` does not allow them. */
struct jwks *jwks_read(struct span text, const char *rsa_algorithm, bool secrets,
                       const char **why);
/* Counted: threads hand it on. The last one frees it; takes NULL; returns NULL. */
struct jwks *jwks_ref(struct jwks *jwks);
struct jwks *jwks_unref(struct jwks *jwks);
size_t jwks_count(const struct jwks *jwks);
bool jwks_has_secret(const struct jwks *jwks);

/* The one key of this id and algorithm; without an id, the one key of this algorithm.
 * NULL if there is none, or several. */
const struct jwk *jwks_find(const struct jwks *jwks, struct span id,
                            struct span algorithm);

/* Does any key have this id? Else a newer set may. */
bool jwks_knows(const struct jwks *jwks, struct span id);

#endif
