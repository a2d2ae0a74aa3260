/* Keeps the keys of all issuers fresh: files when it is made, URLs by a thread that
 * fetches them off the data path. A fetch that fails changes nothing: the last good
 * keys hold, also over a restart (`state`/jwks-NAME.json). */
#ifndef ASSAY_IDENTITY_JWKS_KEEPER_H
#define ASSAY_IDENTITY_JWKS_KEEPER_H

#include "config/config.h"
#include "proxy/identity/jwks.h"

/* Two fetches of one issuer's keys are at least so far apart, whoever asks for them. */
enum { JWKS_FETCH_PAUSE_S = 10 };

struct jwks_keeper;

/* `old` (may be NULL) hands on the keys of issuers that stay. The configuration
 * outlives the thread. NULL and entries in *error for a file that is no key set. */
struct jwks_keeper *jwks_keeper_new(const struct config *config,
                                    struct jwks_keeper *old, struct error *error);

/* Starts the thread, if an issuer has a URL. */
bool jwks_keeper_start(struct jwks_keeper *keeper) MUST_CHECK;

/* Ends the thread, in mid-fetch if need be. Asking goes on to work. Takes NULL. */
void jwks_keeper_stop(struct jwks_keeper *keeper);

/* Counted. The last one frees it, after it was stopped; takes NULL; returns NULL. */
struct jwks_keeper *jwks_keeper_ref(struct jwks_keeper *keeper);
struct jwks_keeper *jwks_keeper_unref(struct jwks_keeper *keeper);

/* The keys of the n-th issuer, counted for the caller; NULL: none came yet. */
struct jwks *jwks_keeper_keys(struct jwks_keeper *keeper, size_t n);

/* Did any keys change since the last call? For one thread. */
bool jwks_keeper_changed(struct jwks_keeper *keeper);

/* Moves what went wrong since the last call into *error. For one thread. */
void jwks_keeper_tell(struct jwks_keeper *keeper, struct error *error);

/* A token names a key that is not in the n-th issuer's set: any thread. True while
 * newer keys are on their way, so that the call may be tried again; false if they were
 * asked for a moment ago. */
bool jwks_keeper_want(struct jwks_keeper *keeper, size_t n);

#endif
