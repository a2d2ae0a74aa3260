#include "proxy/identity/jwk.h"

#include "proxy/identity/base64url.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <stdlib.h>

enum {
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    EXPONENT_BYTES_MAX = 8,
    SECRET_BYTES_MAX = 1024,
    KEY_ID_MAX = 256,
    BUDGET = 64 * 1024 /* of the decoded parts of one key */
};

/* An algorithm, and the keys that it is for. */
struct algorithm {
    const char *name;
    const char *type;   /* "kty" */
    const char *curve;  /* "crv"; NULL: of no curve */
    const char *digest; /* NULL: built in */
    const char *group;  /* OpenSSL's name of the curve */
    size_t part; /* bytes of a coordinate, of each half of a signature, of a key */
    bool pss;
};

static const struct algorithm algorithms[] = {
    { .name = "RS256", .type = "RSA", .digest = "SHA256" },
    { .name = "RS384", .type = "RSA", .digest = "SHA384" },
    { .name = "RS512", .type = "RSA", .digest = "SHA512" },
    { .name = "PS256", .type = "RSA", .digest = "SHA256", .pss = true },
    { .name = "PS384", .type = "RSA", .digest = "SHA384", .pss = true },
    { .name = "PS512", .type = "RSA", .digest = "SHA512", .pss = true },
    { "ES256", "EC", "P-256", "SHA256", "P-256", 32, false },
    { "ES384", "EC", "P-384", "SHA384", "P-384", 48, false },
    { "ES512", "EC", "P-521", "SHA512", "P-521", 66, false },
    { "EdDSA", "OKP", "Ed25519", NULL, "ED25519", 32, false },
    { "EdDSA", "OKP", "Ed448", NULL, "ED448", 57, false },
    { .name = "HS256", .type = "oct", .digest = "SHA256", .part = 32 },
    { .name = "HS384", .type = "oct", .digest = "SHA384", .part = 48 },
    { .name = "HS512", .type = "oct", .digest = "SHA512", .part = 64 },
};

enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

struct jwk {
    const struct algorithm *algorithm;
    EVP_PKEY *key; /* NULL: a secret */
    unsigned char secret[SECRET_BYTES_MAX];
    size_t secret_len;
    char id[KEY_ID_MAX];
    size_t id_len;
};

static bool is(struct span text, const char *word)
{
    return word != NULL && span_equal(text, span_text(word));
}

/* ---- what a key is for ----------------------------------------------------------- */

static bool serves_signatures(const struct json_node *object)
{
    const struct json_node *use = json_member(object, SPAN("use"));
    const struct json_node *operations = json_member(object, SPAN("key_ops"));
    const struct json_node *operation;

    if (use != NULL && !is(json_string(use), "sig")) {
        return false;
    }
    if (operations == NULL) {
        return true;
    }
    operation = operations->kind == JSON_ARRAY ? operations->first : NULL;
    while (operation != NULL && !is(json_string(operation), "verify")) {
        operation = operation->next;
    }
    return operation != NULL;
}

/* "ES521" is a common slip for ES512, whose curve is P-521; the curve decides. */
static bool is_named(const struct algorithm *row, struct span name)
{
    return is(name, row->name) ||
           (is(name, "ES521") && strcmp(row->name, "ES512") == 0);
}

static const struct algorithm *algorithm_of(const struct json_node *object,
                                            const char *rsa_algorithm)
{
    struct span type = json_string(json_member(object, SPAN("kty")));
    struct span curve = json_string(json_member(object, SPAN("crv")));
    const struct json_node *said = json_member(object, SPAN("alg"));
    struct span name = json_string(said);

    if (said == NULL && is(type, "RSA")) {
        name = span_text(rsa_algorithm);
    }
    for (size_t i = 0; i < ALGORITHMS; i++) {
        const struct algorithm *row = &algorithms[i];
        bool by_curve = said == NULL && row->curve != NULL;

        if (is(type, row->type) && (row->curve == NULL || is(curve, row->curve)) &&
            (by_curve || is_named(row, name))) {
            return row;
        }
    }
    return NULL;
}

/* ---- parameters ------------------------------------------------------------------ */

static struct span bytes_of(const struct json_node *object, struct span name,
                            struct arena *arena)
{
    const struct json_node *member = json_member(object, name);

    return member == NULL || member->kind != JSON_STRING
               ? span_of(NULL, 0)
               : base64url_read(member->text, arena);
}

static BIGNUM *number_of(struct span bytes)
{
    return bytes.at == NULL || bytes.len == 0
               ? NULL
               : BN_bin2bn((const unsigned char *)bytes.at, (int)bytes.len, NULL);
}

static EVP_PKEY *key_make(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *key = NULL;

    if (maker == NULL || parameters == NULL || EVP_PKEY_fromdata_init(maker) != 1 ||
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
        key = NULL;
    }
    OSSL_PARAM_free(parameters);
    EVP_PKEY_CTX_free(maker);
    return key;
}

/* Moduli that a broken generator made can be factored (CVE-2017-15361, "ROCA"): modulo
 * each of these primes they are a power of 65537, which others are by chance once in
 * 2^27. */
static bool is_roca(const BIGNUM *modulus)
{
    static const uint16_t primes[] = { 11, 13, 17,  19,  37,  53,  61,  71, 73,
                                       79, 97, 103, 107, 109, 127, 151, 157 };

    for (size_t i = 0; i < sizeof primes / sizeof primes[0]; i++) {
        BN_ULONG rest = BN_mod_word(modulus, primes[i]);
        unsigned power = 1, seen = 0;

        do {
            power = power * (65537 % primes[i]) % primes[i];
        } while (power != rest && ++seen < primes[i]);
        if (power != rest) {
            return false;
        }
    }
    return true;
}

static bool rsa_sound(const BIGNUM *modulus, const BIGNUM *exponent)
{
    return BN_num_bits(modulus) >= RSA_BITS_MIN &&
           BN_num_bits(modulus) <= RSA_BITS_MAX && BN_is_odd(modulus) &&
           BN_is_odd(exponent) && !BN_is_one(exponent) &&
           BN_num_bytes(exponent) <= EXPONENT_BYTES_MAX && !is_roca(modulus);
}

static EVP_PKEY *rsa_read(const struct json_node *object, struct arena *arena)
{
    BIGNUM *modulus = number_of(bytes_of(object, SPAN("n"), arena));
    BIGNUM *exponent = number_of(bytes_of(object, SPAN("e"), arena));
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;

    if (modulus != NULL && exponent != NULL && builder != NULL &&
        rsa_sound(modulus, exponent) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        key = key_make("RSA", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static bool is_sound(EVP_PKEY *key)
{
    EVP_PKEY_CTX *checker = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool sound = checker != NULL && EVP_PKEY_public_check(checker) == 1;

    EVP_PKEY_CTX_free(checker);
    return sound;
}

static EVP_PKEY *ec_read(const struct json_node *object,
                         const struct algorithm *algorithm, struct arena *arena)
{
    struct span x = bytes_of(object, SPAN("x"), arena);
    struct span y = bytes_of(object, SPAN("y"), arena);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    unsigned char point[1 + 2 * 66] = { POINT_CONVERSION_UNCOMPRESSED };
    size_t part = algorithm->part;
    EVP_PKEY *key = NULL;

    if (builder != NULL && x.at != NULL && y.at != NULL && x.len == part &&
        y.len == part) {
        memcpy(point + 1, x.at, part);
        memcpy(point + 1 + part, y.at, part);
        if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                            algorithm->group, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                             1 + 2 * part) == 1) {
            key = key_make("EC", builder);
        }
    }
    OSSL_PARAM_BLD_free(builder);
    if (key != NULL && !is_sound(key)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static EVP_PKEY *edwards_read(const struct json_node *object,
                              const struct algorithm *algorithm, struct arena *arena)
{
    struct span x = bytes_of(object, SPAN("x"), arena);

    return x.at == NULL || x.len != algorithm->part
               ? NULL
               : EVP_PKEY_new_raw_public_key_ex(NULL, algorithm->group, NULL,
                                                (const unsigned char *)x.at, x.len);
}

static bool secret_store(struct jwk *jwk, struct span secret)
{
    if (secret.at == NULL || secret.len < jwk->algorithm->part ||
        secret.len > sizeof jwk->secret) {
        return false;
    }
    memcpy(jwk->secret, secret.at, secret.len);
    OPENSSL_cleanse((void *)(uintptr_t)secret.at, secret.len);
    jwk->secret_len = secret.len;
    return true;
}

/* ---- keys ------------------------------------------------------------------------ */

static bool material_read(struct jwk *jwk, const struct json_node *object,
                          struct arena *arena)
{
    const struct algorithm *algorithm = jwk->algorithm;

    if (strcmp(algorithm->type, "oct") == 0) {
        return secret_store(jwk, bytes_of(object, SPAN("k"), arena));
    }
    if (strcmp(algorithm->type, "RSA") == 0) {
        jwk->key = rsa_read(object, arena);
    } else if (strcmp(algorithm->type, "EC") == 0) {
        jwk->key = ec_read(object, algorithm, arena);
    } else {
        jwk->key = edwards_read(object, algorithm, arena);
    }
    return jwk->key != NULL;
}

static bool id_read(struct jwk *jwk, const struct json_node *object)
{
    const struct json_node *id = json_member(object, SPAN("kid"));
    struct span text = json_string(id);

    if (id != NULL && (id->kind != JSON_STRING || text.len > sizeof jwk->id)) {
        return false;
    }
    memcpy(jwk->id, text.len == 0 ? "" : text.at, text.len);
    jwk->id_len = text.len;
    return true;
}

struct jwk *jwk_read(const struct json_node *object, const char *rsa_algorithm)
{
    const struct algorithm *algorithm =
        serves_signatures(object) ? algorithm_of(object, rsa_algorithm) : NULL;
    struct jwk *jwk = algorithm == NULL ? NULL : calloc(1, sizeof *jwk);
    struct arena_pool pool;
    struct arena arena;
    bool read;

    if (jwk == NULL) {
        return NULL;
    }
    jwk->algorithm = algorithm;
    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, BUDGET);
    read = id_read(jwk, object) && material_read(jwk, object, &arena);
    arena_done(&arena);
    arena_pool_done(&pool);
    ERR_clear_error();
    return read ? jwk : jwk_free(jwk);
}

struct jwk *jwk_free(struct jwk *jwk)
{
    if (jwk != NULL) {
        EVP_PKEY_free(jwk->key);
        OPENSSL_cleanse(jwk->secret, sizeof jwk->secret);
        free(jwk);
    }
    return NULL;
}

struct span jwk_id(const struct jwk *jwk)
{
    return span_of(jwk->id, jwk->id_len);
}

struct span jwk_algorithm(const struct jwk *jwk)
{
    return span_text(jwk->algorithm->name);
}

bool jwk_is_secret(const struct jwk *jwk)
{
    return jwk->key == NULL;
}

/* ---- verifying ------------------------------------------------------------------- */

static bool secret_verify(const struct jwk *jwk, struct span text,
                          struct span signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t len;

    return EVP_Q_mac(NULL, "HMAC", NULL, jwk->algorithm->digest, NULL, jwk->secret,
                     jwk->secret_len, (const unsigned char *)text.at, text.len, mac,
                     sizeof mac, &len) != NULL &&
           signature.len == len && CRYPTO_memcmp(mac, signature.at, len) == 0;
}

/* Tokens carry the two numbers of an ECDSA signature side by side;
 * OpenSSL wants DER. */
static struct span der_signature(const struct algorithm *algorithm,
                                 struct span signature, unsigned char **der)
{
    const unsigned char *at = (const unsigned char *)signature.at;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    int half = (int)algorithm->part;
    BIGNUM *r = BN_bin2bn(at, half, NULL), *s = BN_bin2bn(at + half, half, NULL);
    int len = 0;

    if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
        len = i2d_ECDSA_SIG(pair, der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    return span_of((const char *)*der, len > 0 ? (size_t)len : 0);
}

static bool padding_set(EVP_PKEY_CTX *settings, const struct algorithm *algorithm)
{
    return !algorithm->pss ||
           (EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool public_verify(const struct jwk *jwk, struct span text,
                          struct span signature)
{
    const struct algorithm *algorithm = jwk->algorithm;
    EVP_MD_CTX *verifier = EVP_MD_CTX_new();
    EVP_PKEY_CTX *settings;
    bool good;

    good =
        verifier != NULL &&
        EVP_DigestVerifyInit_ex(verifier, &settings, algorithm->digest, NULL, NULL,
                                jwk->key, NULL) == 1 &&
        padding_set(settings, algorithm) &&
        EVP_DigestVerify(verifier, (const unsigned char *)signature.at, signature.len,
                         (const unsigned char *)text.at, text.len) == 1;
    EVP_MD_CTX_free(verifier);
    ERR_clear_error();
    return good;
}

bool jwk_verify(const struct jwk *jwk, struct span text, struct span signature)
{
    const struct algorithm *algorithm = jwk->algorithm;
    unsigned char *der = NULL;
    bool good;

    if (jwk->key == NULL) {
        return secret_verify(jwk, text, signature);
    }
    if (strcmp(algorithm->type, "EC") != 0) {
        return public_verify(jwk, text, signature);
    }
    if (signature.len != 2 * algorithm->part) {
        return false;
    }
    good = public_verify(jwk, text, der_signature(algorithm, signature, &der));
    OPENSSL_free(der);
    return good;
}
