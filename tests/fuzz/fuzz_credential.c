/* What clouds answer and what their tools write down, as keys and tokens:
 * whole or none. */
#include "proxy/base/check.h"
#include "proxy/credential/aws_key.h"
#include "proxy/credential/google_account.h"

enum { NOW_S = 1000 };

static void check(struct credential *credential)
{
    if (credential != NULL) {
        CHECK(secret_reveal(credential->secret).len > 0);
        CHECK(memchr(credential->access_key_id, '\0', ACCESS_KEY_ID_SIZE) != NULL);
        credential_unref(credential);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    struct credential *token = google_token_of_json(bytes, NOW_S);

    CHECK(token == NULL || token->expires_s > NOW_S);
    check(token);
    check(aws_key_of_json(bytes));
    check(aws_key_of_profile(bytes, "default"));
    return 0;
}
