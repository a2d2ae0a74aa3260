/* One key of a JSON Web Key Set (RFC 7517), for verifying signatures (RFC 7518, 8037).
 * The key fixes the algorithm: by its "alg", by its curve, or by what the operator says
 * for RSA keys that name none. What a token claims has to be the same. */
#ifndef ASSAY_IDENTITY_JWK_H
#define ASSAY_IDENTITY_JWK_H

#include "proxy/base/check.h"
#include "proxy/identity/json_tree.h"

struct jwk;

/* NULL for a key that signatures cannot be verified with: of another use, of an unknown
 * type or algorithm, or unsound (RSA below 2,048 or above 8,192 bits, an even exponent
 * or one below 3, moduli of the ROCA kind; points off their curve; secrets shorter than
 * their digest). `rsa_algorithm` is that of RSA keys without "alg": "RS256". */
struct jwk *jwk_read(const struct json_node *object, const char *rsa_algorithm);
struct jwk *jwk_free(struct jwk *jwk);

struct span jwk_id(const struct jwk *jwk); /* "kid"; empty: it has none */
struct span jwk_algorithm(const struct jwk *jwk);
bool jwk_is_secret(const struct jwk *jwk); /* a shared secret: HS256 and the like */

/* Does the signature, as a token carries it, belong to the text? */
bool jwk_verify(const struct jwk *jwk, struct span text,
                struct span signature) MUST_CHECK;

#endif
