/* One worker's memory of keys and tokens that it verified, so that a caller's next call
 * costs a hash and a comparison. What is remembered is the whole credential, byte by
 * byte, after it was found good, and only until it expires; it is wiped when it makes
 * room. */
#ifndef ASSAY_IDENTITY_VERIFIER_H
#define ASSAY_IDENTITY_VERIFIER_H

#include "proxy/identity/token.h"

struct verifier;

/* NULL without memory. */
struct verifier *verifier_new(void);
struct verifier *verifier_free(struct verifier *verifier);

/* As key_table_find(), with the directory's word on the caller, or FAULT_BAD_CREDENTIAL.
 * *caller is the verifier's own and good until its next call. What was remembered under
 * another trust is forgotten. */
enum fault verifier_key(struct verifier *verifier, struct span key,
                        const struct trust *trust, int64_t now,
                        const struct known_caller **caller) MUST_CHECK;

/* As token_verify(), on the same terms. */
enum fault verifier_token(struct verifier *verifier, struct span token,
                          const struct trust *trust, int64_t now,
                          const struct known_caller **caller) MUST_CHECK;

/* As subject_resolve(), on the same terms. */
enum fault verifier_subject(struct verifier *verifier, const struct subject *subject,
                            const struct trust *trust,
                            const struct known_caller **caller) MUST_CHECK;

#endif
