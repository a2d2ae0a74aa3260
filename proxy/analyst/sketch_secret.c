#include "proxy/analyst/sketch_secret.h"

#include "proxy/base/secret.h"
#include "proxy/identity/installation_key.h"

enum { SECRET_MIN = 16 };

/* Replicas that look at each other's calls must hash alike. */
static bool use_shared(const struct config *config, struct sketch_key *key,
                       struct error *error)
{
    struct span shared = secret_reveal(config->detection.secret);

    if (shared.len < SECRET_MIN) {
        error_add(error, (struct error_place){ .file = config->file },
                  "detection.secret has less than %d bytes", SECRET_MIN);
        return false;
    }
    sketch_key_init(key, shared);
    return true;
}

bool sketch_secret_load(const struct config *config, struct sketch_key *key,
                        struct error *error)
{
    struct installation_key secret;
    bool good;

    if (config->detection.secret != NULL) {
        return use_shared(config, key, error);
    }
    good = installation_key_load(config->state, "sketch", &secret, error);
    if (good) {
        sketch_key_init(key, span_of((const char *)secret.bytes, sizeof secret.bytes));
    }
    explicit_bzero(&secret, sizeof secret);
    return good;
}
