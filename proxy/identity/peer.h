/* What a connection itself says of its other end: address and client certificate. */
#ifndef ASSAY_IDENTITY_PEER_H
#define ASSAY_IDENTITY_PEER_H

#include "config/config.h"

#include <openssl/ssl.h>

enum { PEER_NAME_MAX = 255 };

/* Is the socket's other end in one of the networks? */
bool peer_is_in(int fd, const struct config_networks *networks);

/* Writes the name of the client certificate that the handshake verified: of the first
 * kind in `names` that it has (none given: SPIFFE id, e-mail address, common name). ""
 * and false without a certificate, without such a name, and where it is ambiguous: two
 * of that kind, one with a NUL or beyond PEER_NAME_MAX. */
bool peer_certificate_name(const SSL *ssl, const struct config_words *names,
                           char name[PEER_NAME_MAX + 1]);

#endif
