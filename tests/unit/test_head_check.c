#include "proxy/http/head_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Tab: a\tb\r\n\r\n"

/* Shows head_find_end() the bytes in two steps, the second with all of them. */
static enum fault find_end(struct span bytes, size_t split, size_t *size)
{
    size_t scanned = 0;
    enum fault fault = head_find_end(span_of(bytes.at, split), &scanned, size);

    assert_true(scanned <= split);
    if (fault == FAULT_NONE && *size == 0) {
        fault = head_find_end(bytes, &scanned, size);
    }
    return fault;
}

static void assert_end(struct span bytes, enum fault wanted, size_t wanted_size)
{
    size_t scanned = 0;
    size_t size = 0;
    enum fault fault = FAULT_NONE;

    for (size_t split = 0; split <= bytes.len; split++) {
        fault = find_end(bytes, split, &size);
        assert_int_equal(fault, wanted);
        assert_int_equal(size, wanted_size);
    }
    fault = FAULT_NONE;
    size = 0;
    for (size_t len = 1; len <= bytes.len && fault == FAULT_NONE && size == 0; len++) {
        fault = head_find_end(span_of(bytes.at, len), &scanned, &size);
    }
    assert_int_equal(fault, wanted);
    assert_int_equal(size, wanted_size);
}

static void test_end_is_found(void **state)
{
    struct span head = SPAN(HEAD);

    (void)state;
    assert_end(head, FAULT_NONE, head.len);
    assert_end(SPAN(HEAD "\r\n\r\nbody\0\x01\n"), FAULT_NONE, head.len);
    assert_end(SPAN("\r\n" HEAD), FAULT_NONE, head.len + 2);
    assert_end(SPAN("\r\n\r\n" HEAD "x"), FAULT_NONE, head.len + 4);
    assert_end(SPAN("HTTP/1.1 200\r\n\r\n{"), FAULT_NONE, 16);
    assert_end(SPAN("GET / HTTP/1.1\r\n\r\n"), FAULT_NONE, 18);
}

static void test_unfinished_heads_wait(void **state)
{
    struct span head = SPAN("\r\n\r\n" HEAD);

    (void)state;
    for (size_t len = 0; len < head.len; len++) {
        assert_end(span_of(head.at, len), FAULT_NONE, 0);
    }
}

static void test_illegal_bytes(void **state)
{
    (void)state;
    assert_end(SPAN("GET / HTTP/1.1\nHost: a"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("GET / HTTP/1.1\r\nX: a\rb"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("GET / HTTP/1.1\r\nX: a\r\r\n"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("GET / HTTP/1.1\r\n\rX"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("GET / HTTP/1.1\r\nX: a\0"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("GET / HTTP/1.1\r\nX: a\x7f"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("\x16\x03\x01"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("\rGET"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("\nGET"), FAULT_BAD_HEAD, 0);
    for (unsigned c = 0; c < 256; c++) {
        char line[] = "GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaa?aa";
        bool legal = (c >= 0x20 && c != 0x7f) || c == '\t';

        *strchr(line, '?') = (char)c;
        assert_end(span_of(line, sizeof(line) - 1), legal ? FAULT_NONE : FAULT_BAD_HEAD,
                   0);
    }
}

static void test_first_lines_of_other_protocols(void **state)
{
    (void)state;
    assert_end(SPAN("GET /\r\n"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("   \r\n"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("DESCRIBE / RTSP/1.0\r\n"), FAULT_BAD_HEAD, 0);
    assert_end(SPAN("\r\n\r\n\r\n"), FAULT_BAD_HEAD, 0);
}

/* A head of `size` bytes; the caller frees it. */
static char *make_head(size_t target_len, size_t size)
{
    char *bytes = malloc(size);
    size_t end = 5 + target_len;

    assert_non_null(bytes);
    memset(bytes, 'a', size);
    memcpy(bytes, "GET /", 5);
    memcpy(bytes + end, " HTTP/1.1\r\nX: ", 14);
    memcpy(bytes + size - 4, "\r\n\r\n", 4);
    return bytes;
}

static void test_first_line_is_bounded(void **state)
{
    size_t fits = HEAD_LINE_MAX - strlen("GET / HTTP/1.1");

    (void)state;
    for (size_t over = 0; over < 3; over++) {
        size_t len = fits + over + 100;
        char *bytes = make_head(fits + over, len);
        size_t split = HEAD_LINE_MAX - 4;
        size_t size;

        for (; split < HEAD_LINE_MAX + 4; split++) {
            assert_int_equal(find_end(span_of(bytes, len), split, &size),
                             over == 0 ? FAULT_NONE : FAULT_TARGET_TOO_LONG);
            assert_int_equal(size, over == 0 ? len : 0);
        }
        free(bytes);
    }
}

static void test_head_is_bounded(void **state)
{
    (void)state;
    for (size_t over = 0; over < 3; over++) {
        size_t len = HEAD_SIZE_MAX + over;
        char *bytes = make_head(1, len);
        size_t split = HEAD_SIZE_MAX - 4;
        size_t size;

        for (; split < len; split++) {
            assert_int_equal(find_end(span_of(bytes, len), split, &size),
                             over == 0 ? FAULT_NONE : FAULT_HEAD_TOO_LARGE);
            assert_int_equal(size, over == 0 ? len : 0);
        }
        free(bytes);
    }
}

static void test_endless_first_word(void **state)
{
    char *bytes = malloc(HEAD_LINE_MAX + 1);
    size_t size;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'A', HEAD_LINE_MAX + 1);
    assert_int_equal(find_end(span_of(bytes, HEAD_LINE_MAX), 1, &size), FAULT_NONE);
    assert_int_equal(find_end(span_of(bytes, HEAD_LINE_MAX + 1), 1, &size),
                     FAULT_BAD_HEAD);
    free(bytes);
}

static struct head head;

static void test_request_spans(void **state)
{
    struct span raw = SPAN("\r\nPOST /a?b HTTP/1.0\r\nHost:a\r\nX-B: \t b c\t \r\n"
                           "X-Empty:\r\nX-Blank: \t\r\n\r\n");

    (void)state;
    assert_int_equal(head_check_request(raw, &head), FAULT_NONE);
    assert_int_equal(head.method, METHOD_POST);
    assert_int_equal(head.minor, 0);
    assert_true(span_equal(head.target, SPAN("/a?b")));
    assert_int_equal(head.field_count, 4);
    assert_int_equal(head.fields[0].id, FIELD_HOST);
    assert_true(span_equal(head.fields[0].value, SPAN("a")));
    assert_int_equal(head.fields[1].id, FIELD_OTHER);
    assert_true(span_equal(head.fields[1].name, SPAN("X-B")));
    assert_true(span_equal(head.fields[1].value, SPAN("b c")));
    assert_int_equal(head.fields[2].value.len, 0);
    assert_int_equal(head.fields[3].value.len, 0);
    assert_true(head.fields[1].value.at > raw.at);
}

static void test_response_spans(void **state)
{
    (void)state;
    assert_int_equal(head_check_response(
                         SPAN("HTTP/1.1 404 Not\tFound \xe9\r\nA: b\r\n\r\n"), &head),
                     FAULT_NONE);
    assert_int_equal(head.status, 404);
    assert_int_equal(head.minor, 1);
    assert_true(span_equal(head.reason, SPAN("Not\tFound \xe9")));
    assert_int_equal(head.field_count, 1);
    assert_int_equal(head_check_response(SPAN("HTTP/1.0 100\r\n\r\n"), &head),
                     FAULT_NONE);
    assert_int_equal(head.reason.len, 0);
    assert_int_equal(head_check_response(SPAN("HTTP/1.1 599 \r\n\r\n"), &head),
                     FAULT_NONE);
    assert_int_equal(head.reason.len, 0);
}

struct refusal {
    const char *raw;
    enum fault fault;
};

static void test_bad_requests(void **state)
{
    static const struct refusal rows[] = {
        { "", FAULT_BAD_HEAD },
        { "\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA: b\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\n\r\nX", FAULT_BAD_HEAD },
        { "\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { " GET / HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET  / HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET /  HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1 \r\n\r\n", FAULT_BAD_HEAD },
        { "GET /a b HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET\t/ HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET\r\n\r\n", FAULT_BAD_HEAD },
        { "GET \r\n\r\n", FAULT_BAD_HEAD },
        { "GET /\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / \r\n\r\n", FAULT_BAD_HEAD },
        { "G[T / HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / http/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.10\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/01.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1,1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/x.1\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.2\r\n\r\n", FAULT_HTTP_VERSION },
        { "GET / HTTP/0.9\r\n\r\n", FAULT_HTTP_VERSION },
        { "GET / HTTP/2.0\r\n\r\n", FAULT_HTTP_VERSION },
        { "PRI * HTTP/2.0\r\n\r\n", FAULT_HTTP_VERSION },
        { "get / HTTP/1.1\r\n\r\n", FAULT_METHOD },
        { "GETS / HTTP/1.1\r\n\r\n", FAULT_METHOD },
        { "GE / HTTP/1.1\r\n\r\n", FAULT_METHOD },
        { "TRACE / HTTP/1.1\r\n\r\n", FAULT_METHOD },
        { "CONNECT a:1 HTTP/1.1\r\n\r\n", FAULT_METHOD },
        { "GET / HTTP/1.1\r\n A: b\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA : b\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA\t: b\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA B: b\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\n: b\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\n\"A\": b\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nX-\xe9: b\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", FAULT_BAD_HEAD },
        { "GET / HTTP/1.1\r\nA: b\t\x7f\r\n\r\n", FAULT_BAD_HEAD },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum fault fault = head_check_request(span_text(rows[i].raw), &head);

        if (fault != rows[i].fault) {
            fail_msg("%s: %s", fault_row(fault)->name, rows[i].raw);
        }
    }
}

static void test_bad_responses(void **state)
{
    static const struct refusal rows[] = {
        { "", FAULT_BAD_HEAD },
        { "{\"a\":1}", FAULT_BAD_HEAD },
        { "\r\nHTTP/1.1 200 OK\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 \r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 20\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 99 X\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 099 X\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 600 X\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 1000 X\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 2a0 X\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1  200 X\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 200OK\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1\t200 OK\r\n\r\n", FAULT_BAD_HEAD },
        { "ICY 200 OK\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/2.0 200 OK\r\n\r\n", FAULT_HTTP_VERSION },
        { "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", FAULT_BAD_HEAD },
        { "HTTP/1.1 200 OK\nA: b\n\n", FAULT_BAD_HEAD },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum fault fault = head_check_response(span_text(rows[i].raw), &head);

        if (fault != rows[i].fault) {
            fail_msg("%s: %s", fault_row(fault)->name, rows[i].raw);
        }
    }
}

static void test_fields_are_bounded(void **state)
{
    char raw[32 + 5 * (HEAD_FIELDS_MAX + 1)] = "GET / HTTP/1.1\r\n";
    size_t len = strlen(raw);

    (void)state;
    for (unsigned i = 0; i <= HEAD_FIELDS_MAX; i++) {
        memcpy(raw + len, "\r\n", 3);
        assert_int_equal(head_check_request(span_of(raw, len + 2), &head), FAULT_NONE);
        assert_int_equal(head.field_count, i);
        memcpy(raw + len, "A:\r\n", 5);
        len += 4;
    }
    memcpy(raw + len, "\r\n", 3);
    assert_int_equal(head_check_request(span_of(raw, len + 2), &head),
                     FAULT_HEAD_TOO_LARGE);
}

static void test_lookalikes(void **state)
{
    (void)state;
    assert_true(head_framing_lookalike(SPAN("content_length")));
    assert_true(head_framing_lookalike(SPAN("Content.Length")));
    assert_true(head_framing_lookalike(SPAN("TRANSFER_ENCODING")));
    assert_false(head_framing_lookalike(SPAN("content-length")));
    assert_false(head_framing_lookalike(SPAN("Transfer-Encoding")));
    assert_false(head_framing_lookalike(SPAN("content_lengths")));
    assert_false(head_framing_lookalike(SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_is_found),
        cmocka_unit_test(test_unfinished_heads_wait),
        cmocka_unit_test(test_illegal_bytes),
        cmocka_unit_test(test_first_lines_of_other_protocols),
        cmocka_unit_test(test_first_line_is_bounded),
        cmocka_unit_test(test_head_is_bounded),
        cmocka_unit_test(test_endless_first_word),
        cmocka_unit_test(test_request_spans),
        cmocka_unit_test(test_response_spans),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bad_responses),
        cmocka_unit_test(test_fields_are_bounded),
        cmocka_unit_test(test_lookalikes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
