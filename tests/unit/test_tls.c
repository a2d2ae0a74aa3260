#include "certs/mint.h"
#include "certs/tls.h"
#include "tests/support/remove_folder.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY = 86400, IDLE_SSLS = 200 };

static const char *const localhost[] = { "localhost", "127.0.0.1", NULL };
static char folder[] = "/tmp/test_tls.XXXXXX";
static char other_folder[60]; /* of another CA */
static struct error error;

/* Files. A path lives until eight more were asked for. */

static const char *path(const char *file, const char *suffix)
{
    static char made[8][120];
    static unsigned turn;
    char *at = made[turn++ % 8];

    snprintf(at, sizeof made[0], "%s/%s%s", folder, file, suffix);
    return at;
}

static void mint(const char *directory, const char *file, const char *const *names,
                 int64_t not_before, bool client)
{
    const struct mint_leaf leaf = {
        .names = names, .not_before = not_before, .days = 2, .client = client
    };

    assert_true(mint_leaf(directory, file, &leaf, &error));
}

static X509 *certificate_read(const char *file)
{
    FILE *stream = fopen(path(file, ".pem"), "r");
    X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);

    fclose(stream);
    assert_non_null(certificate);
    return certificate;
}

static EVP_PKEY *key_read(const char *file)
{
    FILE *stream = fopen(path(file, ".key"), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);

    fclose(stream);
    assert_non_null(key);
    return key;
}

static void pair_write(const char *file, X509 *certificate, EVP_PKEY *key)
{
    FILE *stream = fopen(path(file, ".pem"), "w");

    assert_int_equal(PEM_write_X509(stream, certificate), 1);
    fclose(stream);
    stream = fopen(path(file, ".key"), "w");
    assert_int_equal(fchmod(fileno(stream), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(stream);
}

/* What `mint` will not make: a copy of the good leaf with another key or signature. Its
 * issuer is the CA, or with `self_signed` itself. */
static void forge(const char *file, EVP_PKEY *key, const EVP_MD *digest,
                  bool self_signed)
{
    X509 *ca = certificate_read("ca");
    EVP_PKEY *ca_key = key_read("ca");
    X509 *forged = certificate_read("good");

    assert_int_equal(X509_set_pubkey(forged, key), 1);
    if (self_signed) {
        X509_set_issuer_name(forged, X509_get_subject_name(forged));
        X509_EXTENSION_free(
            X509_delete_ext(forged,
                            X509_get_ext_by_NID(forged, NID_authority_key_identifier,
                                                -1)));
    }
    assert_true(X509_sign(forged, self_signed ? key : ca_key, digest) > 0);
    pair_write(file, forged, key);
    X509_free(forged);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
}

static void forge_all(void)
{
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    EVP_PKEY *strong = EVP_RSA_gen(2048);
    EVP_PKEY *curve = EVP_EC_gen("P-256");

    forge("weak-key", weak, EVP_sha256(), false);
    forge("sha1", curve, EVP_sha1(), false);
    forge("self-signed", curve, EVP_sha256(), true);
    forge("rsa", strong, EVP_sha256(), false);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(strong);
    EVP_PKEY_free(curve);
}

static int set_up(void **state)
{
    static const char *const exact[] = { "api.example.test", NULL };
    static const char *const wildcard[] = { "*.example.test", NULL };
    static const char *const wrong[] = { "elsewhere.test", "127.0.0.2", NULL };
    int64_t now = time(NULL);

    (void)state;
    error_init(&error);
    assert_non_null(mkdtemp(folder));
    snprintf(other_folder, sizeof other_folder, "%s/other", folder);
    assert_int_equal(mkdir(other_folder, 0700), 0);
    assert_true(mint_ca(folder, "test CA", 30, &error));
    assert_true(mint_ca(other_folder, "other CA", 30, &error));
    mint(folder, "good", localhost, 0, false);
    mint(folder, "client", localhost, 0, true);
    mint(folder, "exact", exact, 0, false);
    mint(folder, "wildcard", wildcard, 0, false);
    mint(folder, "expired", localhost, now - 5 * DAY, false);
    mint(folder, "future", localhost, now + DAY, false);
    mint(folder, "wrong-name", wrong, 0, false);
    mint(other_folder, "wrong-ca", localhost, 0, false);
    forge_all();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    error_done(&error);
    return remove_folder(folder);
}

/* ---- servers and clients --------------------------------------------------------- */

static struct tls_server *server_of(const char *file)
{
    const struct tls_certificate certificate = { path(file, ".pem"),
                                                 path(file, ".key"),
                                                 { 0 } };
    struct tls_server *server = tls_server_new(&certificate, 1, NULL, &error);

    assert_non_null(server);
    return server;
}

static struct tls_client *client_for(const char *name)
{
    struct tls_client *client = tls_client_new(name, path("ca", ".pem"), false, &error);

    assert_non_null(client);
    return client;
}

/* A side without our settings, which takes any certificate and any version. */
static SSL_CTX *lax_context(const SSL_METHOD *method, const char *file)
{
    SSL_CTX *context = SSL_CTX_new(method);

    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, 0);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"lax", 3);
    if (file != NULL) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(context,
                                                            path(file, ".pem")),
                         1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path(file, ".key"),
                                                     SSL_FILETYPE_PEM),
                         1);
    }
    return context;
}

static SSL *lax_ssl(SSL_CTX *context, bool server)
{
    SSL *ssl = SSL_new(context);

    if (server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    return ssl;
}

/* ---- two connected sides --------------------------------------------------------- */

struct link {
    SSL *client;
    SSL *server;
    int fds[2];
};

static struct link link_of(SSL *client, SSL *server)
{
    struct link link = { .client = client, .server = server };

    assert_non_null(client);
    assert_non_null(server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, link.fds), 0);
    SSL_set_fd(client, link.fds[0]);
    SSL_set_fd(server, link.fds[1]);
    return link;
}

static void link_close(struct link *link)
{
    SSL_free(link->client);
    SSL_free(link->server);
    close(link->fds[0]);
    close(link->fds[1]);
    ERR_clear_error();
}

static bool side_failed(SSL *ssl, int result)
{
    return result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ;
}

/* Did both sides finish the handshake? A refusal is told to the other side first. */
static bool link_shake(struct link *link)
{
    for (int turn = 0; turn < 10; turn++) {
        int client = SSL_do_handshake(link->client);
        bool client_failed = side_failed(link->client, client);
        int server = SSL_do_handshake(link->server);

        if (client_failed || side_failed(link->server, server)) {
            return false;
        }
        if (client == 1 && server == 1) {
            return true;
        }
    }
    return false;
}

/* A few bytes each way; the client then has the server's tickets, too. */
static void link_talk(struct link *link)
{
    char byte;

    assert_int_equal(SSL_write(link->server, "s", 1), 1);
    assert_int_equal(SSL_read(link->client, &byte, 1), 1);
    assert_int_equal(SSL_write(link->client, "c", 1), 1);
    assert_int_equal(SSL_read(link->server, &byte, 1), 1);
    assert_int_equal(SSL_read(link->server, &byte, 1), -1); /* buffers are released */
    assert_int_equal(SSL_read(link->client, &byte, 1), -1);
}

/* The verdict of our client on a server's certificate. */
static long verdict(const char *file, const char *name)
{
    struct tls_client *client = client_for(name);
    SSL_CTX *context = lax_context(TLS_server_method(), file);
    struct link link = link_of(tls_client_ssl(client), lax_ssl(context, true));
    bool shaken = link_shake(&link);
    long result = SSL_get_verify_result(link.client);

    assert_int_equal(shaken, result == X509_V_OK);
    link_close(&link);
    tls_client_free(client);
    SSL_CTX_free(context);
    return result;
}

static void good_certificates_are_accepted(void **state)
{
    (void)state;
    assert_int_equal(verdict("good", "localhost"), X509_V_OK);
    assert_int_equal(verdict("good", "127.0.0.1"), X509_V_OK);
    assert_int_equal(verdict("wildcard", "any.example.test"), X509_V_OK);
    assert_int_equal(verdict("rsa", "localhost"), X509_V_OK);
}

static void bad_certificates_are_refused(void **state)
{
    (void)state;
    assert_int_equal(verdict("expired", "localhost"), X509_V_ERR_CERT_HAS_EXPIRED);
    assert_int_equal(verdict("future", "localhost"), X509_V_ERR_CERT_NOT_YET_VALID);
    assert_int_equal(verdict("wrong-name", "localhost"), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verdict("wrong-name", "127.0.0.1"),
                     X509_V_ERR_IP_ADDRESS_MISMATCH);
    assert_int_equal(verdict("other/wrong-ca", "localhost"),
                     X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
    assert_int_equal(verdict("self-signed", "localhost"),
                     X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
    assert_int_equal(verdict("weak-key", "localhost"), X509_V_ERR_EE_KEY_TOO_SMALL);
    assert_int_equal(verdict("sha1", "localhost"), X509_V_ERR_CA_MD_TOO_WEAK);
    assert_int_equal(verdict("client", "localhost"), X509_V_ERR_INVALID_PURPOSE);
    assert_int_equal(verdict("wildcard", "a.b.example.test"),
                     X509_V_ERR_HOSTNAME_MISMATCH);
}

static void the_system_store_is_the_default(void **state)
{
    struct tls_client *client = tls_client_new("localhost", NULL, false, &error);
    struct tls_server *server = server_of("good");
    struct link link;

    (void)state;
    if (client == NULL) {
        error_done(&error);
        tls_server_free(server);
        skip(); /* this machine has no CA certificates */
    }
    link = link_of(tls_client_ssl(client), tls_server_ssl(server));
    assert_false(link_shake(&link)); /* our CA is not among the system's */
    link_close(&link);
    tls_client_free(client);
    tls_server_free(server);
}

static void insecure_skips_verification(void **state)
{
    struct tls_client *client = tls_client_new("localhost", NULL, true, &error);
    SSL_CTX *context = lax_context(TLS_server_method(), "self-signed");
    struct link link = link_of(tls_client_ssl(client), lax_ssl(context, true));

    (void)state;
    assert_true(link_shake(&link));
    link_close(&link);
    tls_client_free(client);
    SSL_CTX_free(context);
}

/* The common name of the certificate that a server of three shows to a client. */
static void sni_check(const char *name, const char *shown)
{
    static const char *const files[] = { "good", "wildcard", "exact" };
    struct tls_certificate certificates[3];
    struct tls_server *server;
    SSL_CTX *context = lax_context(TLS_client_method(), NULL);
    SSL *client = lax_ssl(context, false);
    struct link link;
    X509 *peer;

    for (size_t i = 0; i < 3; i++) {
        certificates[i] = (struct tls_certificate){ .chain = path(files[i], ".pem"),
                                                    .key = path(files[i], ".key") };
    }
    server = tls_server_new(certificates, 3, NULL, &error);
    assert_non_null(server);
    if (name != NULL) {
        char asked[40];

        snprintf(asked, sizeof asked, "%s", name);
        SSL_set_tlsext_host_name(client, asked);
    }
    link = link_of(client, tls_server_ssl(server));
    assert_true(link_shake(&link));
    peer = SSL_get0_peer_certificate(client);
    assert_int_equal(X509_check_host(peer, shown, 0, 0, NULL), 1);
    link_close(&link);
    SSL_CTX_free(context);
    tls_server_free(server);
}

static void certificates_are_chosen_by_sni(void **state)
{
    (void)state;
    sni_check("api.example.test", "api.example.test");
    sni_check("API.Example.Test", "api.example.test");
    sni_check("www.example.test", "*.example.test");
    sni_check("localhost", "localhost");
    sni_check("elsewhere.test", "localhost");
    sni_check("a.b.example.test", "localhost");
    sni_check(NULL, "localhost");
}

static void an_exact_name_beats_a_wildcard(void **state)
{
    struct tls_client *client = client_for("api.example.test");
    const struct tls_certificate certificates[] = {
        { path("wildcard", ".pem"), path("wildcard", ".key"), { 0 } },
        { path("exact", ".pem"), path("exact", ".key"), { 0 } },
    };
    struct tls_server *server = tls_server_new(certificates, 2, NULL, &error);
    struct link link = link_of(tls_client_ssl(client), tls_server_ssl(server));
    X509 *peer;

    (void)state;
    assert_true(link_shake(&link));
    peer = SSL_get0_peer_certificate(link.client);
    assert_int_equal(X509_check_host(peer, "api.example.test", 0,
                                     X509_CHECK_FLAG_NO_WILDCARDS, NULL),
                     1);
    link_close(&link);
    tls_client_free(client);
    tls_server_free(server);
}

/* The protocol agreed on with a client that offers `offer`; NULL if it was refused. */
static const char *alpn(const char *offer, size_t len)
{
    static char agreed[16];
    struct tls_server *server = server_of("good");
    SSL_CTX *context = lax_context(TLS_client_method(), NULL);
    SSL *client = lax_ssl(context, false);
    const unsigned char *chosen;
    unsigned chosen_len;
    struct link link;
    bool shaken;

    SSL_set_alpn_protos(client, (const unsigned char *)offer, (unsigned)len);
    link = link_of(client, tls_server_ssl(server));
    shaken = link_shake(&link);
    SSL_get0_alpn_selected(client, &chosen, &chosen_len);
    snprintf(agreed, sizeof agreed, "%.*s", (int)chosen_len, (const char *)chosen);
    if (!shaken) {
        SSL_do_handshake(client);
        assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()),
                         SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL);
    }
    link_close(&link);
    SSL_CTX_free(context);
    tls_server_free(server);
    return shaken ? agreed : NULL;
}

static void alpn_is_http11_or_nothing(void **state)
{
    (void)state;
    assert_string_equal(alpn("\x08http/1.1", 9), "http/1.1");
    assert_string_equal(alpn("\x02h2\x08http/1.1", 12), "http/1.1");
    assert_string_equal(alpn(NULL, 0), "");
    assert_null(alpn("\x02h2", 3));
}

static void our_client_offers_http11(void **state)
{
    struct tls_server *server = server_of("good");
    struct tls_client *client = client_for("localhost");
    struct link link = link_of(tls_client_ssl(client), tls_server_ssl(server));
    const unsigned char *chosen;
    unsigned len;

    (void)state;
    assert_true(link_shake(&link));
    SSL_get0_alpn_selected(link.client, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    assert_string_equal(SSL_get_servername(link.server, TLSEXT_NAMETYPE_host_name),
                        "localhost");
    link_close(&link);
    tls_client_free(client);
    tls_server_free(server);
}

/* Does our server shake hands with a client of this version and these ciphers? */
static bool accepts(int version, const char *ciphers)
{
    struct tls_server *server = server_of("rsa");
    SSL_CTX *context = lax_context(TLS_client_method(), NULL);
    struct link link;
    bool shaken;

    SSL_CTX_set_max_proto_version(context, version);
    assert_int_equal(SSL_CTX_set_cipher_list(context, ciphers), 1);
    link = link_of(lax_ssl(context, false), tls_server_ssl(server));
    shaken = link_shake(&link);
    link_close(&link);
    SSL_CTX_free(context);
    tls_server_free(server);
    return shaken;
}

static void old_versions_and_weak_ciphers_are_refused(void **state)
{
    SSL_CTX *context = lax_context(TLS_server_method(), "good");
    struct tls_client *client = client_for("localhost");
    struct link link;

    (void)state;
    assert_true(accepts(TLS1_3_VERSION, "ALL"));
    assert_true(accepts(TLS1_2_VERSION, "ALL"));
    assert_false(accepts(TLS1_1_VERSION, "ALL:@SECLEVEL=0"));
    assert_true(accepts(TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256"));
    assert_false(accepts(TLS1_2_VERSION, "AES128-GCM-SHA256")); /* no forward secrecy */
    assert_false(accepts(TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256")); /* CBC */
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    link = link_of(tls_client_ssl(client), lax_ssl(context, true));
    assert_false(link_shake(&link));
    link_close(&link);
    tls_client_free(client);
    SSL_CTX_free(context);
}

/* How many of three connections in a row are resumed by our client. */
static int resumed(struct tls_client *client, SSL_CTX *context)
{
    int count = 0;

    for (int i = 0; i < 3; i++) {
        struct link link = link_of(tls_client_ssl(client), lax_ssl(context, true));

        assert_true(link_shake(&link));
        link_talk(&link);
        count += SSL_session_reused(link.client);
        link_close(&link);
    }
    return count;
}

static void our_client_resumes(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *context = lax_context(TLS_server_method(), "good");
        struct tls_client *client = client_for("localhost");

        SSL_CTX_set_max_proto_version(context, versions[i]);
        assert_int_equal(resumed(client, context), 2);
        tls_client_free(client);
        SSL_CTX_free(context);
    }
}

static void a_ticket_of_tls13_is_used_once(void **state)
{
    SSL_CTX *context = lax_context(TLS_server_method(), "good");
    struct tls_client *client = client_for("localhost");
    struct link first = link_of(tls_client_ssl(client), lax_ssl(context, true));
    struct link others[3];

    (void)state;
    assert_true(link_shake(&first));
    link_talk(&first); /* brings two tickets */
    for (int i = 0; i < 3; i++) {
        others[i] = link_of(tls_client_ssl(client), lax_ssl(context, true));
    }
    for (int i = 0; i < 3; i++) {
        assert_true(link_shake(&others[i]));
        assert_int_equal(SSL_session_reused(others[i].client), i < 2);
        link_close(&others[i]);
    }
    link_close(&first);
    tls_client_free(client);
    SSL_CTX_free(context);
}

static void our_server_gives_no_tickets(void **state)
{
    struct tls_server *server = server_of("good");
    struct tls_client *client = client_for("localhost");

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct link link = link_of(tls_client_ssl(client), tls_server_ssl(server));

        assert_true(link_shake(&link));
        link_talk(&link);
        assert_int_equal(SSL_session_reused(link.client), 0);
        link_close(&link);
    }
    tls_client_free(client);
    tls_server_free(server);
}

static void connections_outlive_what_made_them(void **state)
{
    SSL_CTX *context = lax_context(TLS_server_method(), "good");
    struct tls_client *client = client_for("localhost");
    struct tls_server *server = server_of("good");
    struct link link = link_of(tls_client_ssl(client), lax_ssl(context, true));

    (void)state;
    assert_true(link_shake(&link));
    tls_client_free(client);
    link_talk(&link); /* tickets come to nobody */
    link_close(&link);
    SSL_CTX_free(context);
    client = client_for("localhost");
    link = link_of(tls_client_ssl(client), tls_server_ssl(server));
    tls_server_free(server);
    assert_true(link_shake(&link));
    link_close(&link);
    tls_client_free(client);
}

/* Does a server that demands client certificates accept one? */
static bool client_certificate_accepted(const char *file)
{
    const struct tls_certificate certificate = { path("good", ".pem"),
                                                 path("good", ".key"),
                                                 { 0 } };
    const struct tls_clients clients = { .ca = path("ca", ".pem"), .required = true };
    struct tls_server *server = tls_server_new(&certificate, 1, &clients, &error);
    SSL_CTX *context = lax_context(TLS_client_method(), file);
    struct link link;
    bool shaken;

    assert_non_null(server);
    link = link_of(lax_ssl(context, false), tls_server_ssl(server));
    shaken = link_shake(&link);
    link_close(&link);
    SSL_CTX_free(context);
    tls_server_free(server);
    return shaken;
}

static void client_certificates_are_verified(void **state)
{
    (void)state;
    assert_true(client_certificate_accepted("client"));
    assert_false(client_certificate_accepted(NULL));
    assert_false(client_certificate_accepted("good")); /* for servers only */
    assert_false(client_certificate_accepted("self-signed"));
    assert_false(client_certificate_accepted("other/wrong-ca"));
}

/* The first mistake told for a pair of files. */
static void mistake_check(const char *chain, const char *key, const char *words)
{
    const struct tls_certificate certificate = { chain, key, { "assay.yaml", 3, 7 } };
    struct error mistakes;

    error_init(&mistakes);
    assert_null(tls_server_new(&certificate, 1, NULL, &mistakes));
    assert_int_equal(mistakes.count, 1);
    assert_non_null(strstr(mistakes.entries[0].words, words));
    assert_int_equal(mistakes.entries[0].place.line, 3);
    error_done(&mistakes);
}

static void unusable_pairs_are_told(void **state)
{
    EVP_PKEY *key = key_read("good");
    FILE *stream;

    (void)state;
    stream = fopen(path("encrypted", ".key"), "w");
    assert_int_equal(fchmod(fileno(stream), 0600), 0);
    PEM_write_PKCS8PrivateKey(stream, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    fclose(stream);
    stream = fopen(path("public", ".key"), "w");
    assert_int_equal(fchmod(fileno(stream), 0644), 0);
    PEM_write_PKCS8PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL);
    fclose(stream);
    EVP_PKEY_free(key);
    mistake_check(path("good", ".pem"), path("exact", ".key"), "mismatch");
    mistake_check(path("good", ".pem"), path("rsa", ".key"), "private key");
    mistake_check(path("none", ".pem"), path("good", ".key"), "No such file");
    mistake_check(path("good", ".pem"), path("none", ".key"), "No such file");
    mistake_check(path("good", ".key"), path("good", ".key"), "no start line");
    mistake_check(path("good", ".pem"), path("encrypted", ".key"), "encrypted.key");
    mistake_check(path("good", ".pem"), path("public", ".key"), "read by everyone");
    mistake_check(path("expired", ".pem"), path("expired", ".key"), "expired on");
    mistake_check(path("future", ".pem"), path("future", ".key"), "not valid before");
    mistake_check(path("weak-key", ".pem"), path("weak-key", ".key"), "too small");
}

static void every_mistake_is_told_at_once(void **state)
{
    const struct tls_certificate certificates[] = {
        { path("none", ".pem"), path("none", ".key"), { 0 } },
        { path("good", ".pem"), path("good", ".key"), { 0 } },
        { path("expired", ".pem"), path("expired", ".key"), { 0 } },
    };
    struct error mistakes;

    (void)state;
    error_init(&mistakes);
    assert_null(tls_server_new(certificates, 3, NULL, &mistakes));
    assert_int_equal(mistakes.count, 2);
    assert_null(tls_client_new("localhost", path("none", ".pem"), false, &mistakes));
    assert_int_equal(mistakes.count, 3);
    error_done(&mistakes);
}

static void the_expiry_is_the_earliest(void **state)
{
    struct tls_server *server = server_of("good");
    int64_t left = tls_server_expiry(server) - time(NULL);

    (void)state;
    assert_in_range(left, 2 * DAY - 60, 2 * DAY);
    tls_server_free(server);
}

static size_t heap_used(void)
{
    return mallinfo2().uordblks;
}

/* Heap that one idle connection of a client holds, and that of the server's side. */
static void idle_measure(struct tls_client *client, SSL *(*server_ssl)(void *),
                         void *self, size_t *client_side, size_t *server_side)
{
    static struct link links[IDLE_SSLS];
    size_t both;
    size_t clients;

    for (size_t i = 0; i < IDLE_SSLS; i++) {
        links[i] = link_of(tls_client_ssl(client), server_ssl(self));
        assert_true(link_shake(&links[i]));
        link_talk(&links[i]);
    }
    both = heap_used();
    for (size_t i = 0; i < IDLE_SSLS; i++) {
        SSL_free(links[i].server);
        links[i].server = NULL;
    }
    clients = heap_used();
    for (size_t i = 0; i < IDLE_SSLS; i++) {
        link_close(&links[i]);
    }
    *client_side = (clients - heap_used()) / IDLE_SSLS;
    *server_side = (both - clients) / IDLE_SSLS;
}

static SSL *our_server_ssl(void *server)
{
    return tls_server_ssl(server);
}

static SSL *ticket_server_ssl(void *context)
{
    return lax_ssl(context, true);
}

/* A sanitizer's heap cannot be asked: its figures are 0. */
/* From 3.2 on a connection's record layer is an object of 4 KB each way, and from 3.5
 * on the keys of a hybrid key exchange stay, 6 KB more. */
static size_t idle_ssl_max(void)
{
    return OpenSSL_version_num() >= 0x30200000 ? 36 * 1024 : 16 * 1024;
}

static void an_idle_connection_is_small(void **state)
{
    struct tls_server *server = server_of("good");
    SSL_CTX *context = lax_context(TLS_server_method(), "good");
    struct tls_client *client = client_for("localhost");
    size_t client_side;
    size_t client_resumed;
    size_t server_side;
    size_t ignored;

    (void)state;
    idle_measure(client, our_server_ssl, server, &client_side, &server_side);
    idle_measure(client, ticket_server_ssl, context, &client_resumed, &ignored);
    print_message("# bytes per idle connection: server %zu, client %zu, resumed %zu\n",
                  server_side, client_side, client_resumed);
    assert_true(server_side <= idle_ssl_max());
    assert_true(client_resumed <= idle_ssl_max());
    tls_client_free(client);
    tls_server_free(server);
    SSL_CTX_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_certificates_are_accepted),
        cmocka_unit_test(bad_certificates_are_refused),
        cmocka_unit_test(the_system_store_is_the_default),
        cmocka_unit_test(insecure_skips_verification),
        cmocka_unit_test(certificates_are_chosen_by_sni),
        cmocka_unit_test(an_exact_name_beats_a_wildcard),
        cmocka_unit_test(alpn_is_http11_or_nothing),
        cmocka_unit_test(our_client_offers_http11),
        cmocka_unit_test(old_versions_and_weak_ciphers_are_refused),
        cmocka_unit_test(our_client_resumes),
        cmocka_unit_test(a_ticket_of_tls13_is_used_once),
        cmocka_unit_test(our_server_gives_no_tickets),
        cmocka_unit_test(connections_outlive_what_made_them),
        cmocka_unit_test(client_certificates_are_verified),
        cmocka_unit_test(unusable_pairs_are_told),
        cmocka_unit_test(every_mistake_is_told_at_once),
        cmocka_unit_test(the_expiry_is_the_earliest),
        cmocka_unit_test(an_idle_connection_is_small),
    };

    return cmocka_run_group_tests_name("tls", tests, set_up, tear_down);
}
