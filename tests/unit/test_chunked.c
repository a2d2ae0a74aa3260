#include "proxy/http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { DATA_MAX = 64 * 1024 };

/* What a body decoded to. */
struct decoded {
    enum fault fault;
    bool ended;
    size_t rest; /* bytes that belong to the next message */
    size_t pieces;
    size_t len;
    char data[DATA_MAX];
};

static void feed(struct chunked *chunked, struct span input, struct decoded *decoded)
{
    struct span data;

    do {
        decoded->fault = chunked_next(chunked, &input, &data, &decoded->ended);
        if (decoded->fault != FAULT_NONE) {
            return;
        }
        if (data.len > 0) {
            assert_true(decoded->len + data.len <= DATA_MAX);
            memcpy(decoded->data + decoded->len, data.at, data.len);
            decoded->len += data.len;
            decoded->pieces++;
        }
    } while (input.len > 0 && !decoded->ended);
    decoded->rest = input.len;
}

/* The body comes in two reads, cut at `split`. */
static void decode(struct span body, size_t split, struct decoded *decoded)
{
    struct chunked chunked;

    chunked_init(&chunked);
    decoded->fault = FAULT_NONE;
    decoded->ended = false;
    decoded->len = 0;
    decoded->pieces = 0;
    decoded->rest = 0;
    feed(&chunked, span_of(body.at, split), decoded);
    if (decoded->fault != FAULT_NONE) {
        return;
    }
    if (decoded->ended) {
        decoded->rest += body.len - split;
    } else {
        feed(&chunked, span_after(body, split), decoded);
    }
}

static void decode_bytewise(struct span body, struct decoded *decoded)
{
    struct chunked chunked;

    chunked_init(&chunked);
    *decoded = (struct decoded){ .fault = FAULT_NONE };
    for (size_t i = 0; i < body.len && decoded->fault == FAULT_NONE; i++) {
        if (decoded->ended) {
            decoded->rest = body.len - i;
            return;
        }
        feed(&chunked, span_of(body.at + i, 1), decoded);
    }
}

static struct decoded decoded;

static void assert_decodes(struct span body, struct span data, size_t rest)
{
    for (size_t split = 0; split <= body.len; split++) {
        decode(body, split, &decoded);
        assert_int_equal(decoded.fault, FAULT_NONE);
        assert_true(decoded.ended);
        assert_int_equal(decoded.rest, rest);
        assert_true(span_equal(span_of(decoded.data, decoded.len), data));
    }
    decode_bytewise(body, &decoded);
    assert_int_equal(decoded.fault, FAULT_NONE);
    assert_true(decoded.ended);
    assert_int_equal(decoded.rest, rest);
    assert_true(span_equal(span_of(decoded.data, decoded.len), data));
}

static void test_good_bodies(void **state)
{
    (void)state;
    assert_decodes(SPAN("0\r\n\r\n"), SPAN(""), 0);
    assert_decodes(SPAN("5\r\nhello\r\n0\r\n\r\n"), SPAN("hello"), 0);
    assert_decodes(SPAN("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), SPAN("hello world"),
                   0);
    assert_decodes(SPAN("A\r\n0123456789\r\na\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"),
                   SPAN("0123456789\r\n\r\n\r\n\r\n\r\n"), 0);
    assert_decodes(SPAN("00000002\r\nhi\r\n0\r\n\r\n"), SPAN("hi"), 0);
    assert_decodes(SPAN("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), SPAN("x"), 16);
}

static void test_extensions_are_dropped(void **state)
{
    (void)state;
    assert_decodes(SPAN("2;a\r\nhi\r\n0;b\r\n\r\n"), SPAN("hi"), 0);
    assert_decodes(SPAN("2;a=b;c\r\nhi\r\n0\r\n\r\n"), SPAN("hi"), 0);
    assert_decodes(SPAN("2;a=\"b \\\" ;\\\\\";c=d\r\nhi\r\n0\r\n\r\n"), SPAN("hi"), 0);
    assert_decodes(SPAN("2;a=\"\"\r\nhi\r\n0\r\n\r\n"), SPAN("hi"), 0);
}

static void test_trailers_are_dropped(void **state)
{
    (void)state;
    assert_decodes(SPAN("1\r\nx\r\n0\r\nX-Usage: 1\r\nServer-Timing:a\r\n\r\nnext"),
                   SPAN("x"), 4);
    assert_decodes(SPAN("0\r\nX-Empty:\r\n\r\n"), SPAN(""), 0);
    assert_decodes(SPAN("0\r\nX-Name-That-Is-Longer-Than-Any-Known-One: 1\r\n\r\n"),
                   SPAN(""), 0);
}

static void assert_refused(struct span body)
{
    for (size_t split = 0; split <= body.len; split++) {
        decode(body, split, &decoded);
        if (decoded.fault != FAULT_BAD_FRAMING) {
            fail_msg("accepted, split at %zu: %.60s", split, body.at);
        }
    }
}

static void test_bad_bodies(void **state)
{
    static const char *const bodies[] = {
        /* sizes */
        "\r\nhello",
        "+5\r\n",
        "-5\r\n",
        "0x5\r\n",
        "0_5\r\n",
        " 5\r\n",
        "5 \r\n",
        "5\t\r\n",
        "g\r\n",
        "000\r\n",
        "00\r\n\r\n",
        "0;a\rX",
        "000000005\r\n",
        "100000005\r\n",
        "FFFFFFFFFFFFFFFF\r\n",
        "10000000000000005\r\n",
        "5\n",
        "5\rX",
        "5\r\r",
        ";a\r\n",
        /* data */
        "5\r\nhello\n",
        "5\r\nhelloX\r\n",
        "5\r\nhello0\r\n",
        "5\r\nhello\rX",
        /* extensions */
        "5;\r\n",
        "5;\n",
        "5;a=\r\n",
        "5;a=b\rX",
        "5;a=b\r\r",
        "5;=b\r\n",
        "5; a\r\n",
        "5;a =b\r\n",
        "5;bad[=x\r\n",
        "5;a=\x01\r\n",
        "5;a=\"\r\n\"\r\n",
        "5;a=\"b\"c\r\n",
        "5;a=\"b\"=c\r\n",
        "5;a=\"\\\r\n",
        "5;a=b=c\r\n",
        "5;a;;b\r\n",
        /* the end */
        "0\r\n\n",
        "0\r\n\rX",
        "0\n\r\n",
        /* trailers */
        "0\r\nContent-Length: 5\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n",
        "0\r\nTRANSFER_ENCODING: chunked\r\n",
        "0\r\ncontent_length: chunked\r\n",
        "0\r\nHost: evil\r\n",
        "0\r\nAuthorization: Bearer x\r\n",
        "0\r\nX-Api-Key: k\r\n",
        "0\r\nX-Assay-Key: k\r\n",
        "0\r\nCookie: k\r\n",
        "0\r\nContent-Type: text/evil\r\n",
        "0\r\nConnection: close\r\n",
        "0\r\nX-Forwarded-For: 1\r\n",
        "0\r\nX-A : b\r\n",
        "0\r\nX-A\r\n",
        "0\r\n: b\r\n",
        "0\r\nX-A: b\r\n c\r\n",
        "0\r\n X-A: b\r\n",
        "0\r\nX-A: b\x01\r\n",
        "0\r\nX-A: b\rX",
        "0\r\nX-A: b\n",
        "0\r\nX\x80: b\r\n",
        "0\r\nX-A: b\x7f\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_refused(span_text(bodies[i]));
    }
    assert_refused(SPAN("5;a=\0\r\n"));
    assert_refused(SPAN("0\r\nX-A: \0\r\n"));
}

static void test_extensions_are_bounded(void **state)
{
    char body[600];
    int len;

    (void)state;
    /* 2 * 120 bytes in two chunks are fine, 2 * 140 are too many */
    len = snprintf(body, sizeof(body), "1;%0118d\r\nx\r\n1;%0118d\r\nx\r\n0\r\n\r\n", 1,
                   1);
    assert_decodes(span_of(body, (size_t)len), SPAN("xx"), 0);
    len = snprintf(body, sizeof(body), "1;%0138d\r\nx\r\n1;%0138d\r\nx\r\n0\r\n\r\n", 1,
                   1);
    assert_refused(span_of(body, (size_t)len));
}

static void test_trailers_are_bounded(void **state)
{
    static char body[20000];
    size_t len = (size_t)snprintf(body, sizeof(body), "0\r\n");

    (void)state;
    while (len < 10000) {
        len += (size_t)snprintf(body + len, sizeof(body) - len, "a%zu:b\r\n", len);
    }
    decode(span_of(body, len), len, &decoded);
    assert_int_equal(decoded.fault, FAULT_BAD_FRAMING);
}

static void test_unfinished_bodies_wait(void **state)
{
    struct span body = SPAN("5;a=\"b\"\r\nhello\r\n0\r\nX-A: b\r\n\r\n");

    (void)state;
    for (size_t len = 0; len < body.len; len++) {
        decode(span_of(body.at, len), 0, &decoded);
        assert_int_equal(decoded.fault, FAULT_NONE);
        assert_false(decoded.ended);
    }
}

static void test_large_chunks_are_not_cut(void **state)
{
    static char body[DATA_MAX + 32];
    int len = snprintf(body, sizeof(body), "%x\r\n", DATA_MAX - 16u);

    (void)state;
    memset(body + len, 'x', DATA_MAX - 16);
    memcpy(body + len + DATA_MAX - 16, "\r\n0\r\n\r\n", 7);
    decode(span_of(body, (size_t)len + DATA_MAX - 16 + 7), 0, &decoded);
    assert_true(decoded.ended);
    assert_int_equal(decoded.pieces, 1);
    assert_int_equal(decoded.len, DATA_MAX - 16);
}

static void test_size_lines(void **state)
{
    static const struct {
        size_t size;
        const char *line;
    } rows[] = {
        { 1, "1\r\n" },           { 9, "9\r\n" },
        { 15, "f\r\n" },          { 16, "10\r\n" },
        { 0x1234, "1234\r\n" },   { 0xffff, "ffff\r\n" },
        { 0x10000, "10000\r\n" }, { SIZE_MAX, "ffffffffffffffff\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[CHUNKED_LINE_MAX];
        size_t len = chunked_size_line(line, rows[i].size);

        assert_true(span_equal(span_of(line, len), span_text(rows[i].line)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_bodies),
        cmocka_unit_test(test_extensions_are_dropped),
        cmocka_unit_test(test_trailers_are_dropped),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_extensions_are_bounded),
        cmocka_unit_test(test_trailers_are_bounded),
        cmocka_unit_test(test_unfinished_bodies_wait),
        cmocka_unit_test(test_large_chunks_are_not_cut),
        cmocka_unit_test(test_size_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
