#include "certs/tls_settings.h"

#include <openssl/err.h>

#include <stdbool.h>

enum { SECURITY_LEVEL = 2 };

/* Post-quantum key exchange first, where the library has it (OpenSSL 3.5). */
static bool groups_set(SSL_CTX *context)
{
    char newest[] = "X25519MLKEM768:X25519:P-256:P-384";
    char classic[] = "X25519:P-256:P-384";

    if (SSL_CTX_set1_groups_list(context, newest) == 1) {
        return true;
    }
    ERR_clear_error();
    return SSL_CTX_set1_groups_list(context, classic) == 1;
}

static bool ciphers_set(SSL_CTX *context)
{
    return SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"
                                             ":TLS_AES_256_GCM_SHA384"
                                             ":TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256"
                                            ":ECDHE-RSA-AES128-GCM-SHA256"
                                            ":ECDHE-ECDSA-AES256-GCM-SHA384"
                                            ":ECDHE-RSA-AES256-GCM-SHA384"
                                            ":ECDHE-ECDSA-CHACHA20-POLY1305"
                                            ":ECDHE-RSA-CHACHA20-POLY1305") == 1;
}

SSL_CTX *tls_settings_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (context == NULL) {
        return NULL;
    }
    SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    /* The client's order of ciphers is kept, as Mozilla advises: all of them are good,
     * and the client knows whether its processor has AES instructions. */
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        !ciphers_set(context) || !groups_set(context)) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}
