/* Trusted CA certificates, as OpenSSL stores. */
#ifndef ASSAY_CERTS_STORE_H
#define ASSAY_CERTS_STORE_H

#include "proxy/base/error.h"

#include <openssl/x509.h>

/* The system's CA certificates: one store per process, borrowed. Certificates are
 * looked up as chains need them and stay loaded: the whole bundle would take 20 ms and
 * megabytes for each provider and worker. SSL_CERT_FILE and SSL_CERT_DIR say where else
 * to look. NULL and an entry in *error if this system has none. Any thread. */
X509_STORE *store_system(struct error *error);

/* The CA certificates in a PEM file; the caller frees it with X509_STORE_free(). NULL
 * and an entry in *error if it cannot be read or has none. */
X509_STORE *store_file(const char *file, struct error *error);

#endif
