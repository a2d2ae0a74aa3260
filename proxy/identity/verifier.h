/* One worker's memory of tokens that it verified, so that a caller's next call
 * costs a hash and a comparison. What is remembered is the whole token, byte by
 * byte, after its signature was found good, and only until it expires; it is wiped
 * when it makes room. */
#ifndef ASSAY_IDENTITY_VERIFIER_H
#define ASSAY_IDENTITY_VERIFIER_H

#include "proxy/identity/token.h"

struct verifier;

/* NULL without memory. */
struct verifier *verifier_new(void);
struct verifier *verifier_free(struct verifier *verifier);

/* As token_verify(). *caller is the verifier's own and good until its next call. What
 * was remembered under another trust is forgotten. */
enum fault verifier_token(struct verifier *verifier, struct span token,
                          const struct trust *trust, int64_t now,
                          const struct known_caller **caller) MUST_CHECK;

/* As subject_resolve(), on the same terms. */
enum fault verifier_subject(struct verifier *verifier, const struct subject *subject,
                            const struct trust *trust,
                            const struct known_caller **caller) MUST_CHECK;

#endif
