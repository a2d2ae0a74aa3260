#include "proxy/base/pages.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* KiB resident of the mappings of files whose name holds this word. */
static unsigned long resident(const char *word)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    unsigned long sum = 0, kib;
    char line[512];
    int counts = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strchr(line, '-') != NULL && strchr(line, '/') != NULL) {
            counts = strstr(line, word) != NULL && strstr(line, " r") != NULL &&
                     strstr(line, "rw") == NULL;
        } else if (counts && sscanf(line, "Rss: %lu", &kib) == 1) {
            sum += kib;
        }
    }
    fclose(maps);
    return sum;
}

static void hash(unsigned char digest[EVP_MAX_MD_SIZE])
{
    assert_int_equal(EVP_Digest("abc", 3, digest, NULL, EVP_sha256(), NULL), 1);
}

static void what_is_released_comes_back(void **state)
{
    unsigned char before[EVP_MAX_MD_SIZE], after[EVP_MAX_MD_SIZE];
    unsigned long most, least;

    (void)state;
    hash(before);
    most = resident("libcrypto");
    if (most == 0) {
        skip(); /* it is part of the program */
    }
    pages_release((uintptr_t)OPENSSL_init_crypto);
    least = resident("libcrypto");
    assert_true(least < most / 2);
    hash(after);
    assert_memory_equal(before, after, 32);
    assert_true(resident("libcrypto") > least);
}

static void an_address_of_nobody_is_left_alone(void **state)
{
    int local = 0;

    (void)state;
    pages_release(0);
    pages_release((uintptr_t)&local);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_released_comes_back),
        cmocka_unit_test(an_address_of_nobody_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
