#include "proxy/identity/verifier.h"

#include "proxy/identity/jwt.h"
#include "proxy/identity/key_digest.h"

#include <stdlib.h>

enum { SETS = 512, WAYS = 4, IDLE_BLOCKS = 2 };

struct remembered {
    struct key_digest digest;
    int64_t expires; /* 0: empty */
    struct known_caller caller;
};

struct verifier {
    uint64_t trust_number;           /* that the tokens were verified under */
    struct remembered (*sets)[WAYS]; /* NULL until the first token */
    unsigned char turn[SETS];        /* which way is replaced next */
    struct known_caller other;       /* who did not come by a token */
    struct arena_pool pool;
};

struct verifier *verifier_new(void)
{
    struct verifier *verifier = calloc(1, sizeof *verifier);

    if (verifier != NULL) {
        arena_pool_init(&verifier->pool, IDLE_BLOCKS);
    }
    return verifier;
}

struct verifier *verifier_free(struct verifier *verifier)
{
    if (verifier != NULL) {
        arena_pool_done(&verifier->pool);
        free(verifier->sets);
        free(verifier);
    }
    return NULL;
}

static bool forget(struct verifier *verifier, const struct trust *trust)
{
    if (verifier->sets == NULL) {
        verifier->sets = calloc(SETS, sizeof verifier->sets[0]);
    } else if (verifier->trust_number != trust->number) {
        memset(verifier->sets, 0, SETS * sizeof verifier->sets[0]);
    }
    verifier->trust_number = trust->number;
    return verifier->sets != NULL;
}

static size_t set_of(const struct key_digest *digest)
{
    uint64_t hash;

    memcpy(&hash, digest->bytes, sizeof hash);
    return hash % SETS;
}

static const struct known_caller *recall(const struct verifier *verifier,
                                         const struct key_digest *digest, int64_t now)
{
    const struct remembered *set = verifier->sets[set_of(digest)];

    for (size_t i = 0; i < WAYS; i++) {
        if (now < set[i].expires && key_digest_equal(&set[i].digest, digest)) {
            return &set[i].caller;
        }
    }
    return NULL;
}

static const struct known_caller *remember(struct verifier *verifier,
                                           const struct key_digest *digest,
                                           int64_t expires,
                                           const struct known_caller *caller)
{
    size_t set = set_of(digest);
    struct remembered *place = &verifier->sets[set][verifier->turn[set]++ % WAYS];

    *place = (struct remembered){ *digest, expires, *caller };
    return &place->caller;
}

enum fault verifier_token(struct verifier *verifier, struct span token,
                          const struct trust *trust, int64_t now,
                          const struct known_caller **caller)
{
    struct known_caller verified;
    struct key_digest digest;
    struct arena arena;
    int64_t expires;
    enum fault fault;

    if (token.len > JWT_BYTES_MAX || !jwt_looks_like(token)) {
        return FAULT_BAD_CREDENTIAL;
    }
    if (!forget(verifier, trust) || !key_digest(token, &digest)) {
        return FAULT_NO_MEMORY;
    }
    *caller = recall(verifier, &digest, now);
    if (*caller != NULL) {
        return FAULT_NONE;
    }
    arena_init(&arena, &verifier->pool, JWT_ARENA_BYTES);
    fault = token_verify(token, trust, now, &arena, &verified, &expires);
    arena_done(&arena);
    if (fault == FAULT_NONE) {
        *caller = remember(verifier, &digest, expires, &verified);
    }
    return fault;
}

enum fault verifier_subject(struct verifier *verifier, const struct subject *subject,
                            const struct trust *trust,
                            const struct known_caller **caller)
{
    *caller = &verifier->other;
    return subject_resolve(subject, trust->directory, &verifier->other);
}
