#define XXH_STATIC_LINKING_ONLY
#include "filters/turn/sketch_key.h"

#include "proxy/base/check.h"

#include <xxhash.h>

void sketch_key_init(struct sketch_key *key, struct span secret)
{
    CHECK(XXH3_generateSecret(key->bytes, sizeof(key->bytes), secret.at, secret.len) ==
          XXH_OK);
}

uint64_t sketch_hash(const struct sketch_key *key, const void *bytes, size_t len)
{
    return XXH3_64bits_withSecret(bytes, len, key->bytes, sizeof(key->bytes));
}
