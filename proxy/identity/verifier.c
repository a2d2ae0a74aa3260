#include "proxy/identity/verifier.h"

#include "proxy/identity/jwt.h"

#include <openssl/crypto.h>

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum {
    SETS = 512,
    WAYS = 4,
    REMEMBERED_MAX =
        4 * 1024, /* bytes of a token; longer ones are verified each time */
    IDLE_BLOCKS = 2
};

struct remembered {
    uint64_t hash;
    char *token; /* NULL: empty */
    size_t len;
    int64_t expires;
    struct known_caller caller;
};

struct verifier {
    uint64_t seed;         /* of the hash, so that nobody can aim at a place */
    uint64_t trust_number; /* that the tokens were verified under */
    struct remembered (*sets)[WAYS]; /* NULL until the first token */
    unsigned char turn[SETS];        /* which way is replaced next */
    struct known_caller newest;      /* who is not remembered */
    struct arena_pool pool;
};

struct verifier *verifier_new(void)
{
    struct verifier *verifier = calloc(1, sizeof *verifier);

    if (verifier == NULL || getrandom(&verifier->seed, sizeof verifier->seed, 0) !=
                                (ssize_t)sizeof verifier->seed) {
        free(verifier);
        return NULL;
    }
    arena_pool_init(&verifier->pool, IDLE_BLOCKS);
    return verifier;
}

static void wipe(struct remembered *place)
{
    if (place->token != NULL) {
        OPENSSL_cleanse(place->token, place->len);
        free(place->token);
        place->token = NULL;
    }
}

static void wipe_all(struct verifier *verifier)
{
    for (size_t set = 0; verifier->sets != NULL && set < SETS; set++) {
        for (size_t way = 0; way < WAYS; way++) {
            wipe(&verifier->sets[set][way]);
        }
    }
}

struct verifier *verifier_free(struct verifier *verifier)
{
    if (verifier != NULL) {
        wipe_all(verifier);
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
        wipe_all(verifier);
    }
    verifier->trust_number = trust->number;
    return verifier->sets != NULL;
}

static const struct known_caller *recall(const struct verifier *verifier, uint64_t hash,
                                         struct span token, int64_t now)
{
    const struct remembered *set = verifier->sets[hash % SETS];

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].token != NULL && set[i].hash == hash && now < set[i].expires &&
            span_equal(span_of(set[i].token, set[i].len), token)) {
            return &set[i].caller;
        }
    }
    return NULL;
}

/* Best effort: without memory, or for a long token, the next call verifies it again. */
static void remember(struct verifier *verifier, uint64_t hash, struct span token,
                     int64_t expires)
{
    unsigned char *turn = &verifier->turn[hash % SETS];
    struct remembered *place = &verifier->sets[hash % SETS][*turn % WAYS];
    char *copy = token.len > REMEMBERED_MAX ? NULL : malloc(token.len);

    if (copy != NULL) {
        memcpy(copy, token.at, token.len);
        wipe(place);
        *place =
            (struct remembered){ hash, copy, token.len, expires, verifier->newest };
        (*turn)++;
    }
}

enum fault verifier_token(struct verifier *verifier, struct span token,
                          const struct trust *trust, int64_t now,
                          const struct known_caller **caller)
{
    struct arena arena;
    int64_t expires;
    uint64_t hash;
    enum fault fault;

    if (token.len > JWT_BYTES_MAX || !jwt_looks_like(token)) {
        return FAULT_BAD_CREDENTIAL;
    }
    if (!forget(verifier, trust)) {
        return FAULT_NO_MEMORY;
    }
    hash = XXH3_64bits_withSeed(token.at, token.len, verifier->seed);
    *caller = recall(verifier, hash, token, now);
    if (*caller != NULL) {
        return FAULT_NONE;
    }
    arena_init(&arena, &verifier->pool, JWT_ARENA_BYTES);
    fault = token_verify(token, trust, now, &arena, &verifier->newest, &expires);
    arena_done(&arena);
    if (fault == FAULT_NONE) {
        remember(verifier, hash, token, expires);
        *caller = &verifier->newest;
    }
    return fault;
}

enum fault verifier_subject(struct verifier *verifier, const struct subject *subject,
                            const struct trust *trust,
                            const struct known_caller **caller)
{
    *caller = &verifier->newest;
    return subject_resolve(subject, trust->directory, &verifier->newest);
}
