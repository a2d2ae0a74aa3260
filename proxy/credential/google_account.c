#include "proxy/credential/google_account.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <stdlib.h>

enum { CLAIM_S = 3600, KEY_BITS_MIN = 2048 };

struct google_account {
    char *email;
    char *key_id;
    char *token_uri;
    EVP_PKEY *key;
};

struct google_account *google_account_free(struct google_account *account)
{
    if (account != NULL) {
        free(account->email);
        free(account->key_id);
        free(account->token_uri);
        EVP_PKEY_free(account->key);
        free(account);
    }
    return NULL;
}

const char *google_account_token_uri(const struct google_account *account)
{
    return account->token_uri;
}

/* ---- reading --------------------------------------------------------------------- */

static const char *member(const cJSON *object, const char *name)
{
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text == NULL ? "" : text;
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);

    CHECK(copy != NULL);
    return copy;
}

static EVP_PKEY *key_of(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    if (key != NULL && (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
                        EVP_PKEY_get_bits(key) < KEY_BITS_MIN)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

/* NULL, or what is missing. */
static const char *account_fill(struct google_account *account, const cJSON *object)
{
    if (strcmp(member(object, "type"), "service_account") != 0) {
        return "is not the JSON key of a service account (\"type\": "
               "\"service_account\")";
    }
    account->email = copy_of(member(object, "client_email"));
    account->key_id = copy_of(member(object, "private_key_id"));
    account->token_uri = copy_of(member(object, "token_uri"));
    if (account->email[0] == '\0' || account->token_uri[0] == '\0') {
        return "has no \"client_email\" or no \"token_uri\"";
    }
    account->key = key_of(member(object, "private_key"));
    return account->key == NULL ? "has no RSA key in \"private_key\"" : NULL;
}

static cJSON *file_json(const char *path, struct error *error)
{
    const struct error_place place = { .file = path };
    char *source = NULL;
    struct secret *secret;
    cJSON *object;

    if (asprintf(&source, "file:%s", path) < 0) {
        return NULL;
    }
    secret = secret_read(span_text(source), place, error);
    free(source);
    if (secret == NULL) {
        return NULL;
    }
    object = cJSON_ParseWithLength(secret_reveal(secret).at, secret_reveal(secret).len);
    if (object == NULL) {
        error_add(error, place, "is not JSON");
    }
    secret_free(secret);
    return object;
}

struct google_account *google_account_read(const char *path, struct error *error)
{
    const struct error_place place = { .file = path };
    struct google_account *account;
    cJSON *object = file_json(path, error), *pem;
    const char *wrong;

    if (object == NULL) {
        return NULL;
    }
    account = calloc(1, sizeof *account);
    CHECK(account != NULL);
    wrong = account_fill(account, object);
    if (wrong != NULL) {
        error_add(error, place, "%s", wrong);
        account = google_account_free(account);
    }
    pem = cJSON_GetObjectItemCaseSensitive(object, "private_key");
    if (cJSON_IsString(pem)) {
        explicit_bzero(pem->valuestring, strlen(pem->valuestring));
    }
    cJSON_Delete(object);
    return account;
}

/* ---- the signed claim (RFC 7515) ------------------------------------------------- */

/* Appends in base64url without padding; the text grows. */
static char *put_base64(char *text, const unsigned char *bytes, size_t len)
{
    size_t used = strlen(text), end;
    char *grown = realloc(text, used + 4 * (len / 3 + 1) + 1);

    CHECK(grown != NULL);
    end =
        used + (size_t)EVP_EncodeBlock((unsigned char *)grown + used, bytes, (int)len);
    while (end > used && grown[end - 1] == '=') {
        grown[--end] = '\0';
    }
    for (char *c = grown + used; *c != '\0'; c++) {
        *c = *c == '+' ? '-' : (*c == '/' ? '_' : *c);
    }
    return grown;
}

static char *put_object(char *text, cJSON *object)
{
    char *json = cJSON_PrintUnformatted(object);

    CHECK(json != NULL);
    text = put_base64(text, (const unsigned char *)json, strlen(json));
    cJSON_free(json);
    cJSON_Delete(object);
    return text;
}

static cJSON *header_of(const struct google_account *account)
{
    cJSON *header = cJSON_CreateObject();

    cJSON_AddStringToObject(header, "alg", "RS256");
    cJSON_AddStringToObject(header, "typ", "JWT");
    if (account->key_id[0] != '\0') {
        cJSON_AddStringToObject(header, "kid", account->key_id);
    }
    return header;
}

static cJSON *claim_of(const struct google_account *account, const char *scope,
                       uint64_t now_s)
{
    cJSON *claim = cJSON_CreateObject();

    cJSON_AddStringToObject(claim, "iss", account->email);
    cJSON_AddStringToObject(claim, "scope", scope);
    cJSON_AddStringToObject(claim, "aud", account->token_uri);
    cJSON_AddNumberToObject(claim, "iat", (double)now_s);
    cJSON_AddNumberToObject(claim, "exp", (double)(now_s + CLAIM_S));
    return claim;
}

static char *put_char(char *text, char c)
{
    size_t len = strlen(text);
    char *grown = realloc(text, len + 2);

    CHECK(grown != NULL);
    grown[len] = c;
    grown[len + 1] = '\0';
    return grown;
}

static char *put_signature(char *text, size_t from, EVP_PKEY *key)
{
    EVP_MD_CTX *signer = EVP_MD_CTX_new();
    size_t len = (size_t)EVP_PKEY_get_size(key);
    unsigned char *signature = malloc(len);

    CHECK(signer != NULL && signature != NULL);
    CHECK(EVP_DigestSignInit(signer, NULL, EVP_sha256(), NULL, key) == 1);
    CHECK(EVP_DigestSign(signer, signature, &len, (const unsigned char *)text + from,
                         strlen(text + from)) == 1);
    EVP_MD_CTX_free(signer);
    text = put_base64(put_char(text, '.'), signature, len);
    free(signature);
    return text;
}

char *google_account_form(const struct google_account *account, const char *scope,
                          uint64_t now_s)
{
    static const char grant[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    size_t from = strlen(grant);
    char *form = copy_of(grant);

    form = put_object(form, header_of(account));
    form = put_object(put_char(form, '.'), claim_of(account, scope, now_s));
    return put_signature(form, from, account->key);
}

/* ---- the token ------------------------------------------------------------------- */

struct credential *google_token_of_json(struct span json, uint64_t now_s)
{
    cJSON *object = cJSON_ParseWithLength(json.at, json.len);
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(object, "expires_in");
    const char *token = member(object, "access_token");
    struct credential *credential = NULL;

    if (token[0] != '\0' && cJSON_IsNumber(seconds) && seconds->valueint > 0) {
        credential =
            credential_new(span_of(NULL, 0), span_text(token), span_of(NULL, 0),
                           now_s + (uint64_t)seconds->valueint);
    }
    cJSON_Delete(object);
    return credential;
}
