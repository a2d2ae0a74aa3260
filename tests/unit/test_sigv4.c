/* The signatures are those that AWS publishes for its test requests (the signing test
 * suite of its SDKs, header signing), and for Bedrock's twice escaped paths those of
 * its own signer for JavaScript. */
#include "proxy/credential/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST                                                                           \
    {                                                                                  \
        SPAN("host"), SPAN("example.amazonaws.com")                                    \
    }
#define DATE                                                                           \
    {                                                                                  \
        SPAN("x-amz-date"), SPAN("20150830T123600Z")                                   \
    }

static const char letters[] = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz";

/* The Authorization value of a request by the suite's example key. */
static const char *sign(struct sigv4_request request, const char *service)
{
    static char memory[2048];
    struct text text = text_over(memory, sizeof memory - 1);
    const struct sigv4_signer signer = {
        .access_key_id = SPAN("AKIDEXAMPLE"),
        .secret_access_key = SPAN("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        .region = SPAN("us-east-1"),
        .service = span_text(service),
        .date = "20150830T123600Z",
    };

    if (request.payload.len == 0) {
        request.payload = SPAN(EMPTY);
    }
    assert_true(sigv4_sign(&request, &signer, &text));
    memory[text.len] = '\0';
    return memory;
}

static void assert_signature(struct sigv4_request request, const char *signature)
{
    const char *authorization = sign(request, "service");
    const char *found = strstr(authorization, "Signature=");

    assert_non_null(found);
    assert_string_equal(found + strlen("Signature="), signature);
}

static struct sigv4_request get(const char *path, const char *query)
{
    static struct sigv4_field fields[2];
    const struct sigv4_field vanilla[] = { HOST, DATE };

    memcpy(fields, vanilla, sizeof fields);
    return (struct sigv4_request){ .method = SPAN("GET"),
                                   .path = span_text(path),
                                   .query = span_text(query),
                                   .fields = fields,
                                   .field_count = 2 };
}

static void writes_the_whole_value(void **state)
{
    (void)state;
    assert_string_equal(
        sign(get("/", ""), "service"),
        "AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature="
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void signs_a_post(void **state)
{
    const struct sigv4_field fields[] = {
        { SPAN("content-length"), SPAN("13") },
        { SPAN("content-type"), SPAN("application/x-www-form-urlencoded") },
        HOST,
        { SPAN("x-amz-content-sha256"),
          SPAN("9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e") },
        DATE,
    };
    struct sigv4_request request = get("/", "");

    (void)state;
    request.method = SPAN("POST");
    assert_signature(request, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92"
                              "efbe5d6b");
    request.fields = fields;
    request.field_count = 5;
    request.payload = fields[3].value;
    assert_signature(request, "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56"
                              "c3f20e0b");
}

static void signs_a_session_token(void **state)
{
    const struct sigv4_field fields[] = {
        HOST,
        DATE,
        { SPAN("x-amz-security-token"),
          SPAN("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267") },
    };
    struct sigv4_request request = get("/", "");

    (void)state;
    request.fields = fields;
    request.field_count = 3;
    assert_signature(request, "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd"
                              "9f74e7f8");
}

static void sorts_and_escapes_the_query(void **state)
{
    char unreserved[256];

    (void)state;
    assert_signature(get("/", "Param1=value1"), "a67d582fa61cc504c4bae71f336f98b97f1ea3"
                                                "c7a6bfe1b6e45aec72011b9aeb");
    assert_signature(get("/", "Param2=value2&Param1=value1"),
                     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf250"
                     "0");
    assert_signature(get("/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1"),
                     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fca"
                     "c");
    assert_signature(get("/", "Param-3=Value3&Param=Value2&\u1234=Value1"),
                     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fca"
                     "c");
    (void)snprintf(unreserved, sizeof unreserved, "%s=%s", letters, letters);
    assert_signature(get("/", unreserved), "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc088"
                                           "4027167c21bb143a40197");
}

static void escapes_the_path(void **state)
{
    char unreserved[128];

    (void)state;
    assert_signature(get("/\u1234", ""), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f2"
                                         "55a891fd03141be5d85");
    assert_signature(get("/example space/", ""), "652487583200325589f1fba4c7e578f72c47c"
                                                 "b61beeca81406b39ddec1366741");
    (void)snprintf(unreserved, sizeof unreserved, "/%s", letters);
    assert_signature(get(unreserved, ""), "07ef7494c76fa4850883e2b006601f940f8a34d404d0"
                                          "cfa977f52a65bbf5f24f");
}

static void refuses_what_does_not_fit(void **state)
{
    struct sigv4_request request = get("/", "");
    const struct sigv4_signer signer = { .date = "20150830T123600Z" };
    char small[16], query[4 * SIGV4_PARAMETERS_MAX + 8] = "a";
    char memory[1024];
    struct text text = text_over(small, sizeof small);

    (void)state;
    request.payload = SPAN(EMPTY);
    assert_false(sigv4_sign(&request, &signer, &text));
    for (int i = 0; i < SIGV4_PARAMETERS_MAX; i++) {
        (void)snprintf(query + strlen(query), 4, "&b");
    }
    request.query = span_text(query);
    text = text_over(memory, sizeof memory);
    assert_false(sigv4_sign(&request, &signer, &text));
    assert_int_equal(text.len, 0);
}

static void tells_dates(void **state)
{
    char date[SIGV4_DATE_SIZE];

    (void)state;
    sigv4_date(1440938160, date);
    assert_string_equal(date, "20150830T123600Z");
    sigv4_date(0, date);
    assert_string_equal(date, "19700101T000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_whole_value),
        cmocka_unit_test(signs_a_post),
        cmocka_unit_test(signs_a_session_token),
        cmocka_unit_test(sorts_and_escapes_the_query),
        cmocka_unit_test(escapes_the_path),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(tells_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
