#include "proxy/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct head head;

/* A request of that start line and those fields, with a good Host. */
static enum fault request(const char *line, const char *fields)
{
    static char raw[16 * 1024];
    int len =
        snprintf(raw, sizeof(raw), "%s\r\nHost: localhost\r\n%s\r\n", line, fields);

    assert_true(len > 0 && (size_t)len < sizeof(raw));
    return head_parse_request(span_of(raw, (size_t)len), &head);
}

static enum fault post(const char *fields)
{
    return request("POST /v1/messages HTTP/1.1", fields);
}

static enum fault host(const char *value)
{
    char raw[1024];
    int len = snprintf(raw, sizeof(raw), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", value);

    return head_parse_request(span_of(raw, (size_t)len), &head);
}

static enum fault response(enum method method, const char *raw)
{
    return head_parse_response(span_text(raw), method, &head);
}

static void test_request(void **state)
{
    (void)state;
    assert_int_equal(post("Content-Type: application/json\r\ncontent-length: 17\r\n"
                          "X-API-KEY: k\r\nAnthropic-Version: 2023-06-01\r\n"),
                     FAULT_NONE);
    assert_int_equal(head.method, METHOD_POST);
    assert_true(span_equal(head.target, SPAN("/v1/messages")));
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.framing, FRAMING_LENGTH);
    assert_int_equal(head.length, 17);
    assert_true(head.keep_alive);
    assert_false(head.expect_continue);
    assert_false(head.upgrade);
    assert_int_equal(head.field_count, 5);
    assert_ptr_equal(head_field(&head, FIELD_X_API_KEY), &head.fields[3]);
    assert_null(head_field(&head, FIELD_AUTHORIZATION));
    assert_true(span_equal_nocase(head.fields[4].name, SPAN("anthropic-version")));
}

static void test_field_names(void **state)
{
    static const struct {
        enum field_name id;
        struct span name;
    } rows[] = {
#define FIELD(identifier, text) { FIELD_##identifier, { text, sizeof(text) - 1 } },
#include "proxy/http/field_name.def"
#undef FIELD
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];
        struct span name = span_of(text, rows[i].name.len);

        assert_int_equal(field_name_of(rows[i].name), rows[i].id);
        for (size_t k = 0; k < name.len; k++) {
            char c = rows[i].name.at[k];

            text[k] = c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c;
        }
        assert_int_equal(field_name_of(name), rows[i].id);
        text[0] = 'q';
        assert_int_equal(field_name_of(name), FIELD_OTHER);
        name.len--;
        assert_int_equal(field_name_of(name), FIELD_OTHER);
    }
    assert_int_equal(field_name_of(SPAN("")), FIELD_OTHER);
    assert_int_equal(field_name_of(SPAN("content_length")), FIELD_OTHER);
    assert_int_equal(field_name_of(SPAN("x-unknown")), FIELD_OTHER);
}

static void test_method_texts(void **state)
{
    (void)state;
    assert_true(span_equal(method_text(METHOD_GET), SPAN("GET")));
    assert_true(span_equal(method_text(METHOD_OPTIONS), SPAN("OPTIONS")));
}

struct line_row {
    const char *line;
    enum fault fault;
};

static void test_targets(void **state)
{
    static const struct line_row rows[] = {
        { "GET / HTTP/1.1", FAULT_NONE },
        { "GET /a?b=c%20d HTTP/1.1", FAULT_NONE },
        { "OPTIONS * HTTP/1.1", FAULT_NONE },
        { "GET * HTTP/1.1", FAULT_BAD_TARGET },
        { "OPTIONS ** HTTP/1.1", FAULT_BAD_TARGET },
        { "GET //evil/v1/models HTTP/1.1", FAULT_BAD_TARGET },
        { "GET http://evil/ HTTP/1.1", FAULT_BAD_TARGET },
        { "GET https://localhost/ HTTP/1.1", FAULT_BAD_TARGET },
        { "GET @evil/ HTTP/1.1", FAULT_BAD_TARGET },
        { "GET ?a HTTP/1.1", FAULT_BAD_TARGET },
        { "GET v1 HTTP/1.1", FAULT_BAD_TARGET },
        { "GET \\v1 HTTP/1.1", FAULT_BAD_TARGET },
        { "GET /a#b HTTP/1.1", FAULT_BAD_TARGET },
        { "GET /\xe9 HTTP/1.1", FAULT_BAD_TARGET },
        { "GET /a\tb HTTP/1.1", FAULT_BAD_TARGET },
        { "CONNECT internal:22 HTTP/1.1", FAULT_METHOD },
        { "TRACE / HTTP/1.1", FAULT_METHOD },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (request(rows[i].line, "") != rows[i].fault) {
            fail_msg("%s", rows[i].line);
        }
    }
}

static void test_hosts(void **state)
{
    static const char *const good[] = {
        "localhost", "localhost:8080", "api.openai.com:443",  "a_b-c.d~e", "10.0.0.1:1",
        "[::1]",     "[::1]:65535",    "[::ffff:1.2.3.4]:80", "XN--A",
    };
    static const char *const bad[] = {
        "",    "a,b",     "a, b",          "u@a",    "a/b",     "a b",  "a:",
        "a:0", "a:65536", "a:99999999999", "a:8a",   "a:80:80", ":80",  "[::1",
        "[]",  "[::1]x",  "::1",           "[::1]:", "[g%1]",   "a\\b", "a?b",
        "a#b", "a%41",    "\xe9",          "a;b",    "\"a\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (host(good[i]) != FAULT_NONE) {
            fail_msg("refused: %s", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (host(bad[i]) != FAULT_BAD_HOST) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void test_host_stands_once(void **state)
{
    char name[300];

    (void)state;
    assert_int_equal(post("Host: localhost\r\n"), FAULT_BAD_HOST);
    assert_int_equal(post("host: other\r\n"), FAULT_BAD_HOST);
    assert_int_equal(head_parse_request(SPAN("GET / HTTP/1.1\r\n\r\n"), &head),
                     FAULT_BAD_HOST);
    assert_int_equal(head_parse_request(SPAN("GET / HTTP/1.0\r\n\r\n"), &head),
                     FAULT_BAD_HOST);
    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    assert_int_equal(host(name), FAULT_BAD_HOST);
    name[255] = '\0';
    assert_int_equal(host(name), FAULT_NONE);
}

struct framing_row {
    const char *line;
    const char *fields;
    enum fault fault;
    enum framing framing;
};

#define TE "Transfer-Encoding: chunked\r\n"
#define CL "Content-Length: 5\r\n"

static void test_request_framing(void **state)
{
    static const struct framing_row rows[] = {
        { "POST / HTTP/1.1", "", FAULT_NONE, FRAMING_NONE },
        { "POST / HTTP/1.1", CL, FAULT_NONE, FRAMING_LENGTH },
        { "POST / HTTP/1.1", "Content-Length: 0\r\n", FAULT_NONE, FRAMING_LENGTH },
        { "POST / HTTP/1.1", "Content-Length:\t 5 \r\n", FAULT_NONE, FRAMING_LENGTH },
        { "POST / HTTP/1.1", TE, FAULT_NONE, FRAMING_CHUNKED },
        { "POST / HTTP/1.1", "TE: trailers\r\nTRANSFER-ENCODING: Chunked\r\n",
          FAULT_NONE, FRAMING_CHUNKED },
        { "PUT / HTTP/1.1", TE, FAULT_NONE, FRAMING_CHUNKED },
        { "PATCH / HTTP/1.1", CL, FAULT_NONE, FRAMING_LENGTH },
        { "DELETE / HTTP/1.1", CL, FAULT_NONE, FRAMING_LENGTH },
        { "DELETE / HTTP/1.1", TE, FAULT_BAD_FRAMING, 0 },
        { "GET / HTTP/1.1", "Content-Length: 0\r\n", FAULT_NONE, FRAMING_NONE },
        { "GET / HTTP/1.1", CL, FAULT_BAD_FRAMING, 0 },
        { "GET / HTTP/1.1", TE, FAULT_BAD_FRAMING, 0 },
        { "HEAD / HTTP/1.1", CL, FAULT_BAD_FRAMING, 0 },
        { "OPTIONS / HTTP/1.1", TE, FAULT_BAD_FRAMING, 0 },
        { "POST / HTTP/1.0", CL, FAULT_NONE, FRAMING_LENGTH },
        { "POST / HTTP/1.0", TE, FAULT_BAD_FRAMING, 0 },
        { "POST / HTTP/1.1", TE CL, FAULT_BAD_FRAMING, 0 },
        { "POST / HTTP/1.1", CL TE, FAULT_BAD_FRAMING, 0 },
        { "POST / HTTP/1.1", CL CL, FAULT_BAD_FRAMING, 0 },
        { "POST / HTTP/1.1", TE TE, FAULT_BAD_FRAMING, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum fault fault = request(rows[i].line, rows[i].fields);

        if (fault != rows[i].fault) {
            fail_msg("%s %s %s", fault_row(fault)->name, rows[i].line, rows[i].fields);
        }
        if (fault == FAULT_NONE) {
            assert_int_equal(head.framing, rows[i].framing);
        }
    }
}

static void test_bad_framing_fields(void **state)
{
    static const char *const fields[] = {
        "Content-Length: \r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 005\r\n",
        "Content-Length: 00\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 18446744073709551621\r\n",
        "Content-Length: \240 5\r\n",
        "Content_Length: 5\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent_Length: 5\r\n",
        "Transfer-Encoding: \r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (post(fields[i]) != FAULT_BAD_FRAMING) {
            fail_msg("accepted: %s", fields[i]);
        }
    }
    assert_int_equal(post("Content-Length: 9223372036854775807\r\n"), FAULT_NONE);
    assert_true(head.length == INT64_MAX);
}

static void test_expect(void **state)
{
    (void)state;
    assert_int_equal(post(CL "Expect: 100-Continue\r\n"), FAULT_NONE);
    assert_true(head.expect_continue);
    assert_int_equal(post(TE "Expect: 100-continue\r\n"), FAULT_NONE);
    assert_true(head.expect_continue);
    /* without a body, or from HTTP/1.0, nobody waits */
    assert_int_equal(post("Expect: 100-continue\r\n"), FAULT_NONE);
    assert_false(head.expect_continue);
    assert_int_equal(request("POST / HTTP/1.0", CL "Expect: 100-continue\r\n"),
                     FAULT_NONE);
    assert_false(head.expect_continue);
    assert_int_equal(post("Expect: 200-ok\r\n"), FAULT_EXPECTATION);
    assert_int_equal(post("Expect: y 100-continue\r\n"), FAULT_EXPECTATION);
    assert_int_equal(post("Expect: \r\n"), FAULT_EXPECTATION);
    assert_int_equal(post("Expect: 100-continue\r\nExpect: 100-continue\r\n"),
                     FAULT_EXPECTATION);
}

static void test_keep_alive(void **state)
{
    (void)state;
    assert_int_equal(post("Connection: keep-alive\r\n"), FAULT_NONE);
    assert_true(head.keep_alive);
    assert_int_equal(post("Connection: , CLOSE ,\r\n"), FAULT_NONE);
    assert_false(head.keep_alive);
    assert_int_equal(post("Connection: keep-alive\r\nConnection: close\r\n"),
                     FAULT_NONE);
    assert_false(head.keep_alive);
    assert_int_equal(request("GET / HTTP/1.0", ""), FAULT_NONE);
    assert_false(head.keep_alive);
    assert_int_equal(request("GET / HTTP/1.0", "Connection: keep-alive\r\n"),
                     FAULT_NONE);
    assert_false(head.keep_alive);
}

static bool is_hop_by_hop(struct span name)
{
    const struct field *field = head.fields;

    while (!span_equal_nocase(field->name, name)) {
        assert_true(++field < head.fields + head.field_count);
    }
    return field->hop_by_hop;
}

static void test_hop_by_hop(void **state)
{
    (void)state;
    assert_int_equal(post("X-Mine: 1\r\nConnection: x-mine, Upgrade, HTTP2-Settings\r\n"
                          "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nKeep-Alive: 5\r\n"
                          "X-Other: 1\r\nTE: trailers\r\n" CL),
                     FAULT_NONE);
    assert_true(head.upgrade);
    assert_true(is_hop_by_hop(SPAN("connection")));
    assert_true(is_hop_by_hop(SPAN("x-mine")));
    assert_true(is_hop_by_hop(SPAN("upgrade")));
    assert_true(is_hop_by_hop(SPAN("http2-settings")));
    assert_true(is_hop_by_hop(SPAN("keep-alive")));
    assert_true(is_hop_by_hop(SPAN("te")));
    assert_false(is_hop_by_hop(SPAN("x-other")));
    assert_false(is_hop_by_hop(SPAN("host")));
    assert_false(is_hop_by_hop(SPAN("content-length")));
}

static void test_fields_that_connection_may_not_name(void **state)
{
    static const char *const names[] = {
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Authorization",
        "X-Api-Key",
        "Cookie",
        "Content-Type",
        "Content-Language",
        "anthropic-version",
        "Anthropic-Beta",
        "openai-beta",
        "idempotency-key",
        "traceparent",
        "x-goog-api-key",
        "x-goog-user-project",
        "x-stainless-lang",
        "x-assay-key",
        "x-request-id",
        "close, Host",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char field[80];

        (void)snprintf(field, sizeof(field), "Connection: %s\r\n", names[i]);
        if (post(field) != FAULT_HOP_BY_HOP) {
            fail_msg("accepted: %s", names[i]);
        }
    }
    assert_int_equal(post("Connection: a b\r\n"), FAULT_BAD_HEAD);
    assert_int_equal(post("Connection: a;b\r\n"), FAULT_BAD_HEAD);
}

static void test_connection_options_are_bounded(void **state)
{
    char field[128] = "Connection: ";

    (void)state;
    for (size_t i = 0; i < 32; i++) {
        strcat(field, "a,");
    }
    strcat(field, "\r\n");
    assert_int_equal(post(field), FAULT_NONE);
    strcpy(field + strlen(field) - 2, "a\r\n");
    assert_int_equal(post(field), FAULT_BAD_HEAD);
}

struct response_row {
    enum method method;
    const char *raw;
    enum framing framing;
    bool keep_alive;
};

static void test_response_framing(void **state)
{
    static const struct response_row rows[] = {
        { METHOD_GET, "HTTP/1.1 200 OK\r\n" CL "\r\n", FRAMING_LENGTH, true },
        { METHOD_GET, "HTTP/1.1 200\r\n" CL "\r\n", FRAMING_LENGTH, true },
        { METHOD_POST, "HTTP/1.1 200 OK\r\n" TE "\r\n", FRAMING_CHUNKED, true },
        { METHOD_POST, "HTTP/1.1 200 OK\r\n\r\n", FRAMING_CLOSE, false },
        { METHOD_POST, "HTTP/1.1 200 OK\r\nConnection: close\r\n" CL "\r\n",
          FRAMING_LENGTH, false },
        { METHOD_POST, "HTTP/1.0 200 OK\r\n" CL "\r\n", FRAMING_LENGTH, false },
        { METHOD_HEAD, "HTTP/1.1 200 OK\r\n" CL "\r\n", FRAMING_NONE, true },
        { METHOD_HEAD, "HTTP/1.1 200 OK\r\n" TE "\r\n", FRAMING_NONE, true },
        { METHOD_HEAD, "HTTP/1.1 200 OK\r\n\r\n", FRAMING_NONE, true },
        { METHOD_GET, "HTTP/1.1 304 Not Modified\r\n" CL "\r\n", FRAMING_NONE, true },
        { METHOD_GET, "HTTP/1.1 204 No Content\r\n\r\n", FRAMING_NONE, true },
        { METHOD_GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
          FRAMING_NONE, true },
        { METHOD_GET, "HTTP/1.1 204 No Content\r\n" CL "\r\n", FRAMING_NONE, false },
        { METHOD_GET, "HTTP/1.1 204 No Content\r\n" TE "\r\n", FRAMING_NONE, false },
        { METHOD_POST, "HTTP/1.1 100 Continue\r\n\r\n", FRAMING_NONE, true },
        { METHOD_POST, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", FRAMING_NONE,
          true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (response(rows[i].method, rows[i].raw) != FAULT_NONE) {
            fail_msg("refused: %s", rows[i].raw);
        }
        assert_int_equal(head.framing, rows[i].framing);
        assert_int_equal(head.keep_alive, rows[i].keep_alive);
    }
}

static void test_bad_responses(void **state)
{
    static const char *const raws[] = {
        "{\"a\":1}\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 99 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" CL TE "\r\n",
        "HTTP/1.1 200 OK\r\n" CL CL "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\n" TE "\r\n",
        "HTTP/1.1 200 OK\r\nTransfer_Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 304 OK\r\n" CL TE "\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(raws) / sizeof(raws[0]); i++) {
        if (response(METHOD_GET, raws[i]) != FAULT_UPSTREAM_HEAD) {
            fail_msg("accepted: %s", raws[i]);
        }
    }
}

static void test_response_connection(void **state)
{
    (void)state;
    assert_int_equal(response(METHOD_GET,
                              "HTTP/1.1 101 Switching Protocols\r\nX-A: b\r\n"
                              "Connection: upgrade, X-A, content-type\r\n"
                              "Content-Type: a\r\nUpgrade: websocket\r\n\r\n"),
                     FAULT_NONE);
    assert_int_equal(head.status, 101);
    assert_true(head.upgrade);
    assert_true(is_hop_by_hop(SPAN("x-a")));
    /* what is not the connection's stays, whatever an upstream says of it */
    assert_false(is_hop_by_hop(SPAN("content-type")));
}

static void test_no_disagreement(void **state)
{
    (void)state;
    assert_int_equal(head_disagreements(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_field_names),
        cmocka_unit_test(test_method_texts),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_host_stands_once),
        cmocka_unit_test(test_request_framing),
        cmocka_unit_test(test_bad_framing_fields),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_hop_by_hop),
        cmocka_unit_test(test_fields_that_connection_may_not_name),
        cmocka_unit_test(test_connection_options_are_bounded),
        cmocka_unit_test(test_response_framing),
        cmocka_unit_test(test_bad_responses),
        cmocka_unit_test(test_response_connection),
        cmocka_unit_test(test_no_disagreement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
