#include "proxy/engine/client.h"
#include "proxy/engine/forward.h"
#include "tests/support/vectors.h"
#include "tests/unit/routing.h"

#include <ctype.h>
#include <strings.h>

enum { RAW_MAX = 64 * 1024 };

/* What a request's head became for its provider. */
struct forwarded {
    enum fault refused; /* by the head's own rules */
    enum fault fault;
    char head[WORKER_BUILT_BYTES + 1];
    char accept[256];
    char encoding[64];
    char credential[256];
};

static void text_of(char *text, size_t size, struct span bytes)
{
    (void)snprintf(text, size, "%.*s", (int)bytes.len,
                   bytes.at == NULL ? "" : bytes.at);
}

/* The head's last line, which the secret ends, is told apart from the others. */
static void note_credential(struct forwarded *forwarded, struct span secret)
{
    char *line = forwarded->head + strlen(forwarded->head);

    while (line[-1] != '\n') {
        line--;
    }
    (void)snprintf(forwarded->credential, sizeof forwarded->credential, "%s%.*s", line,
                   (int)secret.len, secret.at);
    *line = '\0';
}

/* Forwards a request of this target with these field lines. */
static struct forwarded *forward_to(struct routing *routing, const char *target,
                                    const char *lines)
{
    static char raw[RAW_MAX + 1024], built[WORKER_BUILT_BYTES];
    static struct worker worker = { .built = built };
    static struct forwarded forwarded;
    static struct client client;
    struct exchange exchange = { .worker = &worker, .client = &client };
    static struct head head;
    struct route route;
    struct span secret;

    (void)snprintf(raw, sizeof raw, "POST %s HTTP/1.1\r\nHost: assay\r\n%s\r\n", target,
                   lines);
    memset(&forwarded, 0, sizeof forwarded);
    forwarded.refused = head_parse_request(span_text(raw), &head);
    if (forwarded.refused != FAULT_NONE) {
        return &forwarded;
    }
    worker.view = &routing->view;
    assert_int_equal(route_find(&routing->view, &head, &route), FAULT_NONE);
    exchange.origin = route.origin;
    exchange.dialect = route.dialect;
    forwarded.fault = forward_head(&exchange, &head, &route);
    if (forwarded.fault == FAULT_NONE) {
        assert_true(exchange.head_borrowed);
        text_of(forwarded.head, sizeof forwarded.head, exchange.head);
        text_of(forwarded.accept, sizeof forwarded.accept, exchange.accept);
        text_of(forwarded.encoding, sizeof forwarded.encoding, exchange.encoding);
        if (forward_secret(&exchange, &secret)) {
            note_credential(&forwarded, secret);
        }
    }
    return &forwarded;
}

static struct routing *routing;

static int set_up(void **state)
{
    (void)state;
    routing = routing_new("    credential: passthrough\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    routing = routing_free(routing);
    return 0;
}

/* Dashes and underscores, in any case, are one. */
static bool names_equal(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char x = a[i] == '_' ? '-' : (char)tolower((unsigned char)a[i]);
        char y = b[i] == '_' ? '-' : (char)tolower((unsigned char)b[i]);

        if (x != y) {
            return false;
        }
    }
    return true;
}

/* The provider's own credential does not count. */
static bool has_field(const char *head, const char *name)
{
    static const char own[] = ": the-providers-own\r\n";
    size_t len = strlen(name);
    const char *line = strstr(head, "\r\n");

    for (; line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strlen(line) > len + 2 && names_equal(line + 2, name, len) &&
            line[2 + len] == ':' && strncmp(line + 2 + len, own, sizeof own - 1) != 0) {
            return true;
        }
    }
    return false;
}

static void a_head_is_written_anew(void **state)
{
    struct forwarded *forwarded = forward_to(
        routing, "/alpha/v1/chat/completions?x=%20y",
        "authorization: Bearer sk-virtual\r\nContent-Type: application/json\r\n"
        "Content-Length: 2\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n"
        "Keep-Alive: timeout=5\r\nTE: trailers\r\nUser-Agent:   spaces around   \r\n"
        "Expect: 100-continue\r\n");

    (void)state;
    assert_string_equal(forwarded->head,
                        "POST /base/v1/chat/completions?x=%20y HTTP/1.1\r\n"
                        "host: localhost:81\r\n"
                        "Content-Type: application/json\r\n"
                        "User-Agent: spaces around\r\n");
}

static void the_host_is_the_providers(void **state)
{
    (void)state;
    assert_non_null(strstr(forward_to(routing, "/beta/v1/messages", "")->head,
                           "\r\nhost: localhost\r\n"));
    assert_non_null(strstr(forward_to(routing, "/gamma/v1/messages", "")->head,
                           "\r\nhost: [::1]\r\n"));
}

static void the_apis_own_fields_pass(void **state)
{
    static const char *const names[] = {
        "anthropic-version",
        "anthropic-beta",
        "anthropic-dangerous-direct-browser-access",
        "idempotency-key",
        "traceparent",
        "tracestate",
        "baggage",
        "openai-beta",
        "session_id",
        "conversation_id",
        "originator",
        "x-claude-code-session-id",
        "x-stainless-retry-count",
        "x-stainless-lang",
        "x-app",
        "x-client-request-id",
        "x-initiator",
        "http-referer",
        "x-title",
        "accept",
        "accept-language",
        "content-type",
        "user-agent",
        "X-Amzn-Bedrock-GuardrailIdentifier",
        "x-amzn-bedrock-trace",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[128], want[128];
        struct forwarded *forwarded;

        (void)snprintf(line, sizeof line, "%s: a value\r\n", names[i]);
        (void)snprintf(want, sizeof want, "\r\n%s: a value\r\n", names[i]);
        forwarded = forward_to(routing, "/v1/messages", line);
        assert_int_equal(forwarded->refused, FAULT_NONE);
        if (strstr(forwarded->head, want) == NULL) {
            fail_msg("%s does not pass", names[i]);
        }
    }
}

/* Each comes alone and beside what Connection says of it. */
static void spoofed_identities_do_not_pass(void **state)
{
    struct vectors vectors;
    const cJSON *row;
    unsigned rows = 0;

    (void)state;
    if (!vectors_open(&vectors, "own-headers/spoof.jsonl")) {
        skip();
    }
    while ((row = vectors_next(&vectors)) != NULL) {
        static const char *const targets[] = { "/v1/chat/completions", "/v1/messages" };
        const char *name = vectors_string(row, "header");
        const cJSON *extra;
        char lines[1024];
        size_t len = (size_t)snprintf(lines, sizeof lines, "%s: %s\r\n", name,
                                      vectors_string(row, "value"));

        cJSON_ArrayForEach(extra, cJSON_GetObjectItem(row, "extra"))
        {
            len += (size_t)snprintf(lines + len, sizeof lines - len, "%s\r\n",
                                    cJSON_GetStringValue(extra));
        }
        for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
            struct forwarded *forwarded = forward_to(routing, targets[i], lines);

            if (has_field(forwarded->head, name) ||
                strstr(forwarded->head, "ceo@example.com") != NULL) {
                fail_msg("%s reaches the provider", vectors_string(row, "id"));
            }
        }
        rows++;
    }
    vectors_close(&vectors);
    assert_int_equal(rows, 225);
}

static void credentials_are_replaced(void **state)
{
    static const char *const lines[] = {
        "authorization: Bearer sk-virtual\r\n",
        "x-api-key: sk-virtual\r\n",
        "api-key: sk-virtual\r\n",
        "x-goog-api-key: sk-virtual\r\n",
        "x-assay-key: sk-virtual\r\n",
        "X_API_KEY: sk-virtual\r\n",
        "api_key: sk-virtual\r\n",
        "X_Goog-Api_Key: sk-virtual\r\n",
        "x_assay_key: sk-virtual\r\n",
        "proxy-authorization: sk-virtual\r\n",
        "X-Goog_Api-Key: sk-virtual\r\n",
        "x-api_key: sk-virtual\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct forwarded *openai = forward_to(routing, "/v1/responses", lines[i]);

        assert_null(strstr(openai->head, "sk-virtual"));
        assert_null(strstr(openai->head, "the-providers-own"));
        assert_string_equal(openai->credential,
                            "authorization: Bearer the-providers-own");
        openai = forward_to(routing, "/v1/messages", lines[i]);
        assert_null(strstr(openai->head, "sk-virtual"));
        assert_string_equal(openai->credential, "x-api-key: the-providers-own");
    }
}

static void credentials_pass_through_by_policy(void **state)
{
    struct forwarded *forwarded =
        forward_to(routing, "/gamma/v1/messages",
                   "x-assay-key: sk-virtual\r\nx-api-key: sk-own\r\n"
                   "Authorization: Bearer own\r\nx_api_key: other\r\n");

    (void)state;
    assert_int_equal(forwarded->refused, FAULT_NONE);
    assert_null(strstr(forwarded->head, "sk-virtual"));
    assert_null(strstr(forwarded->head, "other"));
    assert_null(strstr(forwarded->head, "the-providers-own"));
    assert_non_null(strstr(forwarded->head, "\r\nx-api-key: sk-own\r\n"));
    assert_non_null(strstr(forwarded->head, "\r\nAuthorization: Bearer own\r\n"));
}

static void only_codings_that_are_understood_are_offered(void **state)
{
    static const struct {
        const char *asked, *offered;
    } cases[] = {
        { "gzip, deflate, br, zstd", "gzip, deflate, br, zstd" },
        { "gzip;q=0.5, compress, br", "gzip;q=0.5, br" },
        { "identity", "identity" },
    };

    (void)state;
    assert_string_equal(forward_to(routing, "/v1/messages", "")->accept, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct forwarded *forwarded;
        char line[128];

        (void)snprintf(line, sizeof line, "Accept-Encoding: %s\r\n", cases[i].asked);
        forwarded = forward_to(routing, "/v1/messages", line);
        assert_string_equal(forwarded->accept, cases[i].offered);
        assert_false(has_field(forwarded->head, "accept-encoding"));
    }
}

static void the_bodys_coding_is_kept_apart(void **state)
{
    struct forwarded *forwarded =
        forward_to(routing, "/v1/messages",
                   "Content-Encoding: gzip\r\nContent-Length: 5\r\n");

    (void)state;
    assert_string_equal(forwarded->encoding, "gzip");
    assert_false(has_field(forwarded->head, "content-encoding"));
    assert_false(has_field(forwarded->head, "content-length"));
}

/* The longest head that is accepted still fits when it is written anew. */
static void the_largest_head_fits(void **state)
{
    static char lines[RAW_MAX];
    size_t size = RAW_MAX - 200, len = 0;

    (void)state;
    for (int i = 0; i < 80; i++) {
        len += (size_t)snprintf(lines + len, sizeof lines - len, "a%d:%0*d\r\n", i,
                                (int)(size / 80 - 6), i);
    }
    assert_true(len > 60000);
    assert_int_equal(forward_to(routing, "/v1/messages", lines)->fault, FAULT_NONE);
    assert_true(has_field(forward_to(routing, "/v1/messages", lines)->head, "a79"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_written_anew),
        cmocka_unit_test(the_host_is_the_providers),
        cmocka_unit_test(the_apis_own_fields_pass),
        cmocka_unit_test(spoofed_identities_do_not_pass),
        cmocka_unit_test(credentials_are_replaced),
        cmocka_unit_test(credentials_pass_through_by_policy),
        cmocka_unit_test(only_codings_that_are_understood_are_offered),
        cmocka_unit_test(the_bodys_coding_is_kept_apart),
        cmocka_unit_test(the_largest_head_fits),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
