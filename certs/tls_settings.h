/* What both sides of assay's TLS have in common. */
#ifndef ASSAY_CERTS_TLS_SETTINGS_H
#define ASSAY_CERTS_TLS_SETTINGS_H

#include <openssl/ssl.h>

/* A context with Mozilla's "intermediate" settings, version 5.8: TLS 1.2 and 1.3,
 * forward secrecy and AEAD only, security level 2 (no SHA-1 signatures, no RSA
 * below 2048 bits); no renegotiation, no compression; buffers given back while
 * idle. NULL on failure. */
SSL_CTX *tls_settings_new(const SSL_METHOD *method);

#endif
