#include "certs/store.h"
#include "certs/tls.h"
#include "certs/tls_reason.h"
#include "certs/tls_settings.h"

#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdlib.h>

/* Enough for a burst of new connections. Servers give about two tickets for each; the
 * tickets of one connection, and those resumed from them, share its certificates. */
enum { SESSIONS_MAX = 16 };

struct tls_client {
    SSL_CTX *context;
    char *sni;                           /* NULL: the name is an IP address */
    SSL_SESSION *sessions[SESSIONS_MAX]; /* for resumption, newest last */
    size_t session_count;
};

static const struct error_place nowhere = { 0 };

/* ---- sessions -------------------------------------------------------------------- */

/* Each is offered once: a ticket of TLS 1.3 so that nobody on the path can link two
 * connections (RFC 8446, appendix C.4), any so that one a server chokes on is gone. */

static void session_push(struct tls_client *client, SSL_SESSION *session)
{
    if (client->session_count == SESSIONS_MAX) {
        SSL_SESSION_free(client->sessions[0]);
        client->session_count--;
        memmove(client->sessions, client->sessions + 1,
                client->session_count * sizeof(SSL_SESSION *));
    }
    client->sessions[client->session_count++] = session;
}

/* A copy, because a session of TLS 1.2 belongs to its connection as well, which makes
 * it useless when it ends without close_notify. */
static void session_copy(const SSL *ssl, const SSL_SESSION *session)
{
    struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION *copy = client == NULL ? NULL : SSL_SESSION_dup(session);

    if (copy != NULL) {
        session_push(client, copy);
    }
}

static int session_received(SSL *ssl, SSL_SESSION *session)
{
    session_copy(ssl, session);
    return 0; /* OpenSSL keeps its reference */
}

/* Most servers renew no session of TLS 1.2 when it is resumed: it goes back. */
static void session_return(const SSL *ssl, int where, int result)
{
    (void)result;
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0 && SSL_version(ssl) == TLS1_2_VERSION &&
        SSL_session_reused(ssl) == 1) {
        session_copy(ssl, SSL_get_session(ssl));
    }
}

static void session_offer(struct tls_client *client, SSL *ssl)
{
    SSL_SESSION *newest;

    if (client->session_count > 0) {
        newest = client->sessions[--client->session_count];
        SSL_set_session(ssl, newest);
        SSL_SESSION_free(newest);
    }
}

/* ---- the context ----------------------------------------------------------------- */

static bool name_is_address(const char *name)
{
    struct in6_addr address;

    return inet_pton(AF_INET, name, &address) == 1 ||
           inet_pton(AF_INET6, name, &address) == 1;
}

static bool name_expect(SSL_CTX *context, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);

    if (name_is_address(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

static bool trust_set(SSL_CTX *context, const char *ca, struct error *error)
{
    X509_STORE *store;

    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (ca != NULL) {
        store = store_file(ca, error);
        SSL_CTX_set_cert_store(context, store);
        return store != NULL;
    }
    store = store_system(error);
    if (store == NULL) {
        return false;
    }
    SSL_CTX_set1_cert_store(context, store);
    return true;
}

static bool client_setup(struct tls_client *client, const char *name)
{
    static const unsigned char http11[] = "\x08http/1.1";

    client->context = tls_settings_new(TLS_client_method());
    if (client->context == NULL || !name_expect(client->context, name) ||
        SSL_CTX_set_alpn_protos(client->context, http11, sizeof http11 - 1) != 0) {
        return false;
    }
    SSL_CTX_set_app_data(client->context, client);
    SSL_CTX_set_session_cache_mode(client->context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->context, session_received);
    SSL_CTX_set_info_callback(client->context, session_return);
    if (name_is_address(name)) {
        return true; /* no SNI for addresses (RFC 6066, section 3) */
    }
    client->sni = strdup(name);
    return client->sni != NULL;
}

struct tls_client *tls_client_new(const char *name, const char *ca,
                                  bool insecure_for_tests, struct error *error)
{
    struct tls_client *client = calloc(1, sizeof *client);

    if (client == NULL || !client_setup(client, name)) {
        error_add(error, nowhere, "cannot set up TLS for %s: %s", name,
                  tls_reason().words);
        return tls_client_free(client);
    }
    if (!insecure_for_tests && !trust_set(client->context, ca, error)) {
        return tls_client_free(client);
    }
    return client;
}

struct tls_client *tls_client_free(struct tls_client *client)
{
    if (client == NULL) {
        return NULL;
    }
    if (client->context != NULL) {
        /* A connection may outlive us, and still receive a ticket. */
        SSL_CTX_set_app_data(client->context, NULL);
    }
    for (size_t i = 0; i < client->session_count; i++) {
        SSL_SESSION_free(client->sessions[i]);
    }
    SSL_CTX_free(client->context);
    free(client->sni);
    free(client);
    return NULL;
}

SSL *tls_client_ssl(struct tls_client *client)
{
    SSL *ssl = SSL_new(client->context);

    if (ssl == NULL) {
        return NULL;
    }
    SSL_set_connect_state(ssl);
    if (client->sni != NULL && SSL_set_tlsext_host_name(ssl, client->sni) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    session_offer(client, ssl);
    return ssl;
}

const char *tls_client_refusal(const SSL *ssl)
{
    bool verified = ssl != NULL && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
    long verdict = verified ? SSL_get_verify_result(ssl) : X509_V_OK;

    return verdict == X509_V_OK ? NULL : X509_verify_cert_error_string(verdict);
}
