/* What assay shows a cloud to be let in: a key that signs, or an access token. Both are
 * short-lived more often than not, so that they are values that a thread renews. */
#ifndef ASSAY_CREDENTIAL_CREDENTIAL_H
#define ASSAY_CREDENTIAL_CREDENTIAL_H

#include "config/config.h"
#include "proxy/base/check.h"
#include "proxy/base/secret.h"

enum { ACCESS_KEY_ID_SIZE = 129 };

/* Immutable and counted. */
struct credential {
    unsigned references;                    /* atomic */
    char access_key_id[ACCESS_KEY_ID_SIZE]; /* CREDENTIAL_AWS */
    struct secret *secret;  /* the secret access key; or the access token */
    struct secret *session; /* CREDENTIAL_AWS: the session token; NULL: none */
    uint64_t expires_s;     /* Unix; 0: never */
};

/* Copies. An empty session is none. NULL if the id is too long or there
 * is no memory. */
struct credential *credential_new(struct span access_key_id, struct span secret,
                                  struct span session, uint64_t expires_s);
struct credential *credential_ref(struct credential *credential);
/* Takes NULL; returns NULL. The last one wipes it. */
struct credential *credential_unref(struct credential *credential);

/* Where a credential comes from: what a provider's configuration says of it. Providers
 * that say the same share one. */
struct credential_origin {
    enum config_credential kind; /* CREDENTIAL_AWS or CREDENTIAL_GOOGLE */
    enum config_aws_source source;
    const char *file, *profile, *scope; /* NULL: not named */
};

/* Borrowed from the provider. */
struct credential_origin credential_origin_of(const struct config_provider *provider);
bool credential_origin_equal(const struct credential_origin *a,
                             const struct credential_origin *b);

/* With texts of its own, for credential_origin_free(). */
struct credential_origin credential_origin_copy(const struct credential_origin *origin);
void credential_origin_free(struct credential_origin *origin);

/* Does this provider's credential change while assay runs? */
static inline bool credential_is_renewed(const struct config_provider *provider)
{
    return provider->credential == CREDENTIAL_AWS ||
           provider->credential == CREDENTIAL_GOOGLE;
}

#endif
