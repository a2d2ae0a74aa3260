/* From a signed token to its caller: the issuer's keys, its claims,
 * and the directory. */
#ifndef ASSAY_IDENTITY_TOKEN_H
#define ASSAY_IDENTITY_TOKEN_H

#include "proxy/identity/subject.h"
#include "proxy/identity/trust.h"

/* Verifies a token of one of the issuers. *expires gets the Unix second from which on
 * it is no longer good, the leeway included. `arena` has JWT_ARENA_BYTES.
 *
 * FAULT_TOKEN_EXPIRED, FAULT_TOKEN_AUDIENCE, FAULT_BAD_CREDENTIAL (anything else that
 * is wrong with it), FAULT_UNKNOWN_MEMBER; FAULT_KEYS_PENDING while keys that it may be
 * signed with are being fetched. */
enum fault token_verify(struct span token, const struct trust *trust, int64_t now,
                        struct arena *arena, struct known_caller *caller,
                        int64_t *expires) MUST_CHECK;

#endif
