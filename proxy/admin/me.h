/* Who asks what is said of himself: by the same credentials as on the data path. */
#ifndef ASSAY_ADMIN_ME_H
#define ASSAY_ADMIN_ME_H

#include "config/config.h"
#include "proxy/identity/identity.h"

struct evhttp_request;

/* Verifies evidence of a request to the admin port; see service_verify(). */
typedef enum fault me_verifier(void *self, struct evidence *evidence,
                               struct known_caller *caller);

/* Gathers what the request has, a client certificate's name by `names` included. */
enum fault me_verify(struct evhttp_request *request, const struct config_words *names,
                     me_verifier *verify, void *self,
                     struct known_caller *caller) MUST_CHECK;

#endif
