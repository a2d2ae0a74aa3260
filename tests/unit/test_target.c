#include "proxy/http/target.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BUFFER = 256 };

struct case_row {
    const char *raw;
    const char *path;
    const char *query;
};

static void test_canonical_paths(void **state)
{
    static const struct case_row rows[] = {
        { "/", "/", "" },
        { "/?a=b", "/", "a=b" },
        { "/v1/messages", "/v1/messages", "" },
        { "/v1/messages?", "/v1/messages", "" },
        { "/v1/messages?beta=true", "/v1/messages", "beta=true" },
        { "/v1/messages?a?b/../c;d", "/v1/messages", "a?b/../c;d" },
        { "/%76%31/%6D%65ssages", "/v1/messages", "" },
        { "/V1/Messages", "/V1/Messages", "" },
        { "/v1beta/models/x%3AgenerateContent", "/v1beta/models/x:generateContent",
          "" },
        { "/v1beta/models/x:generateContent?alt=sse",
          "/v1beta/models/x:generateContent", "alt=sse" },
        { "/.well-known/x", "/.well-known/x", "" },
        { "/a..b/c.d", "/a..b/c.d", "" },
        { "/a!$&'()*+,=:@-._~z", "/a!$&'()*+,=:@-._~z", "" },
        { "/%7Bid%7D/%22%5B%5D%5e%60%7c%3c%3e", "/{id}/\"[]^`|<>", "" },
        { "/{id}/\"[]^`|/<x>?<y>", "/{id}/\"[]^`|/<x>", "<y>" },
        { "/deployments/my%20own%20one/chat", "/deployments/my own one/chat", "" },
        { "/x?q=%00%2f%ff", "/x", "q=%00%2f%ff" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char buffer[BUFFER];
        struct target target;
        enum fault fault =
            target_parse(span_text(rows[i].raw), 0, buffer, BUFFER, &target);

        assert_int_equal(fault, FAULT_NONE);
        assert_true(span_equal(target.path, span_text(rows[i].path)));
        assert_true(span_equal(target.query, span_text(rows[i].query)));
    }
}

static void test_ambiguous_paths(void **state)
{
    static const char *const raws[] = {
        "",
        "v1",
        "?x",
        "\\v1\\messages",
        "http://localhost/v1/messages",
        /* empty and dot segments, plain, escaped and mixed */
        "//",
        "//v1/messages",
        "/v1//messages",
        "/v1/messages/",
        "/v1/messages//",
        "/.",
        "/..",
        "/v1/./messages",
        "/x/../v1/messages",
        "/v1/messages/..",
        "/v1/%2e/messages",
        "/v1/%2E%2e/messages",
        "/v1/.%2e/messages",
        "/v1/messages.",
        "/v1/messages%2e",
        "/v1/.../messages",
        /* separators and what cuts names short */
        "/v1%2Fmessages",
        "/v1%2fmessages",
        "/v1/%5cmessages",
        "/v1/a\\b",
        "/v1/messages;x=1",
        "/v1/messages%3bx",
        "/v1/messages%3f",
        "/v1/messages%23",
        "/v1/messages%00",
        "/v1/messages%09",
        "/v1/messages%0d%0aX:y",
        "/v1/messages%20",
        "/v1/%20messages",
        "/v1/%20/messages",
        "/v1/messages%7f",
        "/v1/%2576",
        /* not UTF-8, overlong, or just not ASCII */
        "/v1/%e0%80%afmessages",
        "/v1/%c0%af",
        "/v1/%ff",
        "/v1/%c3%a9",
        "/v1/\xc3\xa9",
        /* broken escapes */
        "/v1/messages%",
        "/v1/messages%2",
        "/v1/messages%zz",
        "/v1/%-1",
        "/v1/%%41",
        "/x?q=%",
        "/x?q=%4",
        "/x?q=%g0",
        /* what a URI may not hold */
        "/v1/a b",
        "/v1/messages#f",
        "/x?q=a b",
        "/x?q=\x01",
        "/x?q=\x7f",
        "/x?q#f",
        "/x?\xff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(raws) / sizeof(raws[0]); i++) {
        char buffer[BUFFER];
        struct target target;

        if (target_parse(span_text(raws[i]), 0, buffer, BUFFER, &target) !=
            FAULT_BAD_TARGET) {
            fail_msg("accepted: %s", raws[i]);
        }
    }
}

static void test_nul_is_refused(void **state)
{
    char buffer[BUFFER];
    struct target target;

    (void)state;
    assert_int_equal(target_parse(span_of("/v1/\0x", 6), 0, buffer, BUFFER, &target),
                     FAULT_BAD_TARGET);
}

static enum fault parse_model(const char *raw, struct target *target)
{
    static char buffer[BUFFER];

    return target_parse(span_text(raw), TARGET_ALLOW_ENCODED_SLASH, buffer, BUFFER,
                        target);
}

static void test_escaped_slash_in_a_model(void **state)
{
    struct target target;

    (void)state;
    assert_int_equal(
        parse_model("/aws/model/arn%3Aaws%3a1%3Aprofile%2fus.x%3A0/converse", &target),
        FAULT_NONE);
    assert_true(span_equal(target.path,
                           SPAN("/aws/model/arn:aws:1:profile%2Fus.x:0/converse")));
    /* elsewhere, or where somebody might resolve it, it is as bad as ever */
    assert_int_equal(parse_model("/v1%2Fmessages", &target), FAULT_BAD_TARGET);
    assert_int_equal(parse_model("/model/x/a%2Fb", &target), FAULT_BAD_TARGET);
    assert_int_equal(parse_model("/model/a%2F..%2Fb/x", &target), FAULT_BAD_TARGET);
    assert_int_equal(parse_model("/model/a%2F%2e/x", &target), FAULT_BAD_TARGET);
    assert_int_equal(parse_model("/model/a%2F%2Fb/x", &target), FAULT_BAD_TARGET);
    assert_int_equal(parse_model("/model/%2Fb/x", &target), FAULT_BAD_TARGET);
    assert_int_equal(parse_model("/model/b%2F/x", &target), FAULT_BAD_TARGET);
    assert_int_equal(parse_model("/model/b%5Cc/x", &target), FAULT_BAD_TARGET);
}

static void test_faults_of_their_own(void **state)
{
    char buffer[4];
    struct target target;

    (void)state;
    assert_int_equal(target_parse(SPAN("*"), 0, buffer, 4, &target), FAULT_NO_ROUTE);
    assert_int_equal(target_parse(SPAN("/abcd"), 0, buffer, 4, &target),
                     FAULT_TARGET_TOO_LONG);
    assert_int_equal(target_parse(SPAN("/abc?long-query"), 0, buffer, 4, &target),
                     FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_paths),
        cmocka_unit_test(test_ambiguous_paths),
        cmocka_unit_test(test_nul_is_refused),
        cmocka_unit_test(test_escaped_slash_in_a_model),
        cmocka_unit_test(test_faults_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
