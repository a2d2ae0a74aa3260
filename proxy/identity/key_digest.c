#include "proxy/identity/key_digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <pthread.h>

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static pthread_key_t hasher_key;

static void hasher_free(void *hasher)
{
    EVP_MD_CTX_free(hasher);
}

static void setup(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(sha256 != NULL);
    CHECK(pthread_key_create(&hasher_key, hasher_free) == 0);
}

static EVP_MD_CTX *hasher_new(void)
{
    EVP_MD_CTX *hasher = EVP_MD_CTX_new();

    if (hasher != NULL && pthread_setspecific(hasher_key, hasher) != 0) {
        EVP_MD_CTX_free(hasher);
        return NULL;
    }
    return hasher;
}

bool key_digest(struct span key, struct key_digest *digest)
{
    EVP_MD_CTX *hasher;

    pthread_once(&setup_once, setup);
    hasher = pthread_getspecific(hasher_key);
    if (hasher == NULL) {
        hasher = hasher_new();
    }
    return hasher != NULL && EVP_DigestInit_ex2(hasher, sha256, NULL) == 1 &&
           EVP_DigestUpdate(hasher, key.at, key.len) == 1 &&
           EVP_DigestFinal_ex(hasher, digest->bytes, NULL) == 1;
}

bool key_digest_equal(const struct key_digest *a, const struct key_digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, KEY_DIGEST_SIZE) == 0;
}
