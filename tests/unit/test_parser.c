/* llhttp has to object whenever our reading differs from its own. */
#include "proxy/http/head_check.h"
#include "proxy/http/parser.h"

#include <llhttp.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUEST                                                                        \
    "POST /v1/messages HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Blank: \t \r\n"            \
    "X-Value: \t b c \t\r\nConnection: close, x\r\nContent-Length: 5 \r\n\r\n"
#define RESPONSE                                                                       \
    "HTTP/1.1 200 Fine\r\nX-Empty:\r\nX-Value: b\r\nTransfer-Encoding: "               \
    "chunked\r\n\r\n"

struct message {
    struct span raw;
    struct head head;
    struct announced announced;
};

static struct message message;

static void read_request(const char *raw)
{
    message.raw = span_text(raw);
    message.announced = (struct announced){ .sized = true, .length = 5 };
    assert_int_equal(head_check_request(message.raw, &message.head), FAULT_NONE);
}

static void read_response(const char *raw)
{
    message.raw = span_text(raw);
    message.announced = (struct announced){ .chunked = true };
    assert_int_equal(head_check_response(message.raw, &message.head), FAULT_NONE);
}

static bool request_seen(void)
{
    return parser_sees_request(message.raw, &message.head, &message.announced);
}

static bool response_seen(void)
{
    return parser_sees_response(message.raw, &message.head, &message.announced);
}

static void test_agreement(void **state)
{
    (void)state;
    read_request(REQUEST);
    assert_true(request_seen());
    read_request("\r\n" REQUEST);
    assert_true(request_seen());
    read_request("\r\n\r\n" REQUEST);
    assert_true(request_seen());
    read_response(RESPONSE);
    assert_true(response_seen());
    read_response("HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_true(response_seen());
    read_response("HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_true(response_seen());
}

static void test_every_method(void **state)
{
    (void)state;
    for (unsigned i = METHOD_GET; i <= METHOD_OPTIONS; i++) {
        char raw[64];
        struct span text = method_text((enum method)i);

        (void)snprintf(raw, sizeof(raw), "%s / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
                       text.at);
        read_request(raw);
        assert_true(request_seen());
        message.head.method = i == METHOD_GET ? METHOD_HEAD : METHOD_GET;
        assert_false(request_seen());
    }
}

static void test_upgrades_are_only_heads(void **state)
{
    (void)state;
    read_request("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                 "Content-Length: 5\r\n\r\n");
    assert_true(request_seen());
}

static void test_start_line_differs(void **state)
{
    (void)state;
    read_request(REQUEST);
    message.head.target.len--;
    assert_false(request_seen());
    read_request(REQUEST);
    message.head.minor = 0;
    assert_false(request_seen());
    read_response(RESPONSE);
    message.head.status = 201;
    assert_false(response_seen());
    read_response(RESPONSE);
    message.head.reason.at++;
    assert_false(response_seen());
}

static void test_fields_differ(void **state)
{
    (void)state;
    read_request(REQUEST);
    message.head.field_count--;
    assert_false(request_seen());
    for (size_t i = 0; i < 6; i++) {
        read_request(REQUEST);
        message.head.fields[i].name.len--;
        assert_false(request_seen());
        read_request(REQUEST);
        message.head.fields[i].value.len++;
        assert_false(request_seen());
    }
    read_request(REQUEST);
    message.head.fields[6] = message.head.fields[0];
    message.head.field_count = 7;
    assert_false(request_seen());
}

static void test_framing_differs(void **state)
{
    (void)state;
    read_request(REQUEST);
    message.announced.length = 6;
    assert_false(request_seen());
    read_request(REQUEST);
    message.announced.sized = false;
    assert_false(request_seen());
    read_request(REQUEST);
    message.announced.chunked = true;
    assert_false(request_seen());
    read_response(RESPONSE);
    message.announced.chunked = false;
    assert_false(response_seen());
}

static void test_end_differs(void **state)
{
    (void)state;
    read_request(REQUEST);
    message.raw.len--;
    assert_false(request_seen());
    read_request(REQUEST);
    message.raw = SPAN(REQUEST "hello");
    assert_false(request_seen());
}

static void test_strict_mode(void **state)
{
    (void)state;
    /* Debian's llhttp takes this for the end of the head unless it is strict. */
    message.raw = SPAN("GET / HTTP/1.1\r\n\r\rGET / HTTP/1.1\r\n\r\n");
    message.head =
        (struct head){ .minor = 1, .target = span_of(message.raw.at + 4, 1) };
    message.announced = (struct announced){ .sized = false };
    assert_false(request_seen());
}

/* ---- under sanitizers ------------------------------------------------------------ */

#if defined(__has_feature)
    #define SEES_ADDRESSES __has_feature(address_sanitizer)
#else
    #define SEES_ADDRESSES 0
#endif

enum { SURVIVED = 42 };

static _Noreturn void read_past_the_end(void)
{
    char *word = malloc(3);
    llhttp_settings_t settings;
    llhttp_t parser;

    fclose(stderr);
    memcpy(word, "GET", 3);
    llhttp_settings_init(&settings);
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    (void)llhttp_execute(&parser, word, 4);
    _exit(SURVIVED);
}

/* A mistake in llhttp's own code is found by the sanitizers, too, where it is compiled
 * with ours (LLHTTP_STRICT_MODE) and not a library of the system. */
static void test_llhttp_is_watched(void **state)
{
    int status;
    pid_t child;

    (void)state;
    if (!SEES_ADDRESSES) {
        skip();
    }
#ifndef LLHTTP_STRICT_MODE
    skip();
#endif
    child = fork();
    if (child == 0) {
        read_past_the_end();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != SURVIVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_every_method),
        cmocka_unit_test(test_upgrades_are_only_heads),
        cmocka_unit_test(test_start_line_differs),
        cmocka_unit_test(test_fields_differ),
        cmocka_unit_test(test_framing_differs),
        cmocka_unit_test(test_end_differs),
        cmocka_unit_test(test_strict_mode),
        cmocka_unit_test(test_llhttp_is_watched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
