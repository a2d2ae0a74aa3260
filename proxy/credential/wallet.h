/* The credentials in force, immutable and counted: one set for all workers. A new set
 * takes its place when one of them was renewed. */
#ifndef ASSAY_CREDENTIAL_WALLET_H
#define ASSAY_CREDENTIAL_WALLET_H

#include "proxy/credential/credential.h"

struct wallet;

/* An empty one with room for `limit` credentials. */
struct wallet *wallet_new(size_t limit);

/* While nobody else has it. The origin is copied, the credential's
 * reference taken over. */
void wallet_put(struct wallet *wallet, const struct credential_origin *origin,
                struct credential *credential);

struct wallet *wallet_ref(struct wallet *wallet);
/* Takes NULL; returns NULL. */
struct wallet *wallet_unref(struct wallet *wallet);

/* What to show to this provider; NULL if there is nothing (yet). `wallet`
 * may be NULL. */
const struct credential *wallet_find(const struct wallet *wallet,
                                     const struct config_provider *provider);

#endif
