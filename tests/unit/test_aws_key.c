#include "proxy/credential/aws_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char profiles[] = "# a remark\n"
                               "[default]\n"
                               "aws_access_key_id = AKIDDEFAULT\n"
                               "aws_secret_access_key = secret/default+=\n"
                               "\n"
                               "[profile  ai]\r\n"
                               "\tAWS_ACCESS_KEY_ID=AKIDAI\r\n"
                               "aws_secret_access_key=first\r\n"
                               "aws_secret_access_key=last\r\n"
                               "aws_session_token = token==\r\n"
                               "region = us-east-1\r\n"
                               "; aws_access_key_id = AKIDNOT\r\n"
                               "[half]\n"
                               "aws_access_key_id = AKIDHALF\n"
                               "[last]\n"
                               "aws_access_key_id = AKIDLAST\n"
                               "aws_secret_access_key = last";

static void assert_key(struct credential *key, const char *id, const char *secret,
                       const char *session, uint64_t expires_s)
{
    assert_non_null(key);
    assert_string_equal(key->access_key_id, id);
    assert_true(secret_equal(key->secret, span_text(secret)));
    if (session == NULL) {
        assert_null(key->session);
    } else {
        assert_true(secret_equal(key->session, span_text(session)));
    }
    assert_int_equal(key->expires_s, expires_s);
    credential_unref(key);
}

static void reads_profiles(void **state)
{
    struct span file = span_text(profiles);

    (void)state;
    assert_key(aws_key_of_profile(file, "default"), "AKIDDEFAULT",
               "secret/default+=", NULL, 0);
    assert_key(aws_key_of_profile(file, "ai"), "AKIDAI", "last", "token==", 0);
    assert_key(aws_key_of_profile(file, "last"), "AKIDLAST", "last", NULL, 0);
    assert_null(aws_key_of_profile(file, "half"));
    assert_null(aws_key_of_profile(file, "profile"));
    assert_null(aws_key_of_profile(file, ""));
    assert_null(aws_key_of_profile(span_text("[]\n=\n[a"), "a"));
}

static void reads_roles(void **state)
{
    static const struct {
        const char *expiration;
        uint64_t expires_s;
    } times[] = { { "2026-11-21T20:00:00Z", 1795291200 },
                  { "2026-11-21T20:00:01.5Z", 1795291201 },
                  { "2026-11-21T20:00:00+01:00", 0 },
                  { "2026-13-21T20:00:00Z", 0 },
                  { "1969-01-01T00:00:00Z", 0 },
                  { "soon", 0 },
                  { "", 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char json[256];

        (void)snprintf(json, sizeof json,
                       "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA1\","
                       "\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":"
                       "\"%s\"}",
                       times[i].expiration);
        assert_key(aws_key_of_json(span_text(json)), "ASIA1", "s", "t",
                   times[i].expires_s);
    }
}

static void wants_whole_keys(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"AccessKeyId\":\"a\"}",
        "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":1}",
        "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s\"}"
    };
    char huge[2 * ACCESS_KEY_ID_SIZE + 64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(aws_key_of_json(span_text(bad[i])));
    }
    (void)snprintf(huge, sizeof huge,
                   "{\"AccessKeyId\":\"%0*d\",\"SecretAccessKey\":\"s\"}",
                   ACCESS_KEY_ID_SIZE, 1);
    assert_null(aws_key_of_json(span_text(huge)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_profiles),
        cmocka_unit_test(reads_roles),
        cmocka_unit_test(wants_whole_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
