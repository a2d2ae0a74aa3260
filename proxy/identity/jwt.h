/* Signed tokens in compact form (RFC 7515, 7519), read as RFC 8725 advises. */
#ifndef ASSAY_IDENTITY_JWT_H
#define ASSAY_IDENTITY_JWT_H

#include "proxy/identity/jwks.h"

enum { JWT_BYTES_MAX = 16 * 1024, JWT_ARENA_BYTES = 512 * 1024 };

enum jwt_verdict {
    JWT_GOOD,
    JWT_MALFORMED,     /* no token, or one that may not be used */
    JWT_UNKNOWN_KEY,   /* its key is not in the set: a newer set may have it */
    JWT_BAD_SIGNATURE, /* also: another algorithm than the key's */
    JWT_NOT_YET,       /* not before or issued at lie ahead */
    JWT_EXPIRED,       /* or without an expiry */
    JWT_OTHER_AUDIENCE,
    JWT_OTHER_ISSUER
};

/* A token taken apart. Nothing in it is verified yet. */
struct jwt {
    struct span signed_text; /* header and payload, as they were signed */
    struct span signature;
    struct span payload;
    const struct json_node *header;
};

/* Has it the three parts of a token? Cheap, and no promise. */
bool jwt_looks_like(struct span text);

/* Everything is taken from the arena, which has JWT_ARENA_BYTES. JWT_GOOD or
 * JWT_MALFORMED: parts, base64url or header JSON that is not strict, "crit", keys in
 * the header ("jwk", "jku", "x5u"), a "typ" of another kind of token, "kid" or "alg"
 * that are no strings. */
enum jwt_verdict jwt_take_apart(struct span text, struct arena *arena, struct jwt *jwt);

/* Whether a key of the set signed it, with that key's own algorithm. */
enum jwt_verdict jwt_verify(const struct jwt *jwt, const struct jwks *jwks);

/* What the claims of a token have to fit. */
struct jwt_rules {
    const char *issuer;
    const char *const *audience; /* one of these; NULL at the end */
    int64_t now, leeway;         /* seconds */
};

/* Whether these claims hold here and now; *expires gets "exp", Unix seconds. `iss` and
 * `aud` are compared byte by byte; "exp" is required. */
enum jwt_verdict jwt_judge(const struct json_node *claims,
                           const struct jwt_rules *rules, int64_t *expires);

#endif
