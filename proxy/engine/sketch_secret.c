#include "proxy/engine/sketch_secret.h"

#include "proxy/identity/installation_key.h"

bool sketch_secret_load(const char *state, struct sketch_key *key, struct error *error)
{
    struct installation_key secret;
    bool good = installation_key_load(state, "sketch", &secret, error);

    if (good) {
        sketch_key_init(key, span_of((const char *)secret.bytes, sizeof secret.bytes));
    }
    explicit_bzero(&secret, sizeof secret);
    return good;
}
