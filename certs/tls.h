/* TLS settings for both sides, as OpenSSL contexts: Mozilla "intermediate", ALPN
 * http/1.1, buffers released while idle. */
#ifndef ASSAY_CERTS_TLS_H
#define ASSAY_CERTS_TLS_H

#include "config/config.h"
#include "proxy/base/error.h"
#include "proxy/base/span.h"

#include <openssl/ssl.h>

/* A certificate chain and its key, by file name; the place is where the configuration
 * names them. */
struct tls_certificate {
    const char *chain;
    const char *key;
    struct error_place place;
};

/* Which client certificates a listener takes. */
struct tls_clients {
    const char *ca;  /* file: who may sign them */
    const char *crl; /* file: what these revoked; NULL: nothing is looked at */
    bool required;   /* a handshake without one fails */
};

/* The server side of one listener: certificates are chosen by SNI (exact name, then
 * wildcard, else the first). `clients` (may be NULL) asks for client certificates and
 * verifies them. Files that cannot be read, pairs that do not match and certificates
 * out of their dates are mistakes; NULL and an entry in *error for each. Threads may
 * share it, and its SSLs may outlive it. */
struct tls_server;
struct tls_server *tls_server_new(const struct tls_certificate *certificates,
                                  size_t count, const struct tls_clients *clients,
                                  struct error *error);
/* The same as the configuration has it, with at least one certificate. */
struct tls_server *tls_server_configured(const struct config_tls *tls,
                                         struct error *error);
struct tls_server *tls_server_free(struct tls_server *server);

/* A new server-side SSL without a socket; NULL without memory. */
SSL *tls_server_ssl(struct tls_server *server);

/* The earliest notAfter of all certificates, Unix seconds: for the expiry metric. */
int64_t tls_server_expiry(const struct tls_server *server);

/* The client side of one provider: chain and name are always verified, against the
 * system store or `ca` (a file; NULL: system). `insecure_for_tests` skips
 * verification and is the caller's duty to allow for loopback addresses only. `name`
 * is checked and sent as SNI. Sessions are kept for resumption, per context and thus
 * per worker. Its SSLs may outlive it; it and they belong to one thread. NULL and an
 * entry in *error on failure. */
struct tls_client;
struct tls_client *tls_client_new(const char *name, const char *ca,
                                  bool insecure_for_tests, struct error *error);
struct tls_client *tls_client_free(struct tls_client *client);

/* A new client-side SSL with SNI, name check and the newest session offered. */
SSL *tls_client_ssl(struct tls_client *client);

/* Why the server's certificate was refused; NULL if it was not, or if `ssl` is NULL. */
const char *tls_client_refusal(const SSL *ssl);

#endif
