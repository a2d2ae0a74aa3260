#include "proxy/identity/verifier.h"

#include "proxy/base/text.h"
#include "proxy/base/wipe.h"
#include "proxy/identity/jwt.h"

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum {
    SETS = 512,
    WAYS = 4,
    REMEMBERED_MAX = 4 * 1024, /* bytes; longer credentials are verified each time */
    IDLE_BLOCKS = 2
};

struct remembered {
    uint64_t hash;
    int64_t expires;
    struct known_caller caller;
    size_t len;
    char credential[];
};

struct verifier {
    uint64_t seed;         /* of the hash, so that nobody can aim at a place */
    uint64_t trust_number; /* that they were verified under */
    struct remembered *sets[SETS][WAYS];
    unsigned char turn[SETS];   /* which way is replaced next */
    struct known_caller newest; /* who is not remembered */
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

static void wipe_all(struct verifier *verifier)
{
    for (size_t set = 0; set < SETS; set++) {
        for (size_t way = 0; way < WAYS; way++) {
            wipe_free(verifier->sets[set][way]);
            verifier->sets[set][way] = NULL;
        }
    }
}

struct verifier *verifier_free(struct verifier *verifier)
{
    if (verifier != NULL) {
        wipe_all(verifier);
        arena_pool_done(&verifier->pool);
        free(verifier);
    }
    return NULL;
}

static void forget(struct verifier *verifier, const struct trust *trust)
{
    if (verifier->trust_number != trust->number) {
        wipe_all(verifier);
        verifier->trust_number = trust->number;
    }
}

static uint64_t hash_of(const struct verifier *verifier, struct span credential)
{
    return XXH3_64bits_withSeed(credential.at, credential.len, verifier->seed);
}

static const struct known_caller *recall(const struct verifier *verifier, uint64_t hash,
                                         struct span credential, int64_t now)
{
    for (size_t way = 0; way < WAYS; way++) {
        const struct remembered *one = verifier->sets[hash % SETS][way];

        if (one != NULL && one->hash == hash && now < one->expires &&
            span_equal(span_of(one->credential, one->len), credential)) {
            return &one->caller;
        }
    }
    return NULL;
}

/* Best effort: without memory, or for a long one, the next call verifies it again. */
static void remember(struct verifier *verifier, uint64_t hash, struct span credential,
                     int64_t expires)
{
    unsigned char *turn = &verifier->turn[hash % SETS];
    struct remembered **place = &verifier->sets[hash % SETS][*turn % WAYS];
    struct remembered *one =
        credential.len > REMEMBERED_MAX ? NULL : malloc(sizeof *one + credential.len);

    if (one != NULL) {
        *one = (struct remembered){ .hash = hash,
                                    .expires = expires,
                                    .caller = verifier->newest,
                                    .len = credential.len };
        memcpy(one->credential, credential.at, credential.len);
        wipe_free(*place);
        *place = one;
        (*turn)++;
    }
}

static void name_holder(const struct key_record *record, const struct member *member,
                        struct known_caller *caller)
{
    *caller = (struct known_caller){ .service = member != NULL && member->service };
    (void)text_store(caller->team, sizeof caller->team, span_text(record->team));
    (void)text_store(caller->name, sizeof caller->name, span_text(record->caller));
    (void)text_store(caller->key_id, sizeof caller->key_id, span_text(record->id));
    (void)text_store(caller->tags, sizeof caller->tags,
                     span_text(member == NULL ? "" : member->tags));
}

enum fault verifier_key(struct verifier *verifier, struct span key,
                        const struct trust *trust, int64_t now,
                        const struct known_caller **caller)
{
    const struct key_record *record;
    uint64_t hash;

    /* A token that was remembered for another listener is no key. */
    if (jwt_looks_like(key)) {
        return FAULT_BAD_CREDENTIAL;
    }
    forget(verifier, trust);
    hash = hash_of(verifier, key);
    *caller = recall(verifier, hash, key, now);
    if (*caller != NULL) {
        return FAULT_NONE;
    }
    record = key_table_find(trust->keys, key, now);
    if (record == NULL) {
        return FAULT_BAD_CREDENTIAL;
    }
    name_holder(record,
                directory_member(trust->directory, span_text(record->team),
                                 span_text(record->caller)),
                &verifier->newest);
    remember(verifier, hash, key, key_record_end(record));
    *caller = &verifier->newest;
    return FAULT_NONE;
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
    forget(verifier, trust);
    hash = hash_of(verifier, token);
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
    enum fault fault = subject_resolve(subject, trust->directory, &verifier->newest);

    *caller = fault == FAULT_NONE ? &verifier->newest : NULL;
    return fault;
}
