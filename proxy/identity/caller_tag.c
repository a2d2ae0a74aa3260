#include "proxy/identity/caller_tag.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>

bool caller_tag(const struct installation_key *key, struct span caller,
                char tag[CALLER_TAG_SIZE])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t len = 0;

    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key->bytes, sizeof key->bytes,
                  (const unsigned char *)caller.at, caller.len, mac, sizeof mac,
                  &len) == NULL) {
        return false;
    }
    for (size_t i = 0; i + 1 < CALLER_TAG_SIZE; i += 2) {
        snprintf(tag + i, 3, "%02x", mac[i / 2]);
    }
    return true;
}
