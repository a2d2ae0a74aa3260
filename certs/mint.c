#include "certs/mint.h"

#include "certs/tls_reason.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SERIAL_SIZE = 16, SECONDS_PER_DAY = 86400, COMMON_NAME_MAX = 64 };

static const struct error_place nowhere = { 0 };

/* A certificate and its key. */
struct pair {
    X509 *certificate;
    EVP_PKEY *key;
};

static void pair_done(struct pair *pair)
{
    X509_free(pair->certificate);
    EVP_PKEY_free(pair->key);
}

/* ---- files ----------------------------------------------------------------------- */

static bool path_make(char path[PATH_MAX], const char *directory, const char *file,
                      const char *suffix)
{
    int length = snprintf(path, PATH_MAX, "%s/%s%s", directory, file, suffix);

    return length > 0 && length < PATH_MAX;
}

static bool bytes_write(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, at, len);

        if (written < 0) {
            return false;
        }
        at += written;
        len -= (size_t)written;
    }
    return fsync(fd) == 0;
}

/* The file appears under its name whole, or not at all. */
static bool contents_write(const char *path, char *temporary, mode_t mode,
                           BIO *contents)
{
    char *at;
    long len = BIO_get_mem_data(contents, &at);
    int fd = mkostemp(temporary, O_CLOEXEC); /* made with mode 0600 */
    bool written;

    if (fd < 0) {
        return false;
    }
    written = bytes_write(fd, at, (size_t)len) && fchmod(fd, mode) == 0;
    written = close(fd) == 0 && written && rename(temporary, path) == 0;
    if (!written) {
        unlink(temporary);
    }
    return written;
}

static bool file_write(const char *directory, const char *file, const char *suffix,
                       mode_t mode, BIO *contents, struct error *error)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX];

    errno = ENAMETOOLONG;
    if (!path_make(path, directory, file, suffix) ||
        !path_make(temporary, directory, file, ".XXXXXX") ||
        !contents_write(path, temporary, mode, contents)) {
        error_add(error, nowhere, "cannot write %s/%s%s: %s", directory, file, suffix,
                  strerror(errno));
        return false;
    }
    return true;
}

/* FILE.key first: a certificate is never seen without its key. */
static bool pair_write(const struct pair *pair, X509 *issuer, const char *directory,
                       const char *file, struct error *error)
{
    BIO *key = BIO_new(BIO_s_secmem());
    BIO *chain = BIO_new(BIO_s_mem());
    bool encoded =
        key != NULL && chain != NULL &&
        PEM_write_bio_PKCS8PrivateKey(key, pair->key, NULL, NULL, 0, NULL, NULL) == 1 &&
        PEM_write_bio_X509(chain, pair->certificate) == 1 &&
        (issuer == NULL || PEM_write_bio_X509(chain, issuer) == 1);
    bool written = false;

    if (encoded) {
        written = file_write(directory, file, ".key", 0600, key, error) &&
                  file_write(directory, file, ".pem", 0644, chain, error);
    } else {
        error_add(error, nowhere, "cannot encode %s: %s", file, tls_reason().words);
    }
    BIO_free(key);
    BIO_free(chain);
    return written;
}

/* ---- certificates ---------------------------------------------------------------- */

static bool serial_set(X509 *certificate)
{
    unsigned char bytes[SERIAL_SIZE];
    BIGNUM *number = NULL;
    bool set;

    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] &= 0x7f; /* positive */
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    set = number != NULL &&
          BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return set;
}

static bool validity_set(X509 *certificate, int64_t not_before, unsigned days)
{
    int64_t start = not_before != 0 ? not_before : time(NULL);

    return ASN1_TIME_set(X509_getm_notBefore(certificate), start) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate),
                         start + (int64_t)days * SECONDS_PER_DAY) != NULL;
}

static bool subject_set(X509 *certificate, const char *common_name)
{
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN",
                                      MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1;
}

static bool extension_add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool added;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

/* A fresh key and a certificate of it that wants extensions and a signature. */
static bool pair_make(struct pair *pair, int64_t not_before, unsigned days)
{
    pair->key = EVP_EC_gen("P-256");
    pair->certificate = X509_new();
    return pair->key != NULL && pair->certificate != NULL &&
           X509_set_version(pair->certificate, X509_VERSION_3) == 1 &&
           serial_set(pair->certificate) &&
           validity_set(pair->certificate, not_before, days) &&
           X509_set_pubkey(pair->certificate, pair->key) == 1;
}

/* ---- the CA ---------------------------------------------------------------------- */

static bool ca_make(struct pair *ca, const char *common_name, unsigned days)
{
    return pair_make(ca, 0, days) && subject_set(ca->certificate, common_name) &&
           X509_set_issuer_name(ca->certificate,
                                X509_get_subject_name(ca->certificate)) == 1 &&
           extension_add(ca->certificate, ca->certificate, NID_basic_constraints,
                         "critical,CA:TRUE,pathlen:0") &&
           extension_add(ca->certificate, ca->certificate, NID_key_usage,
                         "critical,keyCertSign,cRLSign") &&
           extension_add(ca->certificate, ca->certificate, NID_subject_key_identifier,
                         "hash") &&
           X509_sign(ca->certificate, ca->key, EVP_sha256()) > 0;
}

static bool file_there(const char *directory, const char *file, const char *suffix)
{
    char path[PATH_MAX];

    return path_make(path, directory, file, suffix) && access(path, F_OK) == 0;
}

bool mint_ca(const char *directory, const char *common_name, unsigned days,
             struct error *error)
{
    struct pair ca = { 0 };
    bool made;

    if (file_there(directory, "ca", ".pem") && file_there(directory, "ca", ".key")) {
        return true;
    }
    made = ca_make(&ca, common_name, days);
    if (!made) {
        error_add(error, nowhere, "cannot make a CA: %s", tls_reason().words);
    }
    made = made && pair_write(&ca, NULL, directory, "ca", error);
    pair_done(&ca);
    return made;
}

static BIO *ca_open(const char *directory, const char *suffix)
{
    char path[PATH_MAX];

    return path_make(path, directory, "ca", suffix) ? BIO_new_file(path, "r") : NULL;
}

static bool ca_read(struct pair *ca, const char *directory, struct error *error)
{
    BIO *certificate = ca_open(directory, ".pem");
    BIO *key = ca_open(directory, ".key");
    char no_passphrase[] = "";

    if (certificate != NULL && key != NULL) {
        ca->certificate = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
        ca->key = PEM_read_bio_PrivateKey(key, NULL, NULL, no_passphrase);
    }
    BIO_free(certificate);
    BIO_free(key);
    if (ca->certificate == NULL || ca->key == NULL ||
        X509_check_private_key(ca->certificate, ca->key) != 1) {
        error_add(error, nowhere, "cannot use the CA %s/ca.pem and ca.key: %s",
                  directory, tls_reason().words);
        return false;
    }
    if (X509_cmp_current_time(X509_get0_notAfter(ca->certificate)) < 0) {
        error_add(error, nowhere, "the CA %s/ca.pem has expired; remove it and ca.key",
                  directory);
        return false;
    }
    return true;
}

/* ---- leaves ---------------------------------------------------------------------- */

static bool name_push(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
    GENERAL_NAME *name = value == NULL ? NULL : GENERAL_NAME_new();

    if (name == NULL) {
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(names, name) == 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return true;
}

static ASN1_STRING *ia5_string(const char *text)
{
    ASN1_STRING *string = ASN1_STRING_type_new(V_ASN1_IA5STRING);

    if (string != NULL && ASN1_STRING_set(string, text, -1) != 1) {
        ASN1_STRING_free(string);
        return NULL;
    }
    return string;
}

static bool name_add(GENERAL_NAMES *names, const char *text)
{
    struct in6_addr address;

    if (inet_pton(AF_INET, text, &address) == 1 ||
        inet_pton(AF_INET6, text, &address) == 1) {
        return name_push(names, GEN_IPADD, a2i_IPADDRESS(text));
    }
    return name_push(names, GEN_DNS, ia5_string(text));
}

static GENERAL_NAMES *names_make(const struct mint_leaf *leaf)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool made = names != NULL;

    for (size_t i = 0; made && leaf->names != NULL && leaf->names[i] != NULL; i++) {
        made = name_add(names, leaf->names[i]);
    }
    if (made && leaf->spiffe != NULL) {
        made = name_push(names, GEN_URI, ia5_string(leaf->spiffe));
    }
    if (!made) {
        GENERAL_NAMES_free(names);
        return NULL;
    }
    return names;
}

/* The first name is also the subject, for people who look. Without a subject the names
 * are critical (RFC 5280, section 4.2.1.6). */
static bool names_set(X509 *certificate, const struct mint_leaf *leaf)
{
    GENERAL_NAMES *names = names_make(leaf);
    const char *first = leaf->names != NULL ? leaf->names[0] : NULL;
    bool subject = first != NULL && strlen(first) <= COMMON_NAME_MAX;
    bool set =
        names != NULL && (!subject || subject_set(certificate, first)) &&
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, !subject, 0) == 1;

    GENERAL_NAMES_free(names);
    return set;
}

static bool leaf_make(struct pair *made, const struct pair *ca,
                      const struct mint_leaf *leaf)
{
    return pair_make(made, leaf->not_before, leaf->days) &&
           X509_set_issuer_name(made->certificate,
                                X509_get_subject_name(ca->certificate)) == 1 &&
           names_set(made->certificate, leaf) &&
           extension_add(made->certificate, ca->certificate, NID_basic_constraints,
                         "critical,CA:FALSE") &&
           extension_add(made->certificate, ca->certificate, NID_key_usage,
                         "critical,digitalSignature") &&
           extension_add(made->certificate, ca->certificate, NID_ext_key_usage,
                         leaf->client ? "clientAuth" : "serverAuth") &&
           extension_add(made->certificate, ca->certificate, NID_subject_key_identifier,
                         "hash") &&
           extension_add(made->certificate, ca->certificate,
                         NID_authority_key_identifier, "keyid:always") &&
           X509_sign(made->certificate, ca->key, EVP_sha256()) > 0;
}

bool mint_leaf(const char *directory, const char *file, const struct mint_leaf *leaf,
               struct error *error)
{
    struct pair ca = { 0 };
    struct pair made = { 0 };
    bool written = ca_read(&ca, directory, error);

    if (written && !leaf_make(&made, &ca, leaf)) {
        error_add(error, nowhere, "cannot make the certificate %s: %s", file,
                  tls_reason().words);
        written = false;
    }
    written = written && pair_write(&made, ca.certificate, directory, file, error);
    pair_done(&made);
    pair_done(&ca);
    return written;
}
