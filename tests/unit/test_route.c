#include "proxy/engine/route.h"
#include "proxy/http/target.h"
#include "tests/support/vectors.h"
#include "tests/unit/routing.h"

static struct routing *routing;

static int set_up(void **state)
{
    (void)state;
    routing = routing_new("    unknown_paths: relay\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    routing = routing_free(routing);
    return 0;
}

static enum fault find(enum method method, const char *target, struct route *route)
{
    static struct head head;

    head = (struct head){ .method = method, .target = span_text(target), .minor = 1 };
    return route_find(&routing->view, &head, route);
}

/* A request that must go to this provider as this, with the rest of its target. */
static void assert_route(enum method method, const char *target, int provider,
                         const char *dialect, const char *rest)
{
    struct route route;

    assert_int_equal(find(method, target, &route), FAULT_NONE);
    assert_ptr_equal(route.origin, &routing->origins[provider]);
    assert_string_equal(route.dialect->name, dialect);
    assert_non_null(route.row);
    assert_true(span_equal(route.target, span_text(rest)));
}

static void assert_refused(enum method method, const char *target, enum fault fault)
{
    struct route route;

    assert_int_equal(find(method, target, &route), fault);
    assert_non_null(route.dialect);
    assert_non_null(route.row);
}

static void a_providers_name_comes_first(void **state)
{
    (void)state;
    assert_route(METHOD_POST, "/alpha/v1/chat/completions", ALPHA, "openai.chat",
                 "/v1/chat/completions");
    assert_route(METHOD_POST, "/beta/v1/messages?beta=true", BETA, "anthropic.messages",
                 "/v1/messages?beta=true");
    assert_route(METHOD_POST, "/gamma/v1/messages", GAMMA, "anthropic.messages",
                 "/v1/messages");
    assert_route(METHOD_POST, "/gamma/v1/responses", GAMMA, "openai.responses",
                 "/v1/responses");
    assert_route(METHOD_POST, "/gamma//v1/responses", GAMMA, "openai.responses",
                 "//v1/responses");
    assert_refused(METHOD_POST, "/gamma//v1//responses", FAULT_BAD_TARGET);
    assert_refused(METHOD_POST, "//v1/responses", FAULT_BAD_TARGET);
    /* Only its own dialects count. */
    assert_refused(METHOD_POST, "/alpha/v1/messages", FAULT_UNKNOWN_PATH);
    assert_refused(METHOD_POST, "/beta/v1/chat/completions", FAULT_UNKNOWN_PATH);
}

static void bare_paths_go_to_their_dialects_default(void **state)
{
    (void)state;
    assert_route(METHOD_POST, "/v1/chat/completions", ALPHA, "openai.chat",
                 "/v1/chat/completions");
    assert_route(METHOD_POST, "/v1/messages", BETA, "anthropic.messages",
                 "/v1/messages");
    assert_route(METHOD_POST, "/v1/embeddings", ALPHA, "openai.embeddings",
                 "/v1/embeddings");
}

static void paths_that_nobody_claims_follow_policy(void **state)
{
    struct route route;

    (void)state;
    assert_refused(METHOD_POST, "/alpha/v1/nothing", FAULT_UNKNOWN_PATH);
    assert_int_equal(find(METHOD_POST, "/gamma/v1/nothing", &route), FAULT_NONE);
    assert_ptr_equal(route.origin, &routing->origins[GAMMA]);
    /* gamma relays them, but is no default provider. */
    assert_refused(METHOD_POST, "/v1/nothing", FAULT_NO_ROUTE);
    assert_refused(METHOD_POST, "/", FAULT_NO_ROUTE);
    assert_refused(METHOD_POST, "/alpha", FAULT_NO_ROUTE);
    assert_refused(METHOD_POST, "/alpha/", FAULT_UNKNOWN_PATH);
    assert_refused(METHOD_OPTIONS, "*", FAULT_NO_ROUTE);
    /* What a dialect claims, it claims for its method. */
    assert_refused(METHOD_DELETE, "/v1/chat/completions", FAULT_NO_ROUTE);
}

/* Nothing that only some readers take for a provider's name leads to it. */
static void a_name_stands_as_it_is(void **state)
{
    static const char *const tricks[] = {
        "/%67amma/v1/chat/completions",        "/GAMMA/v1/chat/completions",
        "//gamma/v1/chat/completions",         "/./gamma/v1/chat/completions",
        "/x/../gamma/v1/chat/completions",     "/gamma%2Fv1/chat/completions",
        "/gamma;x/v1/chat/completions",        "/gamma%00/v1/chat/completions",
        "/v1/..%2Fgamma/chat/completions",     "/gamma?/v1/chat/completions",
        "/gamma\\v1/chat/completions",         "//gamma//v1/chat/completions",
        "/gamma/../v1/chat/completions",       "/gamma/%2e%2e/v1/chat/completions",
        "/gamma/./v1/chat/completions",        "/gamm/v1/chat/completions",
        "/gammaa/v1/chat/completions",         "/gamma#/v1/chat/completions",
        "/alpha/../gamma/v1/chat/completions", "http://gamma/v1/chat/completions",
        "gamma/v1/chat/completions",
    };

    (void)state;
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++) {
        struct route route;

        if (find(METHOD_POST, tricks[i], &route) == FAULT_NONE) {
            assert_ptr_not_equal(route.origin, &routing->origins[GAMMA]);
            assert_string_equal(route.dialect->name, "openai.chat");
            assert_true(span_equal(route.target, span_text(tricks[i])));
        }
    }
}

/* Escapes in a claimed path mean what they mean to any reader: the path without them is
 * claimed as the same. */
static void assert_one_reading(const char *raw, const struct route *route)
{
    char buffer[HEAD_TARGET_MAX], plain[HEAD_TARGET_MAX];
    struct target target;
    struct route again;

    assert_int_equal(target_parse(route->target, 0, buffer, sizeof buffer, &target),
                     FAULT_NONE);
    (void)snprintf(plain, sizeof plain, "%.*s%.*s",
                   (int)(strlen(raw) - route->target.len), raw, (int)target.path.len,
                   target.path.at);
    assert_int_equal(find(METHOD_POST, plain, &again), FAULT_NONE);
    assert_ptr_equal(again.origin, route->origin);
    assert_ptr_equal(again.row, route->row);
}

static void hostile_paths_have_one_route_or_none(void **state)
{
    struct vectors vectors;
    const cJSON *row;
    unsigned routed = 0, refused = 0;

    (void)state;
    if (!vectors_open(&vectors, "own-paths/paths.jsonl")) {
        skip();
    }
    while ((row = vectors_next(&vectors)) != NULL) {
        const char *raw = vectors_string(row, "target");
        struct route route;

        if (find(METHOD_POST, raw, &route) != FAULT_NONE) {
            refused++;
            continue;
        }
        routed++;
        assert_string_not_equal(route.dialect->name, "unknown");
        assert_one_reading(raw, &route);
    }
    vectors_close(&vectors);
    assert_int_equal(routed + refused, 125);
    assert_true(routed > 10 && refused > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_providers_name_comes_first),
        cmocka_unit_test(bare_paths_go_to_their_dialects_default),
        cmocka_unit_test(paths_that_nobody_claims_follow_policy),
        cmocka_unit_test(a_name_stands_as_it_is),
        cmocka_unit_test(hostile_paths_have_one_route_or_none),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
