#include "certs/store.h"
#include "certs/tls.h"
#include "certs/tls_reason.h"
#include "certs/tls_settings.h"
#include "proxy/base/check.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

struct tls_server {
    int64_t expiry;
    size_t count;
    SSL_CTX *contexts[]; /* one per certificate, in the order of the configuration */
};

/* ---- certificates ---------------------------------------------------------------- */

static int64_t asn1_seconds(const ASN1_TIME *time)
{
    struct tm parts;

    return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

/* An encrypted key must not make OpenSSL ask at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *self)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)self;
    return -1;
}

static bool key_private(const struct tls_certificate *certificate, struct error *error)
{
    struct stat file;

    if (stat(certificate->key, &file) == 0 && (file.st_mode & S_IROTH) != 0) {
        error_add(error, certificate->place,
                  "the private key %s can be read by everyone; chmod 600 it",
                  certificate->key);
        return false;
    }
    return true;
}

static bool pair_load(SSL_CTX *context, const struct tls_certificate *certificate,
                      struct error *error)
{
    if (SSL_CTX_use_certificate_chain_file(context, certificate->chain) != 1) {
        error_add(error, certificate->place, "cannot use the certificate %s: %s",
                  certificate->chain, tls_reason().words);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(context, certificate->key, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(context) == 1) {
        return true;
    }
    error_add(error, certificate->place,
              "cannot use the private key %s with the certificate %s: %s",
              certificate->key, certificate->chain, tls_reason().words);
    return false;
}

static bool date_check(SSL_CTX *context, const struct tls_certificate *certificate,
                       struct error *error)
{
    const X509 *leaf = SSL_CTX_get0_certificate(context);
    time_t now = time(NULL);
    time_t starts = asn1_seconds(X509_get0_notBefore(leaf));
    time_t ends = asn1_seconds(X509_get0_notAfter(leaf));
    struct tm parts;
    char date[24];

    if (starts <= now && now < ends) {
        return true;
    }
    gmtime_r(now < starts ? &starts : &ends, &parts);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%SZ", &parts);
    error_add(error, certificate->place, "the certificate %s %s %s", certificate->chain,
              now < starts ? "is not valid before" : "expired on", date);
    return false;
}

static int64_t earliest_expiry(SSL_CTX *context)
{
    STACK_OF(X509) *chain = NULL;
    int64_t earliest =
        asn1_seconds(X509_get0_notAfter(SSL_CTX_get0_certificate(context)));

    SSL_CTX_get0_chain_certs(context, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t expiry = asn1_seconds(X509_get0_notAfter(sk_X509_value(chain, i)));

        earliest = expiry < earliest ? expiry : earliest;
    }
    return earliest;
}

/* ---- client certificates --------------------------------------------------------- */

/* The leaf is looked up in its issuer's list; without a list that is in force, it is
 * refused. */
static bool crl_set(X509_STORE *store, const char *crl, struct error *error)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

    if (lookup == NULL || X509_load_crl_file(lookup, crl, X509_FILETYPE_PEM) < 1) {
        error_add(error, (struct error_place){ 0 },
                  "%s: cannot read revocation lists: %s", crl, tls_reason().words);
        return false;
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

static bool clients_set(SSL_CTX *context, const struct tls_clients *clients,
                        struct error *error)
{
    STACK_OF(X509_NAME) * names;
    X509_STORE *store = store_file(clients->ca, error);

    if (store == NULL) {
        return false;
    }
    SSL_CTX_set_cert_store(context, store);
    names = SSL_load_client_CA_file(clients->ca);
    if (names == NULL) {
        error_add(error, (struct error_place){ 0 },
                  "%s: cannot read CA certificates: %s", clients->ca,
                  tls_reason().words);
        return false;
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context,
                       clients->required
                           ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                           : SSL_VERIFY_PEER,
                       NULL);
    return clients->crl == NULL || crl_set(store, clients->crl, error);
}

/* ---- callbacks of the handshake -------------------------------------------------- */

static int alpn_choose(SSL *ssl, const unsigned char **chosen,
                       unsigned char *chosen_len, const unsigned char *offered,
                       unsigned offered_len, void *self)
{
    static const unsigned char http11[] = "\x08http/1.1";
    unsigned char *match;

    (void)ssl;
    (void)self;
    if (SSL_select_next_proto(&match, chosen_len, http11, sizeof http11 - 1, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol (RFC 7301) */
    }
    *chosen = match;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *server_match(const struct tls_server *server, const char *name,
                             unsigned flags)
{
    for (size_t i = 0; i < server->count; i++) {
        X509 *leaf = SSL_CTX_get0_certificate(server->contexts[i]);

        if (X509_check_host(leaf, name, 0, flags | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                            NULL) == 1) {
            return server->contexts[i];
        }
    }
    return NULL;
}

static int sni_choose(SSL *ssl, int *alert, void *self)
{
    const struct tls_server *server = self;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *match = NULL;

    (void)alert;
    if (name != NULL) {
        match = server_match(server, name, X509_CHECK_FLAG_NO_WILDCARDS);
    }
    if (name != NULL && match == NULL) {
        match = server_match(server, name, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    }
    if (match == NULL) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    SSL_set_SSL_CTX(ssl, match);
    return SSL_TLSEXT_ERR_OK;
}

/* ---- the server ------------------------------------------------------------------ */

/* No session tickets and no session cache. OpenSSL keeps a context's ticket key for
 * the context's life, which would undo the forward secrecy of TLS 1.2; without
 * 0-RTT a resumed handshake saves a client no round trip and us one signature (30
 * us); and a client certificate is looked at in every handshake. Connections are
 * kept alive instead. */
static void resumption_forbid(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static SSL_CTX *context_new(const struct tls_certificate *certificate,
                            const struct tls_clients *clients, struct error *error)
{
    SSL_CTX *context = tls_settings_new(TLS_server_method());
    bool usable;

    if (context == NULL) {
        error_add(error, certificate->place, "cannot set up TLS: %s",
                  tls_reason().words);
        return NULL;
    }
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_alpn_select_cb(context, alpn_choose, NULL);
    resumption_forbid(context);
    usable = key_private(certificate, error) &&
             pair_load(context, certificate, error) &&
             date_check(context, certificate, error) &&
             (clients == NULL || clients_set(context, clients, error));
    if (!usable) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static void server_add(struct tls_server *server,
                       const struct tls_certificate *certificate,
                       const struct tls_clients *clients, struct error *error)
{
    SSL_CTX *context = context_new(certificate, clients, error);
    int64_t expiry;

    if (context == NULL) {
        return;
    }
    expiry = earliest_expiry(context);
    server->expiry = expiry < server->expiry ? expiry : server->expiry;
    server->contexts[server->count++] = context;
}

static void contexts_free(struct tls_server *server, size_t from)
{
    for (size_t i = from; i < server->count; i++) {
        SSL_CTX_free(server->contexts[i]);
    }
    free(server);
}

/* The first context owns the server: every SSL holds that context, so that a handshake
 * in any thread finds the server as long as it may ask for it. */

static pthread_once_t owner_once = PTHREAD_ONCE_INIT;
static int owner_index;

static void owned_free(void *first_context, void *server, CRYPTO_EX_DATA *data,
                       int index, long number, void *pointer)
{
    (void)first_context;
    (void)data;
    (void)index;
    (void)number;
    (void)pointer;
    if (server != NULL) {
        contexts_free(server, 1);
    }
}

static void owner_setup(void)
{
    owner_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, owned_free);
    CHECK(owner_index >= 0);
}

static bool server_own(struct tls_server *server)
{
    SSL_CTX *first = server->contexts[0];

    pthread_once(&owner_once, owner_setup);
    SSL_CTX_set_tlsext_servername_callback(first, sni_choose);
    SSL_CTX_set_tlsext_servername_arg(first, server);
    return SSL_CTX_set_ex_data(first, owner_index, server) == 1;
}

struct tls_server *tls_server_new(const struct tls_certificate *certificates,
                                  size_t count, const struct tls_clients *clients,
                                  struct error *error)
{
    struct tls_server *server = calloc(1, sizeof *server + count * sizeof(SSL_CTX *));

    CHECK(count > 0);
    if (server == NULL) {
        error_add(error, certificates[0].place, "no memory for TLS");
        return NULL;
    }
    server->expiry = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        server_add(server, &certificates[i], clients, error);
    }
    if (server->count < count) {
        contexts_free(server, 0);
        return NULL;
    }
    if (!server_own(server)) {
        error_add(error, certificates[0].place, "no memory for TLS");
        contexts_free(server, 0);
        return NULL;
    }
    return server;
}

struct tls_server *tls_server_configured(const struct config_tls *tls,
                                         struct error *error)
{
    const struct tls_clients clients = { tls->client_ca, tls->client_crl,
                                         tls->client_required };
    struct tls_certificate *certificates =
        calloc(tls->certificate_count, sizeof *certificates);
    struct tls_server *server;

    CHECK(certificates != NULL);
    for (size_t i = 0; i < tls->certificate_count; i++) {
        certificates[i] = (struct tls_certificate){
            .chain = tls->certificates[i].chain,
            .key = tls->certificates[i].key,
            .place = tls->certificates[i].place,
        };
    }
    server = tls_server_new(certificates, tls->certificate_count,
                            tls->client_ca == NULL ? NULL : &clients, error);
    free(certificates);
    return server;
}

struct tls_server *tls_server_free(struct tls_server *server)
{
    if (server != NULL) {
        SSL_CTX_free(server->contexts[0]);
    }
    return NULL;
}

SSL *tls_server_ssl(struct tls_server *server)
{
    SSL *ssl = SSL_new(server->contexts[0]);

    if (ssl != NULL) {
        SSL_set_accept_state(ssl);
    }
    return ssl;
}

int64_t tls_server_expiry(const struct tls_server *server)
{
    return server->expiry;
}
