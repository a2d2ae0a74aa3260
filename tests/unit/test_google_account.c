#include "proxy/credential/google_account.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW_S = 1795291200 };

static char path[] = "/tmp/test_google_account.XXXXXX";
static EVP_PKEY *key;

static int set_up(void **state)
{
    int file = mkstemp(path);

    (void)state;
    key = EVP_RSA_gen(2048);
    return file < 0 || close(file) != 0 || key == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    return remove(path);
}

/* A key file with this private key (NULL: none) and these further members. */
static void write_file(EVP_PKEY *private_key, const char *type, const char *members)
{
    BIO *pem = BIO_new(BIO_s_mem());
    cJSON *object = cJSON_Parse(members);
    FILE *file = fopen(path, "w");
    char *text;
    long len;

    assert_non_null(file);
    assert_non_null(object);
    cJSON_AddStringToObject(object, "type", type);
    if (private_key != NULL) {
        PEM_write_bio_PrivateKey(pem, private_key, NULL, NULL, 0, NULL, NULL);
        BIO_write(pem, "", 1);
        len = BIO_get_mem_data(pem, &text);
        assert_true(len > 0);
        cJSON_AddStringToObject(object, "private_key", text);
    }
    text = cJSON_Print(object);
    fputs(text, file);
    cJSON_free(text);
    cJSON_Delete(object);
    assert_int_equal(fclose(file), 0);
    BIO_free(pem);
}

#define ACCOUNT                                                                        \
    "{\"client_email\":\"meter@p.example\",\"private_key_id\":\"k1\",\"token_uri\":"   \
    "\"https://oauth2.example/token\"}"

static struct google_account *read_file(const char *mistake)
{
    struct google_account *account;
    struct error error;

    error_init(&error);
    account = google_account_read(path, &error);
    if (mistake == NULL) {
        error_print(&error, stderr);
        assert_non_null(account);
    } else {
        assert_null(account);
        assert_int_equal(error.count, 1);
        assert_non_null(strstr(error.entries[0].words, mistake));
    }
    error_done(&error);
    return account;
}

/* Base64url without padding. */
static size_t decode(struct span text, unsigned char *out)
{
    char padded[2048];
    size_t len = text.len;

    assert_true(len + 4 < sizeof padded);
    for (size_t i = 0; i < len; i++) {
        padded[i] = text.at[i] == '-' ? '+' : (text.at[i] == '_' ? '/' : text.at[i]);
        assert_true(text.at[i] != '=' && text.at[i] != '+' && text.at[i] != '/');
    }
    while (len % 4 != 0) {
        padded[len++] = '=';
    }
    assert_int_equal(EVP_DecodeBlock(out, (unsigned char *)padded, (int)len),
                     (int)(len / 4 * 3));
    return text.len * 3 / 4;
}

static void verify(struct span signed_part, struct span signature)
{
    EVP_MD_CTX *verifier = EVP_MD_CTX_new();
    unsigned char bytes[2048];
    size_t len = decode(signature, bytes);

    assert_int_equal(EVP_DigestVerifyInit(verifier, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(verifier, bytes, len,
                                      (const unsigned char *)signed_part.at,
                                      signed_part.len),
                     1);
    EVP_MD_CTX_free(verifier);
}

static void signs_a_claim(void **state)
{
    struct google_account *account;
    struct span claim, header = { NULL, 0 }, payload = { NULL, 0 };
    unsigned char json[2048];
    char *form;

    (void)state;
    write_file(key, "service_account", ACCOUNT);
    account = read_file(NULL);
    assert_string_equal(google_account_token_uri(account),
                        "https://oauth2.example/token");
    form = google_account_form(account, "a scope", NOW_S);
    claim = span_text(strstr(form, "&assertion=") + strlen("&assertion="));
    verify(span_of(claim.at, (size_t)(strrchr(claim.at, '.') - claim.at)),
           span_text(strrchr(claim.at, '.') + 1));
    assert_true(span_next(&claim, '.', &header) && span_next(&claim, '.', &payload));
    json[decode(header, json)] = '\0';
    assert_string_equal((char *)json,
                        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
    json[decode(payload, json)] = '\0';
    assert_string_equal((char *)json,
                        "{\"iss\":\"meter@p.example\",\"scope\":\"a scope\",\"aud\":"
                        "\"https://oauth2.example/token\",\"iat\":1795291200,\"exp\":"
                        "1795294800}");
    free(form);
    google_account_free(account);
}

static void refuses_what_is_no_account(void **state)
{
    EVP_PKEY *small = EVP_RSA_gen(1024), *curve = EVP_EC_gen("P-256");

    (void)state;
    write_file(key, "authorized_user", ACCOUNT);
    read_file("not the JSON key of a service account");
    write_file(key, "service_account", "{\"client_email\":\"a\"}");
    read_file("no \"token_uri\"");
    write_file(NULL, "service_account", ACCOUNT);
    read_file("no RSA key");
    write_file(small, "service_account", ACCOUNT);
    read_file("no RSA key");
    write_file(curve, "service_account", ACCOUNT);
    read_file("no RSA key");
    assert_int_equal(chmod(path, 0644), 0);
    read_file("open to group or others");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 1), 0);
    read_file("is not JSON");
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
}

static void reads_tokens(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"access_token\":\"a\"}",
        "{\"access_token\":\"a\",\"expires_in\":0}",
        "{\"access_token\":\"a\",\"expires_in\":\"60\"}",
        "{\"access_token\":7,\"expires_in\":60}",
        "{\"error\":\"invalid_grant\"}",
    };
    struct credential *token =
        google_token_of_json(SPAN("{\"access_token\":\"ya29.x\",\"expires_in\":3599}"),
                             NOW_S);

    (void)state;
    assert_non_null(token);
    assert_true(secret_equal(token->secret, SPAN("ya29.x")));
    assert_int_equal(token->expires_s, NOW_S + 3599);
    credential_unref(token);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(google_token_of_json(span_text(bad[i]), NOW_S));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_a_claim),
        cmocka_unit_test(refuses_what_is_no_account),
        cmocka_unit_test(reads_tokens),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
