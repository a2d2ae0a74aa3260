/* What knowing a caller costs, as CPU time: a virtual key, a token that was verified
 * before, and tokens that have to be verified. */
#include "proxy/identity/identity.h"

#include "proxy/base/clock.h"
#include "proxy/base/text.h"
#include "proxy/identity/jwt.h"
#include "tests/support/base64url_put.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 1000000, FRESH = 2000, TOKEN_ROOM = 4096 };

static char folder[] = "/tmp/micro_identity.XXXXXX";
static struct config_listener listener = { .identify = {
                                               2, { IDENTIFY_KEY, IDENTIFY_JWT } } };

static uint64_t cpu_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/* ---- keys and tokens ------------------------------------------------------------- */

static void put_number(struct text *text, EVP_PKEY *key, const char *parameter,
                       const char *name)
{
    unsigned char bytes[512];
    BIGNUM *number = NULL;

    CHECK(EVP_PKEY_get_bn_param(key, parameter, &number) == 1);
    text_printf(text, ",\"%s\":\"", name);
    base64url_put(text, span_of((char *)bytes, (size_t)BN_bn2bin(number, bytes)));
    text_put_char(text, '"');
    BN_free(number);
}

static void put_keys(struct text *text, EVP_PKEY *rsa, EVP_PKEY *edwards)
{
    unsigned char raw[32];
    size_t len = sizeof raw;

    text_put(text, SPAN("{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\""));
    put_number(text, rsa, OSSL_PKEY_PARAM_RSA_N, "n");
    put_number(text, rsa, OSSL_PKEY_PARAM_RSA_E, "e");
    CHECK(EVP_PKEY_get_raw_public_key(edwards, raw, &len) == 1);
    text_put(text,
             SPAN("},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"e\",\"x\":\""));
    base64url_put(text, span_of((char *)raw, len));
    text_put(text, SPAN("\"}]}"));
}

/* Of about a thousand bytes, as identity providers make them. */
static struct span token_make(EVP_PKEY *key, const char *algorithm, const char *id,
                              unsigned number, char memory[TOKEN_ROOM])
{
    struct text text = text_over(memory, TOKEN_ROOM);
    EVP_MD_CTX *signer = EVP_MD_CTX_new();
    unsigned char signature[512];
    char part[1024];
    size_t len = sizeof signature;

    snprintf(part, sizeof part, "{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithm, id);
    base64url_put(&text, span_text(part));
    text_put_char(&text, '.');
    snprintf(part, sizeof part,
             "{\"iss\":\"https://idp\",\"aud\":\"assay\",\"exp\":4000000000,"
             "\"sub\":\"ana\",\"n\":%u,\"filler\":\"%0400d\"}",
             number, 0);
    base64url_put(&text, span_text(part));
    CHECK(EVP_DigestSignInit(signer, NULL, strcmp(id, "r") == 0 ? EVP_sha256() : NULL,
                             NULL, key) == 1);
    CHECK(EVP_DigestSign(signer, signature, &len, (const unsigned char *)text.at,
                         text.len) == 1);
    EVP_MD_CTX_free(signer);
    text_put_char(&text, '.');
    base64url_put(&text, span_of((char *)signature, len));
    CHECK(!text.full);
    return text_span(&text);
}

/* ---- measuring ------------------------------------------------------------------- */

static void verify(struct verifier *verifier, const struct trust *trust,
                   struct span credential)
{
    static struct head head;
    struct caller caller;

    head.field_count = 1;
    head.fields[0] = (struct field){ .id = FIELD_X_API_KEY, .value = credential };
    CHECK(identity_verify(verifier, trust,
                          &(struct evidence){ .head = &head,
                                              .listener = &listener,
                                              .now_unix_ns = clock_unix_ns() },
                          &caller) == FAULT_NONE);
}

static void measure_again(const char *what, struct verifier *verifier,
                          const struct trust *trust, struct span credential)
{
    uint64_t began = cpu_ns();

    for (unsigned i = 0; i < CALLS; i++) {
        verify(verifier, trust, credential);
    }
    printf("%-36s %8.0f ns, %zu bytes\n", what, (double)(cpu_ns() - began) / CALLS,
           credential.len);
}

static void measure_fresh(const char *what, struct verifier *verifier,
                          const struct trust *trust, EVP_PKEY *key,
                          const char *algorithm, const char *id)
{
    char(*memory)[TOKEN_ROOM] = calloc(FRESH, TOKEN_ROOM);
    struct span *tokens = calloc(FRESH, sizeof *tokens);
    uint64_t began;

    CHECK(memory != NULL && tokens != NULL);
    for (unsigned i = 0; i < FRESH; i++) {
        tokens[i] = token_make(key, algorithm, id, i, memory[i]);
    }
    began = cpu_ns();
    for (unsigned i = 0; i < FRESH; i++) {
        verify(verifier, trust, tokens[i]);
    }
    printf("%-36s %8.0f ns\n", what, (double)(cpu_ns() - began) / FRESH);
    free(tokens);
    free(memory);
}

static struct config *config_make(EVP_PKEY *rsa, EVP_PKEY *edwards)
{
    char memory[4096], path[128], yaml[1024];
    struct text keys = text_over(memory, sizeof memory);
    struct config *config;
    struct error error;
    FILE *file;

    put_keys(&keys, rsa, edwards);
    snprintf(path, sizeof path, "%s/keys.json", folder);
    file = fopen(path, "w");
    CHECK(file != NULL && fwrite(keys.at, 1, keys.len, file) == keys.len &&
          fclose(file) == 0);
    snprintf(yaml, sizeof yaml,
             "listen: [{address: 127.0.0.1:1, identify: [key, jwt]}]\n"
             "state: %s\n"
             "providers: {p: {url: 'https://p', dialects: [openai]}}\n"
             "teams: {platform: {callers: [ana]}}\n"
             "issuers: {i: {issuer: 'https://idp', audience: [assay], jwks: "
             "'file:%s'}}\n",
             folder, path);
    error_init(&error);
    config =
        config_parse("/micro.yaml", span_text(yaml), NULL, CONFIG_WITH_SECRETS, &error);
    error_print(&error, stderr);
    CHECK(config != NULL);
    return config;
}

static void folder_remove(void)
{
    static const char *const files[] = { "keys.json", "keys.db", "keys.db-wal",
                                         "keys.db-shm" };
    char path[128];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)remove(path);
    }
    (void)remove(folder);
}

int main(void)
{
    const struct key_record wanted = { .team = "platform", .caller = "ana" };
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    EVP_PKEY *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct verifier *verifier = verifier_new();
    char key[KEY_TEXT_SIZE], memory[TOKEN_ROOM];
    struct key_record made;
    struct jwks_keeper *keeper;
    struct config *config;
    struct trust *trust;
    struct error error;

    error_init(&error);
    CHECK(mkdtemp(folder) != NULL);
    config = config_make(rsa, edwards);
    CHECK(key_add(folder, &wanted, key, &made, &error));
    keeper = jwks_keeper_new(config, NULL, &error);
    trust = keeper == NULL ? NULL : trust_new(config, keeper, &error);
    error_print(&error, stderr);
    CHECK(trust != NULL && verifier != NULL);
    measure_again("virtual key", verifier, trust, span_text(key));
    measure_again("token, verified before", verifier, trust,
                  token_make(rsa, "RS256", "r", 0, memory));
    measure_fresh("token, RS256 of 2,048 bits", verifier, trust, rsa, "RS256", "r");
    measure_fresh("token, Ed25519", verifier, trust, edwards, "EdDSA", "e");
    trust_unref(trust);
    jwks_keeper_unref(keeper);
    verifier_free(verifier);
    config_free(config);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(edwards);
    folder_remove();
    return 0;
}
