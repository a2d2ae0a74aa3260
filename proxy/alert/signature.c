#include "proxy/alert/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <string.h>

enum { KEY_MAX = 512, DIGEST = 32, HEAD_MAX = 96 };

/* Bytes of the key; 0: it is no key. */
static size_t read_key(const struct secret *secret, unsigned char key[KEY_MAX])
{
    struct span text = secret_reveal(secret);
    int len;

    if (!span_starts(text, SPAN("whsec_"))) {
        if (text.len > KEY_MAX) {
            return 0;
        }
        memcpy(key, text.at, text.len);
        return text.len;
    }
    text = span_after(text, strlen("whsec_"));
    if (text.len == 0 || text.len % 4 != 0 || text.len / 4 * 3 > KEY_MAX) {
        return 0;
    }
    len = EVP_DecodeBlock(key, (const unsigned char *)text.at, (int)text.len);
    for (size_t i = text.len; len > 0 && i > text.len - 2 && text.at[i - 1] == '=';
         i--) {
        len--; /* the decoder counts the padding */
    }
    return len < 0 ? 0 : (size_t)len;
}

static bool digest_of(const unsigned char *key, size_t key_len, struct span head,
                      struct span body, unsigned char digest[DIGEST])
{
    EVP_PKEY *signer = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, key, key_len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t len = DIGEST;
    bool good = signer != NULL && context != NULL &&
                EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer) == 1 &&
                EVP_DigestSignUpdate(context, head.at, head.len) == 1 &&
                EVP_DigestSignUpdate(context, body.at, body.len) == 1 &&
                EVP_DigestSignFinal(context, digest, &len) == 1;

    EVP_MD_CTX_free(context);
    EVP_PKEY_free(signer);
    return good;
}

bool signature_make(const struct secret *secret, const char *id, int64_t timestamp_s,
                    struct span body, char signature[SIGNATURE_SIZE])
{
    unsigned char key[KEY_MAX], digest[DIGEST];
    char memory[HEAD_MAX];
    struct text head = text_over(memory, sizeof memory);
    size_t key_len = read_key(secret, key);
    bool good;

    text_printf(&head, "%s.%lld.", id, (long long)timestamp_s);
    good = key_len > 0 && !head.full &&
           digest_of(key, key_len, text_span(&head), body, digest);
    OPENSSL_cleanse(key, sizeof key);
    memcpy(signature, "v1,", 3);
    EVP_EncodeBlock((unsigned char *)signature + 3, digest, DIGEST);
    return good;
}
