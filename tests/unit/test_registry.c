#include "filters/registry.h"
#include "proxy/meter/entry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const openai[] = { "openai", NULL };
static const char *const anthropic[] = { "anthropic", NULL };
static const char *const both[] = { "openai", "anthropic", NULL };

static const struct row {
    const char *const *families;
    enum method method;
    const char *path;
    const char *dialect; /* NULL: nobody's */
    const char *operation;
    unsigned flags;
} rows[] = {
    { openai, METHOD_POST, "/v1/chat/completions", "openai.chat", "chat", 0 },
    { openai, METHOD_POST, "/chat/completions", "openai.chat", "chat", 0 },
    { openai, METHOD_POST, "/api/paas/v4/chat/completions", "openai.chat", "chat", 0 },
    { openai, METHOD_POST, "/openai/deployments/gpt-4o/chat/completions", "openai.chat",
      "chat", 0 },
    { openai, METHOD_GET, "/v1/chat/completions/chatcmpl-1", "openai.chat", "retrieve",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { openai, METHOD_POST, "/v1/completions", "openai.completions", "text_completion",
      0 },
    { openai, METHOD_POST, "/v1/responses", "openai.responses", "chat", 0 },
    { openai, METHOD_POST, "/v1/responses/compact", "openai.responses", "compact", 0 },
    { openai, METHOD_POST, "/v1/responses/input_tokens", "openai.responses",
      "count_tokens", ROUTE_FREE | ROUTE_NO_USAGE },
    { openai, METHOD_GET, "/v1/responses/resp_1", "openai.responses", "retrieve",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { openai, METHOD_POST, "/v1/responses/resp_1/cancel", "openai.responses", "cancel",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { openai, METHOD_POST, "/v1/embeddings", "openai.embeddings", "embeddings", 0 },
    { openai, METHOD_GET, "/v1/models", "openai.models", "list_models",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { openai, METHOD_GET, "/models/meta-llama/Llama-3.1-8B", "openai.models",
      "get_model", ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { anthropic, METHOD_POST, "/v1/messages", "anthropic.messages", "chat", 0 },
    { anthropic, METHOD_POST, "/v1/messages/count_tokens", "anthropic.count_tokens",
      "count_tokens", ROUTE_FREE | ROUTE_NO_USAGE },
    { anthropic, METHOD_POST, "/v1/complete", "anthropic.complete", "text_completion",
      0 },
    { anthropic, METHOD_GET, "/v1/models", "anthropic.models", "list_models",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { anthropic, METHOD_HEAD, "/api/hello", "anthropic.messages", "hello",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { both, METHOD_POST, "/v1/messages", "anthropic.messages", "chat", 0 },
    { both, METHOD_POST, "/anthropic/v1/messages", "anthropic.messages", "chat", 0 },
    { both, METHOD_GET, "/v1/models", "openai.models", "list_models",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },

    { openai, METHOD_POST, "/v1/messages", NULL, NULL, 0 },
    { anthropic, METHOD_POST, "/v1/chat/completions", NULL, NULL, 0 },
    { both, METHOD_GET, "/v1/messages", NULL, NULL, 0 },
    { both, METHOD_PUT, "/v1/chat/completions", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/threads/thread_1/messages", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/messages/batches", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/chat/completions/", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/chatcompletions", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/xchat/completionsx", NULL, NULL, 0 },
    { both, METHOD_GET, "/v1/models/", NULL, NULL, 0 },
    { both, METHOD_POST, "/", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/files", NULL, NULL, 0 },
};

static void paths_are_claimed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        const struct dialect_route *route = NULL;
        const struct dialect *dialect =
            registry_claim(row->families, row->method, span_text(row->path), &route);

        if (row->dialect == NULL) {
            assert_null(dialect);
            continue;
        }
        assert_non_null(dialect);
        assert_string_equal(dialect->name, row->dialect);
        assert_string_equal(route->operation, row->operation);
        assert_int_equal(route->flags, row->flags);
    }
}

static void families_are_known(void **state)
{
    (void)state;
    assert_true(registry_family(SPAN("openai")));
    assert_true(registry_family(SPAN("anthropic")));
    assert_false(registry_family(SPAN("")));
    assert_false(registry_family(SPAN("open")));
    assert_string_equal(registry_family_dialect("anthropic")->credential_field,
                        "x-api-key");
    assert_null(registry_family_dialect("nobody"));
}

static void every_dialect_is_whole(void **state)
{
    (void)state;
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        const struct dialect *dialect = *each;
        const struct dialect_plans *plans = registry_plans(dialect);

        assert_true(strlen(dialect->name) < sizeof(((struct entry *)NULL)->dialect));
        assert_non_null(dialect->routes);
        assert_non_null(dialect->refuse);
        assert_int_equal(plans->request != NULL, dialect->request != NULL);
        assert_int_equal(plans->response != NULL, dialect->response != NULL);
        assert_true(dialect->response == NULL || dialect->balance != NULL);
        for (const struct dialect_route *row = dialect->routes; row->path; row++) {
            assert_true(strlen(row->operation) <
                        sizeof(((struct entry *)NULL)->operation));
        }
    }
}

static void the_unknown_dialect_is_nobodys(void **state)
{
    const struct dialect_route *route;
    const struct dialect *dialect = registry_unknown(&route);

    (void)state;
    assert_string_equal(dialect->name, "unknown");
    assert_int_equal(route->flags, ROUTE_NO_BODY | ROUTE_NO_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_claimed),
        cmocka_unit_test(families_are_known),
        cmocka_unit_test(every_dialect_is_whole),
        cmocka_unit_test(the_unknown_dialect_is_nobodys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
