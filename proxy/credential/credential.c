#include "proxy/credential/credential.h"

#include <stdlib.h>

struct credential *credential_new(struct span access_key_id, struct span secret,
                                  struct span session, uint64_t expires_s)
{
    struct credential *credential = calloc(1, sizeof *credential);

    if (credential == NULL || access_key_id.len >= ACCESS_KEY_ID_SIZE) {
        free(credential);
        return NULL;
    }
    credential->references = 1;
    credential->expires_s = expires_s;
    if (access_key_id.len > 0) {
        memcpy(credential->access_key_id, access_key_id.at, access_key_id.len);
    }
    credential->secret = secret_new(secret);
    credential->session = session.len == 0 ? NULL : secret_new(session);
    if (credential->secret == NULL ||
        (session.len > 0 && credential->session == NULL)) {
        return credential_unref(credential);
    }
    return credential;
}

struct credential *credential_ref(struct credential *credential)
{
    __atomic_add_fetch(&credential->references, 1, __ATOMIC_RELAXED);
    return credential;
}

struct credential *credential_unref(struct credential *credential)
{
    if (credential != NULL &&
        __atomic_sub_fetch(&credential->references, 1, __ATOMIC_ACQ_REL) == 0) {
        secret_free(credential->secret);
        secret_free(credential->session);
        free(credential);
    }
    return NULL;
}

struct credential_origin credential_origin_of(const struct config_provider *provider)
{
    if (provider->credential == CREDENTIAL_GOOGLE) {
        return (struct credential_origin){ .kind = CREDENTIAL_GOOGLE,
                                           .file = provider->google.file,
                                           .scope = provider->google.scope };
    }
    return (struct credential_origin){ .kind = provider->credential,
                                       .source = provider->aws.source,
                                       .file = provider->aws.file,
                                       .profile = provider->aws.profile };
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool credential_origin_equal(const struct credential_origin *a,
                             const struct credential_origin *b)
{
    return a->kind == b->kind && a->source == b->source && same(a->file, b->file) &&
           same(a->profile, b->profile) && same(a->scope, b->scope);
}

static const char *copy_of(const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);

    CHECK(text == NULL || copy != NULL);
    return copy;
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

struct credential_origin credential_origin_copy(const struct credential_origin *origin)
{
    return (struct credential_origin){ .kind = origin->kind,
                                       .source = origin->source,
                                       .file = copy_of(origin->file),
                                       .profile = copy_of(origin->profile),
                                       .scope = copy_of(origin->scope) };
}

void credential_origin_free(struct credential_origin *origin)
{
    free_text(origin->file);
    free_text(origin->profile);
    free_text(origin->scope);
}
