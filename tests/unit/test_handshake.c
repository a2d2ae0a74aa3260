#include "proxy/http/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define VERSION  "Sec-WebSocket-Version: 13\r\n"
#define SWITCHES "Connection: Upgrade\r\nUpgrade: websocket\r\n"

static struct head head;
static char raw[16 * 1024];

static void parse_request(const char *line, const char *fields)
{
    int len = snprintf(raw, sizeof raw, "%s\r\nHost: h\r\n%s\r\n", line, fields);

    assert_int_equal(head_parse_request(span_of(raw, (size_t)len), &head), FAULT_NONE);
}

static enum fault judge(const char *line, const char *fields)
{
    struct handshake handshake;

    parse_request(line, fields);
    return handshake_request(&head, false, &handshake);
}

/* Offers and answers; true if the answer is taken. */
static bool agree(const char *offer, const char *answer, struct handshake_terms *terms)
{
    static struct handshake handshake;
    char fields[4096];

    (void)snprintf(fields, sizeof fields, SWITCHES KEY VERSION "%s", offer);
    parse_request("GET / HTTP/1.1", fields);
    assert_int_equal(handshake_request(&head, false, &handshake), FAULT_NONE);
    (void)snprintf(raw, sizeof raw,
                   "HTTP/1.1 101 Switching Protocols\r\n" SWITCHES ACCEPT "%s\r\n",
                   answer);
    assert_int_equal(head_parse_response(span_text(raw), METHOD_GET, &head),
                     FAULT_NONE);
    return handshake_response(&handshake, &head, terms);
}

static void test_a_good_request(void **state)
{
    (void)state;
    assert_int_equal(judge("GET / HTTP/1.1", SWITCHES KEY VERSION), FAULT_NONE);
    assert_int_equal(judge("GET / HTTP/1.1", "Connection: keep-alive, UPGRADE\r\n"
                                             "Upgrade: WebSocket\r\n" KEY VERSION),
                     FAULT_NONE);
}

static void test_bad_requests(void **state)
{
    static const char *const bad[] = {
        "",
        KEY VERSION,
        "Upgrade: websocket\r\n" KEY VERSION,
        "Connection: Upgrade\r\n" KEY VERSION,
        "Connection: Upgrade\r\nUpgrade: h2c\r\n" KEY VERSION,
        "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n" KEY VERSION,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n" KEY
            VERSION,
        "Connection: Upgrade, close\r\nUpgrade: websocket\r\n" KEY VERSION,
        SWITCHES VERSION,
        SWITCHES KEY,
        SWITCHES KEY KEY VERSION,
        SWITCHES KEY VERSION VERSION,
        SWITCHES KEY "Sec-WebSocket-Version: 8\r\n",
        SWITCHES KEY "Sec-WebSocket-Version: 13, 8\r\n",
        SWITCHES "Sec-WebSocket-Key: \r\n" VERSION,
        SWITCHES "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" VERSION,
        SWITCHES "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" VERSION,
        SWITCHES "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=a\r\n" VERSION,
        SWITCHES "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n" VERSION,
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(judge("GET / HTTP/1.1", bad[i]), FAULT_HANDSHAKE);
    }
    assert_int_equal(judge("GET / HTTP/1.0", SWITCHES KEY VERSION), FAULT_HANDSHAKE);
    assert_int_equal(judge("POST / HTTP/1.1", SWITCHES KEY VERSION), FAULT_HANDSHAKE);
}

static void test_asked(void **state)
{
    (void)state;
    parse_request("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n");
    assert_false(handshake_asked(&head));
    parse_request("GET / HTTP/1.1", "Upgrade: h2c, WebSocket\r\n");
    assert_true(handshake_asked(&head));
}

static void test_what_the_provider_gets(void **state)
{
    struct handshake handshake;
    char memory[2048];
    struct text out = text_over(memory, sizeof memory);

    (void)state;
    parse_request("GET / HTTP/1.1", SWITCHES KEY VERSION
                  "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.abc\r\n"
                  "Sec-WebSocket-Protocol: openai-project.p, beta\r\n"
                  "Sec-WebSocket-Extensions: x-other, permessage-deflate; "
                  "client_max_window_bits\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate; unknown=1\r\n");
    assert_true(span_equal(handshake_credential(&head), SPAN("abc")));
    assert_int_equal(handshake_request(&head, false, &handshake), FAULT_NONE);
    handshake_put_request(&handshake, &head, &out);
    text_put_char(&out, '\0');
    assert_string_equal(out.at,
                        "connection: Upgrade\r\nupgrade: websocket\r\n"
                        "sec-websocket-version: 13\r\n"
                        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "sec-websocket-protocol: realtime, beta\r\n"
                        "sec-websocket-extensions: permessage-deflate; "
                        "client_no_context_takeover; client_max_window_bits\r\n");
    assert_int_equal(handshake_request(&head, true, &handshake), FAULT_NONE);
    assert_true(span_equal(span_of(handshake.protocols, handshake.protocols_len),
                           SPAN("realtime, openai-insecure-api-key.abc, "
                                "openai-project.p, beta")));
}

#define OFFER(text) "Sec-WebSocket-Extensions: " text "\r\n"

static void test_good_answers(void **state)
{
    struct handshake_terms terms;

    (void)state;
    assert_true(agree("", "", &terms));
    assert_false(terms.deflate);
    assert_true(
        agree(OFFER("permessage-deflate"), OFFER("permessage-deflate"), &terms));
    assert_true(terms.deflate && terms.server_keeps);
    assert_true(agree(OFFER("permessage-deflate; client_max_window_bits"),
                      OFFER("permessage-deflate; server_no_context_takeover; "
                            "server_max_window_bits=9; client_max_window_bits=\"10\""),
                      &terms));
    assert_true(!terms.server_keeps && terms.server_bits == 9 &&
                terms.client_bits == 10);
    assert_true(agree("Sec-WebSocket-Protocol: a, b\r\n",
                      "Sec-WebSocket-Protocol: b\r\n", &terms));
    assert_true(span_equal(terms.protocol, SPAN("b")));
}

static void test_bad_answers(void **state)
{
    static const struct {
        const char *offer, *answer;
    } bad[] = {
        { "", OFFER("permessage-deflate") },
        { OFFER("x-other"), OFFER("x-other") },
        { OFFER("permessage-deflate"), OFFER("x-other") },
        { OFFER("permessage-deflate"),
          OFFER("permessage-deflate, permessage-deflate") },
        { OFFER("permessage-deflate"), OFFER("permessage-deflate; what") },
        { OFFER("permessage-deflate"),
          OFFER("permessage-deflate; server_no_context_takeover; "
                "server_no_context_takeover") },
        { OFFER("permessage-deflate"),
          OFFER("permessage-deflate; server_max_window_bits=7") },
        { OFFER("permessage-deflate"),
          OFFER("permessage-deflate; server_max_window_bits=16") },
        { OFFER("permessage-deflate"),
          OFFER("permessage-deflate; server_max_window_bits=09") },
        { OFFER("permessage-deflate"),
          OFFER("permessage-deflate; server_max_window_bits") },
        { OFFER("permessage-deflate"),
          OFFER("permessage-deflate; client_max_window_bits=10") },
        { OFFER("permessage-deflate; client_max_window_bits"),
          OFFER("permessage-deflate; client_max_window_bits") },
        { "", "Sec-WebSocket-Protocol: a\r\n" },
        { "Sec-WebSocket-Protocol: a, b\r\n", "Sec-WebSocket-Protocol: c\r\n" },
        { "Sec-WebSocket-Protocol: a, b\r\n",
          "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n" },
        { "", ACCEPT },
        { "", "Upgrade: websocket\r\n" },
    };
    struct handshake_terms terms;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(agree(bad[i].offer, bad[i].answer, &terms));
    }
}

static void test_a_wrong_answer_to_the_key(void **state)
{
    struct handshake_terms terms;
    struct handshake handshake;

    (void)state;
    parse_request("GET / HTTP/1.1",
                  SWITCHES VERSION "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
    assert_int_equal(handshake_request(&head, false, &handshake), FAULT_NONE);
    (void)snprintf(raw, sizeof raw,
                   "HTTP/1.1 101 Switching Protocols\r\n" SWITCHES ACCEPT "\r\n");
    assert_int_equal(head_parse_response(span_text(raw), METHOD_GET, &head),
                     FAULT_NONE);
    assert_false(handshake_response(&handshake, &head, &terms));
}

static void test_what_the_client_gets(void **state)
{
    struct handshake handshake = { .deflate = true };
    const struct handshake_terms terms = { .protocol = { "realtime", 8 },
                                           .deflate = true,
                                           .server_bits = 10 };
    char memory[1024];
    struct text out = text_over(memory, sizeof memory);

    (void)state;
    memcpy(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", HANDSHAKE_ACCEPT);
    handshake_put_response(&handshake, &terms, &out);
    text_put_char(&out, '\0');
    assert_string_equal(out.at,
                        "connection: Upgrade\r\nupgrade: websocket\r\n"
                        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                        "sec-websocket-protocol: realtime\r\n"
                        "sec-websocket-extensions: permessage-deflate; "
                        "client_no_context_takeover; server_no_context_takeover; "
                        "server_max_window_bits=10\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_request),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_what_the_provider_gets),
        cmocka_unit_test(test_good_answers),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_a_wrong_answer_to_the_key),
        cmocka_unit_test(test_what_the_client_gets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
