/* Who is calling: verified, or not at all. What tools say of themselves are claims;
 * they live in filters/facts.h and never become a caller. */
#ifndef ASSAY_IDENTITY_IDENTITY_H
#define ASSAY_IDENTITY_IDENTITY_H

#include "proxy/base/fault.h"
#include "proxy/http/head.h"
#include "proxy/identity/verifier.h"

struct caller {
    const struct known_caller *known; /* borrowed until the verifier's next call */
    enum field_name credential; /* the field that carried it; FIELD_OTHER: none did */
};

/* What a request comes with, and where. */
struct evidence {
    const struct head *head;
    const struct config_listener *listener;
    struct span certificate; /* the name in the verified client certificate; or empty */
    bool from_proxy;         /* the peer is one of listener->trusted_header.from */
    bool passthrough;
    uint64_t now_unix_ns;
};

/* Finds the one credential of the request, verifies it and names the caller.
 *
 * Credentials are: a virtual key or a token in one of the fields Authorization: Bearer,
 * x-api-key, api-key, x-goog-api-key and x-assay-key; a client certificate; a trusted
 * header. Taken are those that the listener lists in `identify`. Where it takes neither
 * keys nor tokens, what stands in those fields is passed over (SDKs insist on sending
 * one), unless it is a virtual key.
 *
 * An Authorization of AWS's signature scheme counts with its access key id as the key,
 * and beside x-assay-key not at all: SDKs of AWS always send one.
 *
 * None: FAULT_NO_CREDENTIAL; two or more: FAULT_MANY_CREDENTIALS; unknown, expired or
 * revoked: FAULT_BAD_CREDENTIAL, or what token_verify() says.
 *
 * With `passthrough` the provider's own credential stays in its field and ours must
 * come as x-assay-key: then x-assay-key and at most one other field may be present. */
enum fault identity_verify(struct verifier *verifier, const struct trust *trust,
                           const struct evidence *evidence,
                           struct caller *caller) MUST_CHECK;

/* May the field say who calls, to identity_verify() on this listener? */
bool identity_reads(const struct config_listener *listener, const struct field *field);

#endif
