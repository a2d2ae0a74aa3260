#include "proxy/identity/peer.h"

#include "config/network.h"
#include "proxy/base/text.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <netinet/in.h>
#include <sys/socket.h>

/* ---- addresses ------------------------------------------------------------------- */

bool peer_is_in(int fd, const struct config_networks *networks)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t size = sizeof peer;
    uint8_t address[16] = { [10] = 0xff, [11] = 0xff };

    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0) {
        return false;
    }
    if (peer.ss_family == AF_UNIX) {
        return networks_hold(networks, NULL);
    }
    if (peer.ss_family == AF_INET6) {
        memcpy(address, &((struct sockaddr_in6 *)&peer)->sin6_addr, 16);
    } else {
        memcpy(address + 12, &((struct sockaddr_in *)&peer)->sin_addr, 4);
    }
    return networks_hold(networks, address);
}

/* ---- certificates ---------------------------------------------------------------- */

/* The names of one kind in a certificate. */
struct names {
    struct span first; /* within the certificate */
    size_t count;
};

static void names_add(struct names *names, const ASN1_STRING *string)
{
    if (names->count++ == 0) {
        names->first = span_of((const char *)ASN1_STRING_get0_data(string),
                               (size_t)ASN1_STRING_length(string));
    }
}

static bool is_spiffe(const ASN1_STRING *uri)
{
    const struct span text = span_of((const char *)ASN1_STRING_get0_data(uri),
                                     (size_t)ASN1_STRING_length(uri));

    return span_starts(text, SPAN("spiffe://"));
}

static struct names alternative_names(const GENERAL_NAMES *all,
                                      enum config_certificate_name kind)
{
    static const int types[] = { [CERTIFICATE_SPIFFE] = GEN_URI,
                                 [CERTIFICATE_URI] = GEN_URI,
                                 [CERTIFICATE_EMAIL] = GEN_EMAIL,
                                 [CERTIFICATE_DNS] = GEN_DNS };
    struct names names = { 0 };

    for (int i = 0; all != NULL && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

        if (name->type == types[kind] &&
            (kind != CERTIFICATE_SPIFFE || is_spiffe(name->d.ia5))) {
            names_add(&names, name->d.ia5);
        }
    }
    return names;
}

static struct names common_names(const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    struct names names = { 0 };
    int at = -1;

    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
        names_add(&names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
    return names;
}

static bool name_store(const struct names *names, char name[PEER_NAME_MAX + 1])
{
    name[0] = '\0';
    return names->count == 1 && names->first.len > 0 &&
           memchr(names->first.at, '\0', names->first.len) == NULL &&
           text_store(name, PEER_NAME_MAX + 1, names->first);
}

/* The kinds in order; the first that the certificate has decides. */
static bool name_choose(const X509 *certificate, const struct config_words *kinds,
                        char name[PEER_NAME_MAX + 1])
{
    GENERAL_NAMES *all =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    struct names names = { 0 };
    bool chosen;

    for (size_t i = 0; i < kinds->count && names.count == 0; i++) {
        names =
            kinds->at[i] == CERTIFICATE_CN
                ? common_names(certificate)
                : alternative_names(all, (enum config_certificate_name)kinds->at[i]);
    }
    chosen = name_store(&names, name);
    GENERAL_NAMES_free(all);
    ERR_clear_error();
    return chosen;
}

bool peer_certificate_name(const SSL *ssl, const struct config_words *names,
                           char name[PEER_NAME_MAX + 1])
{
    static const struct config_words usual = {
        3, { CERTIFICATE_SPIFFE, CERTIFICATE_EMAIL, CERTIFICATE_CN }
    };
    const X509 *certificate = ssl == NULL ? NULL : SSL_get0_peer_certificate(ssl);

    name[0] = '\0';
    return certificate != NULL && SSL_get_verify_result(ssl) == X509_V_OK &&
           name_choose(certificate, names->count == 0 ? &usual : names, name);
}
