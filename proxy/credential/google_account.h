/* Google's service accounts: a key of their own signs a claim, which its token service
 * exchanges for an access token (RFC 7523). */
#ifndef ASSAY_CREDENTIAL_GOOGLE_ACCOUNT_H
#define ASSAY_CREDENTIAL_GOOGLE_ACCOUNT_H

#include "proxy/base/error.h"
#include "proxy/credential/credential.h"

struct google_account;

/* Reads a key file, as Google's console makes it: {"type": "service_account",
 * "client_email", "private_key", "private_key_id", "token_uri"}. NULL and an entry in
 * *error if it is none. */
struct google_account *google_account_read(const char *path, struct error *error);
struct google_account *google_account_free(struct google_account *account);

/* Where its tokens are to be had. */
const char *google_account_token_uri(const struct google_account *account);

/* The form to post there, valid for an hour from `now_s` on: malloced, for free(). NULL
 * without memory. */
char *google_account_form(const struct google_account *account, const char *scope,
                          uint64_t now_s);

/* The answer of a token service: {"access_token", "expires_in"}. NULL if it is none. */
struct credential *google_token_of_json(struct span json, uint64_t now_s);

#endif
