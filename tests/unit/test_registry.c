#include "filters/registry.h"
#include "proxy/meter/entry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const openai[] = { "openai", NULL };
static const char *const anthropic[] = { "anthropic", NULL };
static const char *const azure[] = { "azure", NULL };
static const char *const gemini[] = { "gemini", NULL };
static const char *const vertex[] = { "vertex", NULL };
static const char *const bedrock[] = { "bedrock", NULL };
static const char *const ollama[] = { "ollama", "openai", NULL };
static const char *const cohere[] = { "cohere", "openai", NULL };
static const char *const mistral[] = { "mistral", "openai", NULL };
static const char *const cloudflare[] = { "cloudflare", NULL };
static const char *const both[] = { "openai", "anthropic", NULL };

enum {
    STORED = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE,
    ONCE = ROUTE_FREE | ROUTE_NO_BODY | ROUTE_ONCE,
    BATCH = ROUTE_NO_BODY | ROUTE_LATER | ROUTE_BATCH
};

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
    { openai, METHOD_POST, "/serving-endpoints/e/invocations", "openai.chat", "chat",
      0 },
    { openai, METHOD_POST, "/v1/text/chatcompletion_v2", "openai.chat", "chat", 0 },
    { openai, METHOD_GET, "/v1/chat/completions/chatcmpl-1", "openai.chat", "retrieve",
      ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE },
    { openai, METHOD_GET, "/v1/chat/deferred-completion/1", "openai.chat", "retrieve",
      ONCE },
    { openai, METHOD_POST, "/v1/completions", "openai.completions", "text_completion",
      0 },
    { openai, METHOD_POST, "/v1/responses", "openai.responses", "chat", 0 },
    { openai, METHOD_POST, "/v1/responses/compact", "openai.responses", "compact", 0 },
    { openai, METHOD_POST, "/v1/agent", "openai.responses", "chat", 0 },
    { openai, METHOD_POST, "/v1/responses/input_tokens", "openai.responses",
      "count_tokens", ROUTE_FREE | ROUTE_NO_USAGE },
    { openai, METHOD_GET, "/v1/responses/resp_1", "openai.responses", "retrieve",
      ONCE },
    { openai, METHOD_POST, "/v1/responses/resp_1/cancel", "openai.responses", "cancel",
      ONCE },
    { openai, METHOD_POST, "/v1/embeddings", "openai.embeddings", "embeddings",
      ROUTE_INPUT_ONLY },
    { openai, METHOD_POST, "/v1/reranking", "openai.embeddings", "rerank",
      ROUTE_INPUT_ONLY },
    { openai, METHOD_POST, "/v1/ranking", "openai.embeddings", "rerank",
      ROUTE_INPUT_ONLY },
    { openai, METHOD_POST, "/api/v3/embeddings/multimodal", "openai.embeddings",
      "embeddings", ROUTE_INPUT_ONLY },
    { openai, METHOD_POST, "/v1/edits", "openai.completions", "text_completion", 0 },
    { openai, METHOD_POST, "/v1/rerank", "openai.embeddings", "rerank",
      ROUTE_INPUT_ONLY },
    { openai, METHOD_POST, "/v1/images/edits", "openai.images", "image_edit",
      ROUTE_MULTIPART | ROUTE_NO_TEXT },
    { openai, METHOD_POST, "/v1/audio/transcriptions", "openai.audio", "transcription",
      ROUTE_MULTIPART },
    { openai, METHOD_POST, "/v1/moderations", "openai.stored", "moderation",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { openai, METHOD_POST, "/v1/batches", "openai.batches", "create_batch", BATCH },
    { mistral, METHOD_POST, "/v1/batch/jobs", "openai.batches", "create_batch", BATCH },
    { mistral, METHOD_GET, "/v1/batch/jobs/1", "openai.batches", "retrieve",
      ONCE | ROUTE_BATCH },
    { openai, METHOD_POST, "/v1/files", "openai.stored", "upload", STORED },
    { openai, METHOD_POST, "/v1/threads/thread_1/messages", "openai.assistants",
      "create", STORED },
    { openai, METHOD_POST, "/v1/threads/thread_1/runs", "openai.assistants",
      "invoke_agent", ROUTE_LATER },
    { openai, METHOD_GET, "/v1/threads/thread_1/runs/run_1", "openai.assistants",
      "retrieve", ONCE },
    { azure, METHOD_POST, "/openai/deployments/gpt-4o/chat/completions", "openai.chat",
      "chat", 0 },
    { azure, METHOD_POST, "/openai/v1/responses", "openai.responses", "chat", 0 },
    { gemini, METHOD_POST, "/v1beta/models/gemini-2.5-pro:generateContent",
      "gemini.generate", "generate_content", 0 },
    { gemini, METHOD_POST, "/v1/models/gemini-2.5-pro:streamGenerateContent",
      "gemini.generate", "generate_content", ROUTE_STREAM },
    { gemini, METHOD_POST, "/v1beta/models/gemini-2.5-pro:countTokens",
      "gemini.generate", "count_tokens", ROUTE_FREE | ROUTE_NO_USAGE },
    { gemini, METHOD_POST, "/v1beta/models/gemini-embedding-001:batchEmbedContents",
      "gemini.embed", "embeddings", ROUTE_INPUT_ONLY },
    { gemini, METHOD_POST, "/v1beta/interactions", "gemini.interactions", "chat", 0 },
    { gemini, METHOD_GET, "/v1beta/interactions/v1_x", "gemini.interactions",
      "retrieve", ONCE },
    { vertex, METHOD_POST,
      "/v1/projects/p/locations/l/publishers/google/models/"
      "gemini-2.5-pro:generateContent",
      "gemini.generate", "generate_content", 0 },
    { vertex, METHOD_POST,
      "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict",
      "vertex.anthropic", "chat", 0 },
    { vertex, METHOD_POST,
      "/v1/projects/p/locations/l/publishers/anthropic/models/"
      "claude-x:streamRawPredict",
      "vertex.anthropic", "chat", ROUTE_STREAM },
    { vertex, METHOD_POST,
      "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
      "vertex.anthropic", "count_tokens", ROUTE_FREE | ROUTE_NO_USAGE },
    { vertex, METHOD_POST,
      "/v1/projects/p/locations/l/publishers/ai21/models/jamba@001:rawPredict",
      "vertex.chat", "chat", 0 },
    { vertex, METHOD_POST,
      "/v1/projects/p/locations/l/publishers/mistralai/models/m:streamRawPredict",
      "vertex.chat", "chat", ROUTE_STREAM },
    { bedrock, METHOD_POST, "/model/amazon.nova-lite-v1:0/converse", "bedrock.converse",
      "chat", 0 },
    { bedrock, METHOD_POST, "/model/us.anthropic.claude-x/converse-stream",
      "bedrock.converse", "chat", ROUTE_STREAM },
    { bedrock, METHOD_POST, "/model/meta.llama3-8b/invoke", "bedrock.invoke", "chat",
      0 },
    { bedrock, METHOD_POST, "/model/arn:aws:bedrock:x%2Fy/invoke-with-response-stream",
      "bedrock.invoke", "chat", ROUTE_STREAM },
    { bedrock, METHOD_POST, "/model/m/count-tokens", "bedrock.converse", "count_tokens",
      ROUTE_FREE | ROUTE_NO_USAGE },
    { ollama, METHOD_POST, "/api/chat", "ollama.chat", "chat", ROUTE_STREAM_UNSAID },
    { ollama, METHOD_POST, "/api/generate", "ollama.chat", "text_completion",
      ROUTE_STREAM_UNSAID },
    { ollama, METHOD_POST, "/v1/chat/completions", "openai.chat", "chat", 0 },
    { cohere, METHOD_POST, "/v2/chat", "cohere.chat", "chat", 0 },
    { cohere, METHOD_POST, "/v2/rerank", "cohere.embed", "rerank", ROUTE_INPUT_ONLY },
    { cohere, METHOD_POST, "/chat", "cohere.chat", "chat", 0 },
    { cohere, METHOD_POST, "/v1/summarize", "cohere.chat", "text_completion", 0 },
    { cohere, METHOD_POST, "/embed", "cohere.embed", "embeddings", ROUTE_INPUT_ONLY },
    { cohere, METHOD_POST, "/compatibility/v1/chat/completions", "openai.chat", "chat",
      0 },
    { mistral, METHOD_POST, "/v1/conversations", "mistral.conversations", "chat", 0 },
    { mistral, METHOD_POST, "/v1/agents/completions", "mistral.chat", "chat", 0 },
    { mistral, METHOD_POST, "/v1/moderations", "mistral.moderations", "moderation",
      ROUTE_INPUT_ONLY },
    { mistral, METHOD_POST, "/v1/chat/classifications", "mistral.moderations",
      "classify", ROUTE_INPUT_ONLY },
    { mistral, METHOD_POST, "/v1/fim/completions", "mistral.chat", "text_completion",
      0 },
    { cloudflare, METHOD_POST, "/client/v4/accounts/a/ai/run/@cf/meta/llama-3",
      "cloudflare.run", "chat", 0 },
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
    { openai, METHOD_GET, "/v1/batches/batch_1", "openai.batches", "retrieve",
      ONCE | ROUTE_BATCH },
    { openai, METHOD_GET, "/v1/files/file-1/content", "openai.batches", "retrieve",
      ONCE | ROUTE_BATCH | ROUTE_LINES },
    { gemini, METHOD_GET, "/v1beta/batches/b1", "gemini.batches", "retrieve",
      ONCE | ROUTE_BATCH },
    { anthropic, METHOD_GET, "/v1/messages/batches/msgbatch_1/results",
      "anthropic.batches", "retrieve", ONCE | ROUTE_BATCH | ROUTE_LINES },
    { both, METHOD_POST, "/v1/messages/batches", "anthropic.batches", "create_batch",
      BATCH },
    { both, METHOD_POST, "/v1/threads/thread_1", NULL, NULL, 0 },
    { gemini, METHOD_POST, "/v1beta/models/gemini-2.5-pro:generate", NULL, NULL, 0 },
    { gemini, METHOD_POST, "/v1beta/models/:generateContent", NULL, NULL, 0 },
    { gemini, METHOD_GET, "/v1beta/models/m:generateContent", "gemini.stored",
      "get_model", STORED },
    { bedrock, METHOD_POST, "/model/a/b/converse", NULL, NULL, 0 },
    { openai, METHOD_POST, "/model/m/converse", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/chat/completions/", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/chatcompletions", NULL, NULL, 0 },
    { both, METHOD_POST, "/v1/xchat/completionsx", NULL, NULL, 0 },
    { both, METHOD_GET, "/v1/models/", NULL, NULL, 0 },
    { both, METHOD_POST, "/", NULL, NULL, 0 },
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
        if (dialect == NULL) {
            fail_msg("nobody claims %s", row->path);
        }
        assert_string_equal(dialect->name, row->dialect);
        assert_string_equal(route->operation, row->operation);
        assert_int_equal(route->flags, row->flags);
    }
}

static void families_are_known(void **state)
{
    (void)state;
    assert_string_equal(registry_family_dialect("anthropic")->credential_field,
                        "x-api-key");
    assert_null(registry_family_dialect("nobody"));
    assert_null(registry_family_dialect("open"));
    assert_string_equal(registry_family_dialect("azure")->name, "openai.chat");
}

/* How a provider of one family, or of two, wants its credential for
 * a dialect's calls. */
static void credentials_are_of_the_family(void **state)
{
    static const struct {
        const char *const *families;
        const struct dialect *dialect;
        const char *field, *prefix;
    } wanted[] = {
        { openai, &dialect_openai_chat, "authorization", "Bearer " },
        { anthropic, &dialect_anthropic_messages, "x-api-key", "" },
        { both, &dialect_anthropic_messages, "x-api-key", "" },
        { both, &dialect_unknown, "authorization", "Bearer " },
        { azure, &dialect_openai_chat, "api-key", "" },
        { azure, &dialect_unknown, "api-key", "" },
        { gemini, &dialect_gemini_generate, "x-goog-api-key", "" },
        { vertex, &dialect_gemini_generate, "authorization", "Bearer " },
        { vertex, &dialect_vertex_anthropic, "authorization", "Bearer " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct dialect_family family =
            registry_credential(wanted[i].families, wanted[i].dialect);

        assert_string_equal(family.credential_field, wanted[i].field);
        assert_string_equal(family.credential_prefix, wanted[i].prefix);
    }
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
    assert_ptr_equal(registry_unclaimed(METHOD_GET, SPAN("/x"), &route), dialect);
    assert_int_equal(route->flags, ROUTE_NO_BODY | ROUTE_NO_USAGE);
    assert_ptr_equal(registry_unclaimed(METHOD_POST, SPAN("/x"), &route), dialect);
    assert_int_equal(route->flags & ROUTE_NO_USAGE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_claimed),
        cmocka_unit_test(families_are_known),
        cmocka_unit_test(credentials_are_of_the_family),
        cmocka_unit_test(every_dialect_is_whole),
        cmocka_unit_test(the_unknown_dialect_is_nobodys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
