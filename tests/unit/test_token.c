/* From tokens to callers: issuers, claims, teams, and what the verifier remembers. */
#include "proxy/base/text.h"
#include "proxy/identity/jwt.h"
#include "proxy/identity/verifier.h"
#include "tests/support/base64url_put.h"
#include "tests/support/remove_folder.h"
#include "tests/support/vectors.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_token.XXXXXX";
static char keys_file[64];

/* A configuration of one issuer, and what trusts it. */
struct rig {
    struct config *config;
    struct jwks_keeper *keeper;
    struct trust *trust;
    struct verifier *verifier;
};

/* ---- keys ------------------------------------------------------------------------ */

static EVP_PKEY *signing_key; /* Ed25519 */
static EVP_PKEY *other_key;

static void put_key(struct text *text, EVP_PKEY *key, const char *id)
{
    unsigned char raw[32];
    size_t len = sizeof raw;

    assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
    text_printf(text, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"",
                id);
    base64url_put(text, span_of((char *)raw, len));
    text_put(text, SPAN("\"}"));
}

static void keys_write(const char *set)
{
    FILE *file = fopen(keys_file, "w");

    assert_non_null(file);
    assert_true(fputs(set, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* header.payload.signature, signed with the key. */
static const char *token_of(EVP_PKEY *key, const char *header, const char *claims)
{
    static char memory[8192];
    struct text text = text_over(memory, sizeof memory - 1);
    EVP_MD_CTX *signer = EVP_MD_CTX_new();
    unsigned char signature[64];
    size_t len = sizeof signature;

    base64url_put(&text, span_text(header));
    text_put_char(&text, '.');
    base64url_put(&text, span_text(claims));
    assert_int_equal(EVP_DigestSignInit(signer, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(signer, signature, &len,
                                    (const unsigned char *)text.at, text.len),
                     1);
    EVP_MD_CTX_free(signer);
    text_put_char(&text, '.');
    base64url_put(&text, span_of((char *)signature, len));
    assert_false(text.full);
    memory[text.len] = '\0';
    return memory;
}

#define HEADER "{\"alg\":\"EdDSA\",\"kid\":\"k1\"}"

static const char *claims_of(const char *more)
{
    static char claims[4096];

    snprintf(claims, sizeof claims,
             "{\"iss\":\"https://idp\",\"aud\":\"meter\",\"exp\":2000%s%s}",
             more[0] == '\0' ? "" : ",", more);
    return claims;
}

/* ---- the rig --------------------------------------------------------------------- */

static struct rig rig_of(const char *issuer, const char *more)
{
    char yaml[4096];
    struct rig rig;
    struct error error;

    error_init(&error);
    snprintf(yaml, sizeof yaml,
             "listen: [{address: 127.0.0.1:80, identify: [key, jwt]}]\n"
             "state: %s\n"
             "providers: {p: {url: 'https://p', dialects: [openai]}}\n"
             "teams:\n"
             "  red: {callers: [ana, bo], services: [ci], tags: {cost_centre: '7'},\n"
             "        aliases: {'00u1': ana, 'https://x/y|ci': ci}}\n"
             "  blue: {callers: [bo]}\n"
             "  guests: {tags: {cost_centre: none}}\n"
             "issuers:\n"
             "  corp: {issuer: '%s', audience: [meter, second],\n"
             "         jwks: 'file:%s', %s}\n",
             folder, issuer, keys_file, more);
    rig.config =
        config_parse("/t.yaml", span_text(yaml), NULL, CONFIG_WITH_SECRETS, &error);
    error_print(&error, stderr);
    assert_non_null(rig.config);
    rig.keeper = jwks_keeper_new(rig.config, NULL, &error);
    error_print(&error, stderr);
    assert_non_null(rig.keeper);
    rig.trust = trust_new(rig.config, rig.keeper, &error);
    assert_non_null(rig.trust);
    rig.verifier = verifier_new();
    error_done(&error);
    return rig;
}

static struct rig rig_new(const char *more)
{
    return rig_of("https://idp", more);
}

static void rig_done(struct rig *rig)
{
    verifier_free(rig->verifier);
    trust_unref(rig->trust);
    jwks_keeper_stop(rig->keeper);
    jwks_keeper_unref(rig->keeper);
    config_free(rig->config);
}

/* "team/name tags service" of the caller, or the name of the fault. */
static const char *verdict(struct rig *rig, const char *token, int64_t now)
{
    static char words[256];
    const struct known_caller *caller;
    enum fault fault =
        verifier_token(rig->verifier, span_text(token), rig->trust, now, &caller);

    if (fault != FAULT_NONE) {
        return fault_row(fault)->name;
    }
    assert_int_equal(strlen(caller->key_id), KEY_ID_SIZE - 1);
    snprintf(words, sizeof words, "%s/%s [%s]%s", caller->team, caller->name,
             caller->tags, caller->service ? " service" : "");
    return words;
}

static int set_up(void **state)
{
    char memory[1024];
    struct text text = text_over(memory, sizeof memory - 1);

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(keys_file, sizeof keys_file, "%s/keys.json", folder);
    signing_key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    other_key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_true(signing_key != NULL && other_key != NULL);
    text_put(&text, SPAN("{\"keys\":["));
    put_key(&text, signing_key, "k1");
    text_put(&text, SPAN("]}"));
    memory[text.len] = '\0';
    keys_write(memory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(signing_key);
    EVP_PKEY_free(other_key);
    return remove_folder(folder);
}

/* ---- tests ----------------------------------------------------------------------- */

static void a_token_names_its_caller(void **state)
{
    static const struct {
        const char *claims, *wanted;
    } cases[] = {
        { "\"sub\":\"ana\"", "red/ana [cost_centre=7]" },
        { "\"sub\":\"00u1\"", "red/ana [cost_centre=7]" },
        { "\"sub\":\"https://x/y|ci\"", "red/ci [cost_centre=7] service" },
        { "\"sub\":\"bo\"", "red/bo [cost_centre=7]" },
        { "\"sub\":\"bo\",\"groups\":[\"green\",\"blue\",\"red\"]", "blue/bo []" },
        { "\"sub\":\"cy\",\"groups\":\"blue\"", "blue/cy []" },
        { "\"sub\":\"cy\"", "guests/cy [cost_centre=none]" },
        { "\"sub\":\"cy\",\"dept\":\"42\"", "guests/cy [cost_centre=42]" },
        { "\"sub\":\"cy\",\"dept\":42", "guests/cy [cost_centre=42]" },
        { "\"sub\":\"cy\",\"dept\":\"a,b=c\"", "guests/cy [cost_centre=none]" },
        { "\"sub\":\"cy\",\"groups\":[\"green\",7,null]",
          "guests/cy [cost_centre=none]" },
        { "\"sub\":\"\"", "bad_credential" },
        { "\"sub\":[\"ana\"]", "bad_credential" },
        { "\"sub\":\"a b\"", "bad_credential" },
        { "\"sub\":\"a\\u000ab\"", "bad_credential" },
        { "\"sub\":\"a\\u00e9\"", "bad_credential" },
        { "\"sub\":\"123456789012345678901234567890123456789012345678\"",
          "bad_credential" },
        { "", "bad_credential" },
    };
    struct rig rig = rig_new(
        "claims: {team: groups, tags: {cost_centre: dept}}, default_team: guests");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *token = token_of(signing_key, HEADER, claims_of(cases[i].claims));

        assert_string_equal(verdict(&rig, token, 1000), cases[i].wanted);
        /* Remembered, it is the same. */
        assert_string_equal(verdict(&rig, token, 1000), cases[i].wanted);
    }
    rig_done(&rig);
}

static void claims_may_lie_deep(void **state)
{
    struct rig rig = rig_new("claims: {caller: a.b.c, team: 'https://x/t'}");

    (void)state;
    assert_string_equal(verdict(&rig,
                                token_of(signing_key, HEADER,
                                         claims_of("\"a\":{\"b\":{\"c\":\"bo\"}},"
                                                   "\"https://x/t\":\"blue\"")),
                                1000),
                        "blue/bo []");
    assert_string_equal(verdict(&rig,
                                token_of(signing_key, HEADER,
                                         claims_of("\"a\":{\"b.c\":\"ana\"}")),
                                1000),
                        "red/ana [cost_centre=7]");
    rig_done(&rig);
}

static void without_a_default_team_strangers_are_refused(void **state)
{
    struct rig rig = rig_new("leeway: 0s");

    (void)state;
    assert_string_equal(verdict(&rig,
                                token_of(signing_key, HEADER,
                                         claims_of("\"sub\":\"cy\"")),
                                1000),
                        "unknown_member");
    assert_string_equal(verdict(&rig,
                                token_of(signing_key, HEADER,
                                         claims_of("\"sub\":\"bo\"")),
                                1000),
                        "red/bo [cost_centre=7]");
    rig_done(&rig);
}

static void times_are_held(void **state)
{
    static const struct {
        const char *claims;
        int64_t now;
        const char *wanted;
    } cases[] = {
        { "{\"exp\":2000}", 1999, NULL },
        { "{\"exp\":2000}", 2009, NULL },
        { "{\"exp\":2000}", 2010, "token_expired" },
        { "{\"exp\":2000.9}", 2009, NULL },
        { "{\"exp\":\"2000\"}", 1000, "token_expired" },
        { "{\"exp\":2e3}", 1000, "token_expired" },
        { "{\"exp\":-1}", 1000, "token_expired" },
        { "{\"exp\":99999999999999999999}", 1000, "token_expired" },
        { "{\"x\":1}", 1000, "token_expired" },
        { "{\"exp\":2000,\"nbf\":1010}", 1000, NULL },
        { "{\"exp\":2000,\"nbf\":1011}", 1000, "bad_credential" },
        { "{\"exp\":2000,\"nbf\":\"x\"}", 1000, "bad_credential" },
        { "{\"exp\":2000,\"iat\":1011}", 1000, "bad_credential" },
        { "{\"exp\":2000,\"iat\":900}", 1000, NULL },
    };
    struct rig rig = rig_new("leeway: 10s");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char claims[256];

        snprintf(claims, sizeof claims,
                 "{\"iss\":\"https://"
                 "idp\",\"aud\":[\"x\",\"second\"],\"sub\":\"ana\",%s",
                 cases[i].claims + 1);
        assert_string_equal(verdict(&rig, token_of(signing_key, HEADER, claims),
                                    cases[i].now),
                            cases[i].wanted == NULL ? "red/ana [cost_centre=7]"
                                                    : cases[i].wanted);
    }
    rig_done(&rig);
}

static void what_is_not_meant_for_us_is_refused(void **state)
{
    static const struct {
        const char *header, *claims, *wanted;
    } cases[] = {
        { HEADER,
          "{\"iss\":\"https://idp\",\"aud\":\"metered\",\"sub\":\"ana\",\"exp\":2000}",
          "token_audience" },
        { HEADER, "{\"iss\":\"https://idp\",\"sub\":\"ana\",\"exp\":2000}",
          "token_audience" },
        { HEADER,
          "{\"iss\":\"https://idp/\",\"aud\":\"meter\",\"sub\":\"ana\",\"exp\":2000}",
          "bad_credential" },
        { HEADER,
          "{\"iss\":\"https://idp\",\"iss\":\"https://idp\",\"aud\":\"meter\","
          "\"sub\":\"ana\",\"exp\":2000}",
          "bad_credential" },
        { HEADER,
          "{\"iss\":\"https://idp\",\"aud\":\"meter\",\"sub\":\"ana\",\"exp\":2000} ",
          NULL },
        { HEADER,
          "{\"iss\":\"https://idp\",\"aud\":\"meter\",\"sub\":\"ana\",\"exp\":2000}x",
          "bad_credential" },
        { "{\"alg\":\"EdDSA\"}", NULL, NULL }, /* the one key of its algorithm */
        { "{\"alg\":\"EdDSA\",\"kid\":\"k2\"}", NULL, "bad_credential" },
        { "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"alg\":\"EdDSA\"}", NULL,
          "bad_credential" },
        { "{\"alg\":\"RS256\",\"kid\":\"k1\"}", NULL, "bad_credential" },
        { "{\"alg\":\"none\",\"kid\":\"k1\"}", NULL, "bad_credential" },
        { "{\"alg\":\"EdDSA\",\"kid\":1}", NULL, "bad_credential" },
        { "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"JWT\"}", NULL, NULL },
        { "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"application/at+jwt\"}", NULL,
          NULL },
        { "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"logout+jwt\"}", NULL,
          "bad_credential" },
        { "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"crit\":[\"b64\"],\"b64\":false}", NULL,
          "bad_credential" },
    };
    struct rig rig = rig_new("leeway: 0s");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *claims =
            cases[i].claims == NULL ? claims_of("\"sub\":\"ana\"") : cases[i].claims;

        assert_string_equal(verdict(&rig,
                                    token_of(signing_key, cases[i].header, claims),
                                    1000),
                            cases[i].wanted == NULL ? "red/ana [cost_centre=7]"
                                                    : cases[i].wanted);
    }
    assert_string_equal(verdict(&rig,
                                token_of(other_key, HEADER,
                                         claims_of("\"sub\":\"ana\"")),
                                1000),
                        "bad_credential");
    rig_done(&rig);
}

/* Every byte of a token counts, also after it was found good once. */
static void a_changed_token_is_another_one(void **state)
{
    struct rig rig = rig_new("leeway: 0s");
    char token[2048];

    (void)state;
    snprintf(token, sizeof token, "%s",
             token_of(signing_key, HEADER, claims_of("\"sub\":\"ana\"")));
    assert_string_equal(verdict(&rig, token, 1000), "red/ana [cost_centre=7]");
    for (size_t i = 0; token[i] != '\0'; i++) {
        char was = token[i];

        token[i] = was == 'A' ? 'B' : 'A';
        assert_string_equal(verdict(&rig, token, 1000), "bad_credential");
        token[i] = '\0';
        assert_string_equal(verdict(&rig, token, 1000), "bad_credential");
        token[i] = was;
    }
    assert_string_equal(verdict(&rig, token, 1999), "red/ana [cost_centre=7]");
    assert_string_equal(verdict(&rig, token, 2000), "token_expired");
    rig_done(&rig);
}

static void another_trust_forgets(void **state)
{
    struct rig rig = rig_new("leeway: 0s");
    struct rig other = rig_new("leeway: 0s, claims: {team: groups}");
    const char *token =
        token_of(signing_key, HEADER, claims_of("\"sub\":\"bo\",\"groups\":\"blue\""));
    struct trust *trust = rig.trust;

    (void)state;
    assert_string_equal(verdict(&rig, token, 1000), "red/bo [cost_centre=7]");
    rig.trust = other.trust;
    assert_string_equal(verdict(&rig, token, 1000), "blue/bo []");
    rig.trust = trust;
    rig_done(&rig);
    rig_done(&other);
}

/* ---- keys that the verifier remembers ------------------------------------------- */

static const char *key_verdict(struct rig *rig, const char *key, int64_t now)
{
    static char words[256];
    const struct known_caller *caller;
    enum fault fault =
        verifier_key(rig->verifier, span_text(key), rig->trust, now, &caller);

    if (fault != FAULT_NONE) {
        return fault_row(fault)->name;
    }
    snprintf(words, sizeof words, "%s/%s %s [%s]%s", caller->team, caller->name,
             caller->key_id, caller->tags, caller->service ? " service" : "");
    return words;
}

static void key_make(const char *caller, int64_t expires, char key[KEY_TEXT_SIZE],
                     struct key_record *made)
{
    struct key_record wanted = { .team = "red", .created = 1, .expires = expires };
    struct error error;

    error_init(&error);
    snprintf(wanted.caller, sizeof wanted.caller, "%s", caller);
    assert_true(key_add(folder, &wanted, key, made, &error));
    error_done(&error);
}

/* Trusts what the store holds now. */
static void trust_again(struct rig *rig)
{
    struct error error;

    error_init(&error);
    trust_unref(rig->trust);
    rig->trust = trust_new(rig->config, rig->keeper, &error);
    assert_non_null(rig->trust);
    error_done(&error);
}

static void a_remembered_key_is_held_to_its_times(void **state)
{
    char key[KEY_TEXT_SIZE], wanted[128];
    struct key_record made;
    struct error error;
    struct rig rig;

    (void)state;
    key_make("ci", 2000, key, &made);
    snprintf(wanted, sizeof wanted, "red/ci %s [cost_centre=7] service", made.id);
    rig = rig_new("leeway: 0s");
    for (int64_t now = 1998; now < 2000; now++) {
        assert_string_equal(key_verdict(&rig, key, now), wanted);
    }
    assert_string_equal(key_verdict(&rig, key, 2000), "bad_credential");
    error_init(&error);
    assert_true(key_revoke(folder, made.id, 1500, &error));
    trust_again(&rig);
    assert_string_equal(key_verdict(&rig, key, 1499), wanted);
    assert_string_equal(key_verdict(&rig, key, 1499), wanted);
    assert_string_equal(key_verdict(&rig, key, 1500), "bad_credential");
    assert_true(key_revoke(folder, made.id, 1000, &error));
    assert_string_equal(key_verdict(&rig, key, 1499), wanted);
    trust_again(&rig);
    assert_string_equal(key_verdict(&rig, key, 1499), "bad_credential");
    rig_done(&rig);
    error_done(&error);
}

static void a_changed_key_is_another_one(void **state)
{
    char key[KEY_TEXT_SIZE];
    struct key_record made;
    struct rig rig;

    (void)state;
    key_make("ana", 0, key, &made);
    rig = rig_new("leeway: 0s");
    for (size_t i = 0; key[i] != '\0'; i++) {
        char was = key[i];

        assert_memory_equal(key_verdict(&rig, key, 1000), "red/ana ", 8);
        key[i] = was == 'a' ? 'b' : 'a';
        assert_string_equal(key_verdict(&rig, key, 1000), "bad_credential");
        key[i] = '\0';
        assert_string_equal(key_verdict(&rig, key, 1000), "bad_credential");
        key[i] = was;
    }
    rig_done(&rig);
}

/* Listeners share the memory, but not what they take. */
static void a_remembered_token_is_no_key(void **state)
{
    struct rig rig = rig_new("leeway: 0s");
    const char *token = token_of(signing_key, HEADER, claims_of("\"sub\":\"ana\""));
    char key[KEY_TEXT_SIZE];
    struct key_record made;

    (void)state;
    assert_string_equal(verdict(&rig, token, 1000), "red/ana [cost_centre=7]");
    assert_string_equal(key_verdict(&rig, token, 1000), "bad_credential");
    key_make("ana", 0, key, &made);
    trust_again(&rig);
    assert_memory_equal(key_verdict(&rig, key, 1000), "red/ana ", 8);
    assert_string_equal(verdict(&rig, key, 1000), "bad_credential");
    rig_done(&rig);
}

/* ---- ../shared/vectors/own-jwt --------------------------------------------------- */

static void own_keys_write(EVP_PKEY *key)
{
    static const char *const names[] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E };
    char memory[2048];
    struct text text = text_over(memory, sizeof memory - 1);

    text_put(&text, SPAN("{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k1\""));
    for (size_t i = 0; i < 2; i++) {
        BIGNUM *number = NULL;
        unsigned char bytes[512];

        assert_int_equal(EVP_PKEY_get_bn_param(key, names[i], &number), 1);
        text_printf(&text, ",\"%s\":\"", names[i]);
        base64url_put(&text, span_of((char *)bytes, (size_t)BN_bn2bin(number, bytes)));
        text_put(&text, SPAN("\""));
        BN_free(number);
    }
    text_put(&text, SPAN("}]}"));
    memory[text.len] = '\0';
    keys_write(memory);
}

static struct rig own_rig(void)
{
    BIO *file = BIO_new_file("../shared/vectors/own-jwt/rsa.pub.pem", "r");
    EVP_PKEY *key = PEM_read_bio_PUBKEY(file, NULL, NULL, NULL);

    assert_non_null(key);
    own_keys_write(key);
    EVP_PKEY_free(key);
    BIO_free(file);
    return rig_of("https://idp.example", "default_team: guests");
}

static void own_tokens(void **state)
{
    struct vectors vectors;
    const cJSON *object;
    size_t count = 0;
    struct rig rig;

    (void)state;
    if (!vectors_open(&vectors, "own-jwt/tokens.jsonl")) {
        print_message("# SKIP ../shared/vectors/own-jwt is absent\n");
        skip();
    }
    rig = own_rig();
    while ((object = vectors_next(&vectors)) != NULL) {
        const char *wanted = vectors_string(object, "want");
        const cJSON *now = cJSON_GetObjectItemCaseSensitive(object, "now");
        const char *got =
            verdict(&rig, vectors_string(object, "token"), (int64_t)now->valuedouble);

        if (strncmp(wanted, "accept", 6) == 0
                ? strcmp(got, "guests/alice [cost_centre=none]") != 0
                : strchr(got, '/') != NULL) {
            fail_msg("%s: wanted %s, got %s", vectors_string(object, "id"), wanted,
                     got);
        }
        count++;
    }
    assert_int_equal(count, 30);
    vectors_close(&vectors);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_names_its_caller),
        cmocka_unit_test(claims_may_lie_deep),
        cmocka_unit_test(without_a_default_team_strangers_are_refused),
        cmocka_unit_test(times_are_held),
        cmocka_unit_test(what_is_not_meant_for_us_is_refused),
        cmocka_unit_test(a_changed_token_is_another_one),
        cmocka_unit_test(another_trust_forgets),
        cmocka_unit_test(a_remembered_key_is_held_to_its_times),
        cmocka_unit_test(a_changed_key_is_another_one),
        cmocka_unit_test(a_remembered_token_is_no_key),
        cmocka_unit_test(own_tokens),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
