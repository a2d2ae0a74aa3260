/* Keeps the credentials that change: fetches them on a thread of its own, renews each
 * before it expires, and keeps the last good one while that fails. */
#ifndef ASSAY_CREDENTIAL_KEEPER_H
#define ASSAY_CREDENTIAL_KEEPER_H

#include "proxy/credential/wallet.h"

enum { KEEPER_FIRST_WAIT_MS = 5000 };

/* Called on the keeper's thread. */
struct keeper_owner {
    void *self;
    void (*changed)(void *self, struct wallet *wallet); /* a reference, taken over */
    void (*failed)(void *self, const char *words);
    void (*renewed)(void *self, const char *words);
};

struct keeper;

/* Starts the thread, if the configuration names credentials that change; waits up to
 * KEEPER_FIRST_WAIT_MS until each was asked for once. */
struct keeper *keeper_new(const struct config *config,
                          const struct keeper_owner *owner);

/* Those of another configuration from now on; returns when they were asked for once, or
 * KEEPER_FIRST_WAIT_MS later, also those that it had before. Those that only the old
 * one names are in the wallet until the next call, but not renewed. */
void keeper_adopt(struct keeper *keeper, const struct config *config);

/* How many of them could not be had, or not be renewed, when last asked
 * for. Any thread. */
unsigned keeper_failing(const struct keeper *keeper);

/* Ends the thread; takes NULL; returns NULL. */
struct keeper *keeper_free(struct keeper *keeper);

#endif
