#include "filters/turn/sketch_key.h"

#include "proxy/base/check.h"

enum { STACK_LEFT = 512 }; /* XXH3_64bits_digest() copies the last 64 bytes there */

void sketch_key_init(struct sketch_key *key, struct span secret)
{
    CHECK(XXH3_generateSecret(key->bytes, sizeof(key->bytes), secret.at, secret.len) ==
          XXH_OK);
}

uint64_t sketch_hash(const struct sketch_key *key, const void *bytes, size_t len)
{
    return XXH3_64bits_withSecret(bytes, len, key->bytes, sizeof(key->bytes));
}

/* A function of its own, so that its frame lies where the one before it lay. */
__attribute__((noinline)) static void stack_wipe(void)
{
    char frame[STACK_LEFT];

    explicit_bzero(frame, sizeof(frame));
}

uint64_t sketch_digest(const XXH3_state_t *state)
{
    uint64_t digest = XXH3_64bits_digest(state);

    stack_wipe();
    return digest;
}
