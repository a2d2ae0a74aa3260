#include "proxy/alert/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *secret, *id;
    int64_t timestamp_s;
    const char *body, *signature;
} known[] = {
    /* The example of the specification's reference libraries. */
    { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
      1614265330, "{\"test\": 2432232314}",
      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
    /* By python3's hmac, hashlib and base64. */
    { "plain text", "00112233445566778899aabbccddeeff", 1800000000, "{}",
      "v1,JZkrGpaCiotc3EEMgPdKdDD85LR1UKZjs2ID3yqrU4M=" },
    { "whsec_AA==", "a", 1, "", "v1,ECTJx8x4DJFLHqPTe4R+gFPQ+IPCuMAYrZz7SuFJIr4=" },
};

static bool make(const char *text, const char *id, int64_t timestamp_s,
                 const char *body, char signature[SIGNATURE_SIZE])
{
    struct secret *secret = secret_new(span_text(text));
    bool good = signature_make(secret, id, timestamp_s, span_text(body), signature);

    secret_free(secret);
    return good;
}

static void test_known(void **state)
{
    char signature[SIGNATURE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_true(make(known[i].secret, known[i].id, known[i].timestamp_s,
                         known[i].body, signature));
        assert_string_equal(signature, known[i].signature);
    }
}

static void test_no_key(void **state)
{
    static const char *const bad[] = { "whsec_", "whsec_A", "whsec_A===A",
                                       "whsec_!!!!" };
    char signature[SIGNATURE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(make(bad[i], "id", 1, "{}", signature));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_no_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
