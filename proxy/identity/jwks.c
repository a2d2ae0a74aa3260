#include "proxy/identity/jwks.h"

#include <stdlib.h>

enum { BUDGET = 16 * 1024 * 1024 };

struct jwks {
    unsigned references; /* atomic */
    size_t count;
    struct jwk *keys[JWKS_KEYS_MAX];
};

static bool same_member(const struct json_node *a, const struct json_node *b,
                        struct span name)
{
    return span_equal(json_string(json_member(a, name)),
                      json_string(json_member(b, name)));
}

/* Is there another key that a token could mean by the same words? */
static bool is_ambiguous(const struct json_node *array, const struct json_node *key)
{
    for (const struct json_node *other = array->first; other != NULL;
         other = other->next) {
        if (other != key && json_member(key, SPAN("kid")) != NULL &&
            same_member(key, other, SPAN("kid")) &&
            same_member(key, other, SPAN("kty")) &&
            same_member(key, other, SPAN("alg"))) {
            return true;
        }
    }
    return false;
}

static bool keys_read(struct jwks *jwks, const struct json_node *array,
                      const char *rsa_algorithm)
{
    if (array == NULL || array->kind != JSON_ARRAY) {
        return false;
    }
    for (const struct json_node *node = array->first; node != NULL; node = node->next) {
        struct jwk *jwk =
            is_ambiguous(array, node) ? NULL : jwk_read(node, rsa_algorithm);

        if (jwk != NULL && jwks->count == JWKS_KEYS_MAX) {
            jwk_free(jwk);
            return false;
        }
        if (jwk != NULL) {
            jwks->keys[jwks->count++] = jwk;
        }
    }
    return true;
}

static size_t secret_count(const struct jwks *jwks)
{
    size_t count = 0;

    for (size_t i = 0; i < jwks->count; i++) {
        count += jwk_is_secret(jwks->keys[i]);
    }
    return count;
}

static const char *fill(struct jwks *jwks, struct span text, const char *rsa_algorithm,
                        bool secrets)
{
    struct arena_pool pool;
    struct arena arena;
    const struct json_node *root;
    bool read;

    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, BUDGET);
    root = json_tree_read(text, &arena);
    read = keys_read(jwks, json_member(root, SPAN("keys")), rsa_algorithm);
    arena_done(&arena);
    arena_pool_done(&pool);
    if (!read) {
        return "is not a JSON Web Key Set";
    }
    if (jwks->count == 0) {
        return "holds no key that a signature could be verified with";
    }
    if (secret_count(jwks) > 0 && !secrets) {
        return "holds a shared secret, which only a file may";
    }
    return secret_count(jwks) % jwks->count != 0
               ? "mixes shared secrets with public keys"
               : NULL;
}

struct jwks *jwks_read(struct span text, const char *rsa_algorithm, bool secrets,
                       const char **why)
{
    struct jwks *jwks = calloc(1, sizeof *jwks);

    *why = jwks == NULL ? "does not fit into memory"
                        : fill(jwks_ref(jwks), text, rsa_algorithm, secrets);
    return *why == NULL ? jwks : jwks_unref(jwks);
}

struct jwks *jwks_ref(struct jwks *jwks)
{
    if (jwks != NULL) {
        __atomic_add_fetch(&jwks->references, 1, __ATOMIC_RELAXED);
    }
    return jwks;
}

struct jwks *jwks_unref(struct jwks *jwks)
{
    if (jwks != NULL &&
        __atomic_sub_fetch(&jwks->references, 1, __ATOMIC_ACQ_REL) == 0) {
        for (size_t i = 0; i < jwks->count; i++) {
            jwk_free(jwks->keys[i]);
        }
        free(jwks);
    }
    return NULL;
}

size_t jwks_count(const struct jwks *jwks)
{
    return jwks->count;
}

bool jwks_has_secret(const struct jwks *jwks)
{
    return secret_count(jwks) > 0;
}

const struct jwk *jwks_find(const struct jwks *jwks, struct span id,
                            struct span algorithm)
{
    const struct jwk *found = NULL;

    for (size_t i = 0; i < jwks->count; i++) {
        const struct jwk *jwk = jwks->keys[i];

        if ((id.len == 0 || span_equal(jwk_id(jwk), id)) &&
            span_equal(jwk_algorithm(jwk), algorithm)) {
            if (found != NULL) {
                return NULL;
            }
            found = jwk;
        }
    }
    return found;
}

bool jwks_knows(const struct jwks *jwks, struct span id)
{
    for (size_t i = 0; i < jwks->count; i++) {
        if (span_equal(jwk_id(jwks->keys[i]), id)) {
            return true;
        }
    }
    return false;
}
