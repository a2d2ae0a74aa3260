#include "proxy/credential/wallet.h"

#include <stdlib.h>

struct pocket {
    struct credential_origin origin; /* owned copies */
    struct credential *credential;
};

struct wallet {
    unsigned references; /* atomic */
    size_t count, limit;
    struct pocket pockets[];
};

struct wallet *wallet_new(size_t limit)
{
    struct wallet *wallet = calloc(1, sizeof *wallet + limit * sizeof(struct pocket));

    CHECK(wallet != NULL);
    wallet->references = 1;
    wallet->limit = limit;
    return wallet;
}

void wallet_put(struct wallet *wallet, const struct credential_origin *origin,
                struct credential *credential)
{
    struct pocket *pocket = &wallet->pockets[wallet->count];

    CHECK(wallet->count < wallet->limit);
    pocket->origin = credential_origin_copy(origin);
    pocket->credential = credential;
    wallet->count++;
}

struct wallet *wallet_ref(struct wallet *wallet)
{
    __atomic_add_fetch(&wallet->references, 1, __ATOMIC_RELAXED);
    return wallet;
}

struct wallet *wallet_unref(struct wallet *wallet)
{
    if (wallet == NULL ||
        __atomic_sub_fetch(&wallet->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return NULL;
    }
    for (size_t i = 0; i < wallet->count; i++) {
        credential_origin_free(&wallet->pockets[i].origin);
        credential_unref(wallet->pockets[i].credential);
    }
    free(wallet);
    return NULL;
}

const struct credential *wallet_find(const struct wallet *wallet,
                                     const struct config_provider *provider)
{
    struct credential_origin origin = credential_origin_of(provider);

    for (size_t i = 0; wallet != NULL && i < wallet->count; i++) {
        if (credential_origin_equal(&wallet->pockets[i].origin, &origin)) {
            return wallet->pockets[i].credential;
        }
    }
    return NULL;
}
