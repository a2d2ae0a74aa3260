/* Tokens of arbitrary bytes: none is found good, for nobody here can sign one. The same
 * bytes as a header, as claims and as a key set: whatever is read stays within its
 * bounds, and JSON that is taken has no member twice.
 *
 * Input: a byte for how the rest is read, then the text. */
#include "proxy/identity/jwt.h"

#include <stdlib.h>

enum reading { AS_TOKEN, AS_JSON, AS_KEYS, AS_PAYLOAD, READINGS };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The public key of RFC 8037, appendix A.2, and the EC key of RFC
 * 7515, appendix A.3. */
static const char keys_text[] =
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"e\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"p\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void check_members(const struct json_node *node)
{
    if (node->kind != JSON_OBJECT && node->kind != JSON_ARRAY) {
        return;
    }
    for (const struct json_node *at = node->first; at != NULL; at = at->next) {
        CHECK(node->kind != JSON_OBJECT || json_member(node, at->key) == at);
        CHECK(memchr(at->text.at == NULL ? "" : at->text.at, '\0', at->text.len) ==
              NULL);
        check_members(at);
    }
}

static void read_token(struct span text, struct arena *arena)
{
    static struct jwks *keys;
    const char *why;
    struct jwt jwt;

    if (keys == NULL) {
        keys = jwks_read(span_text(keys_text), "RS256", false, &why);
        CHECK(keys != NULL && jwks_count(keys) == 2);
    }
    if (jwt_take_apart(text, arena, &jwt) == JWT_GOOD) {
        CHECK(jwt_looks_like(text) && text.len <= JWT_BYTES_MAX);
        CHECK(jwt_verify(&jwt, keys) != JWT_GOOD);
    }
}

static void read_claims(struct span text, struct arena *arena)
{
    static const char *const audience[] = { "a", NULL };
    const struct jwt_rules rules = { "i", audience, 1000, 10 };
    int64_t expires = 0;

    if (jwt_judge(json_tree_read(text, arena), &rules, &expires) == JWT_GOOD) {
        CHECK(expires + rules.leeway > rules.now);
    }
}

static void read_keys(struct span text)
{
    const char *why;
    struct jwks *keys = jwks_read(text, "PS256", true, &why);

    CHECK((keys == NULL) == (why != NULL));
    CHECK(keys == NULL || jwks_count(keys) > 0);
    jwks_unref(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span text = span_of((const char *)bytes, size);
    const struct json_node *tree;
    struct arena_pool pool;
    struct arena arena;

    if (size == 0) {
        return 0;
    }
    text = span_after(text, 1);
    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, JWT_ARENA_BYTES);
    switch ((enum reading)(bytes[0] % READINGS)) {
    case AS_TOKEN:
        read_token(text, &arena);
        break;
    case AS_JSON:
        tree = json_tree_read(text, &arena);
        if (tree != NULL) {
            check_members(tree);
        }
        break;
    case AS_KEYS:
        read_keys(text);
        break;
    case AS_PAYLOAD:
        read_claims(text, &arena);
        break;
    case READINGS:
        break;
    }
    arena_done(&arena);
    arena_pool_done(&pool);
    return 0;
}
