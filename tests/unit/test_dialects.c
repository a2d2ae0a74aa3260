/* One call or more of every dialect: what a request says, what its answer counts, whole
 * and in small pieces. The recordings of test_corpus.c go far wider. */
#include "filters/registry.h"
#include "filters/watch.h"
#include "tests/support/line_room.h"
#include "tests/unit/eventstream_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NO = -1 }; /* unknown */

static const struct example {
    const char *family, *path;
    const char *asked_type, *asked; /* NULL: JSON */
    const char *model;              /* what the request calls */
    bool stream;
    uint64_t max_output;
    const char *type, *body;
    enum usage_source source;
    int64_t input, read, write, output, reasoning;
    const char *answered; /* the model that the response names */
    uint64_t events;
} calls[] = {
    { .family = "gemini",
      .path = "/v1beta/models/gemini-2.5-pro:generateContent",
      .asked = "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}],\"model\":\"x\","
               "\"generationConfig\":{\"maxOutputTokens\":9}}",
      .model = "gemini-2.5-pro",
      .max_output = 9,
      .type = "application/json",
      .body = "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ho\"}]},"
              "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":10,"
              "\"cachedContentTokenCount\":4,\"candidatesTokenCount\":5,"
              "\"thoughtsTokenCount\":\"7\",\"toolUsePromptTokenCount\":3,"
              "\"totalTokenCount\":25},\"modelVersion\":\"gemini-2.5-pro\"}",
      .source = USAGE_REPORTED,
      .input = 9,
      .read = 4,
      .write = NO,
      .output = 5,
      .reasoning = 7,
      .answered = "gemini-2.5-pro" },
    { .family = "vertex",
      .path = "/v1/projects/p/locations/l/publishers/google/models/"
              "gemini-x%3AstreamGenerateContent",
      .asked = "{}",
      .model = "gemini-x",
      .stream = true,
      .type = "application/json",
      .body = "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],"
              "\"usageMetadata\":{\"promptTokenCount\":8,\"totalTokenCount\":8}}\n,\r\n"
              "{\"candidates\":[{\"finishReason\":\"STOP\"}],"
              "\"usageMetadata\":{\"promptTokenCount\":8,\"candidatesTokenCount\":2,"
              "\"totalTokenCount\":10}}]\n",
      .source = USAGE_REPORTED,
      .input = 8,
      .read = NO,
      .write = NO,
      .output = 2,
      .reasoning = NO,
      .answered = "",
      .events = 2 },
    { .family = "gemini",
      .path = "/v1beta/models/text-embedding-004:predict",
      .asked = "{\"instances\":[{\"content\":\"hi\"}]}",
      .model = "text-embedding-004",
      .type = "application/json",
      .body = "{\"predictions\":[{\"embeddings\":{\"statistics\":{\"token_count\":3}}},"
              "{\"embeddings\":{\"statistics\":{\"token_count\":4}}}]}",
      .source = USAGE_REPORTED,
      .input = 7,
      .read = NO,
      .write = NO,
      .output = 0,
      .reasoning = NO,
      .answered = "" },
    { .family = "gemini",
      .path = "/v1beta/interactions",
      .asked = "{\"model\":\"gemini-x\",\"input\":\"hi\",\"stream\":true}",
      .model = "gemini-x",
      .stream = true,
      .type = "text/event-stream",
      .body = "event: interaction.completed\ndata: {\"interaction\":{\"usage\":{"
              "\"total_tokens\":42,\"total_input_tokens\":9,\"total_cached_tokens\":2,"
              "\"total_output_tokens\":13,\"total_tool_use_tokens\":0,"
              "\"total_thought_tokens\":20},\"model\":\"gemini-y\"},"
              "\"event_type\":\"interaction.completed\"}\n\ndata: [DONE]\n\n",
      .source = USAGE_REPORTED,
      .input = 7,
      .read = 2,
      .write = NO,
      .output = 13,
      .reasoning = 20,
      .answered = "gemini-y",
      .events = 2 },
    { .family = "vertex",
      .path = "/v1/projects/p/locations/l/publishers/anthropic/models/"
              "claude-x@20250101:streamRawPredict",
      .asked = "{\"anthropic_version\":\"vertex-2023-10-16\",\"max_tokens\":5,"
               "\"stream\":true}",
      .model = "claude-x@20250101",
      .stream = true,
      .max_output = 5,
      .type = "text/event-stream",
      .body = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\","
              "\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":2,"
              "\"output_tokens\":1}}}\n\n"
              "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":6}}\n\n"
              "data: {\"type\":\"message_stop\"}\n\n",
      .source = USAGE_REPORTED,
      .input = 3,
      .read = 2,
      .write = NO,
      .output = 6,
      .reasoning = NO,
      .answered = "claude-x",
      .events = 3 },
    { .family = "bedrock",
      .path = "/model/anthropic.claude-x%3A0/converse",
      .asked = "{\"inferenceConfig\":{\"maxTokens\":5}}",
      .model = "anthropic.claude-x:0",
      .max_output = 5,
      .type = "application/json",
      .body = "{\"usage\":{\"inputTokens\":3,\"outputTokens\":2,\"totalTokens\":16,"
              "\"cacheReadInputTokens\":4,\"cacheWriteInputTokens\":7,"
              "\"cacheDetails\":[{\"ttl\":\"5m\",\"inputTokens\":6},"
              "{\"inputTokens\":1,\"ttl\":\"1h\"}]}}",
      .source = USAGE_REPORTED,
      .input = 3,
      .read = 4,
      .write = 7,
      .output = 2,
      .reasoning = NO,
      .answered = "" },
    { .family = "bedrock", /* a shape of OpenAI's, whose cache is inside the input */
      .path = "/model/openai.gpt-x/converse",
      .asked = "{}",
      .model = "openai.gpt-x",
      .type = "application/json",
      .body = "{\"usage\":{\"inputTokens\":4995,\"outputTokens\":2,"
              "\"cacheWriteInputTokens\":4993,\"totalTokens\":9990}}",
      .source = USAGE_REPORTED,
      .input = 2,
      .read = NO,
      .write = 4993,
      .output = 2,
      .reasoning = NO,
      .answered = "" },
    { .family = "bedrock",
      .path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2F"
              "us.meta.llama%3A0/invoke",
      .asked = "{\"prompt\":\"hi\",\"max_gen_len\":5}",
      .model = "us.meta.llama:0",
      .max_output = 5,
      .type = "application/json",
      .body = "{\"generation\":\"ho\",\"prompt_token_count\":3,"
              "\"generation_token_count\":2,\"stop_reason\":\"stop\"}",
      .source = USAGE_REPORTED,
      .input = 3,
      .read = NO,
      .write = NO,
      .output = 2,
      .reasoning = NO,
      .answered = "" },
    { .family = "bedrock",
      .path = "/model/amazon.titan-x/invoke",
      .asked = "{\"inputText\":\"hi\"}",
      .model = "amazon.titan-x",
      .type = "application/json",
      .body = "{\"inputTextTokenCount\":3,\"results\":[{\"tokenCount\":2,"
              "\"outputText\":\"a\"},{\"tokenCount\":5,\"outputText\":\"b\"}]}",
      .source = USAGE_REPORTED,
      .input = 3,
      .read = NO,
      .write = NO,
      .output = 7,
      .reasoning = NO,
      .answered = "" },
    { .family = "bedrock", /* an embedding */
      .path = "/model/amazon.titan-embed/invoke",
      .asked = "{\"inputText\":\"hi\"}",
      .model = "amazon.titan-embed",
      .type = "application/json",
      .body = "{\"embedding\":[0.1,0.2],\"inputTextTokenCount\":3}",
      .source = USAGE_REPORTED,
      .input = 3,
      .read = NO,
      .write = NO,
      .output = NO,
      .reasoning = NO,
      .answered = "" },
    { .family = "bedrock", /* OpenAI's shape at invoke */
      .path = "/model/openai.gpt-oss/invoke",
      .asked = "{}",
      .model = "openai.gpt-oss",
      .type = "application/json",
      .body = "{\"model\":\"gpt-oss\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
              "\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens\":3,"
              "\"total_tokens\":12}}",
      .source = USAGE_REPORTED,
      .input = 5,
      .read = 4,
      .write = NO,
      .output = 3,
      .reasoning = NO,
      .answered = "gpt-oss" },
    { .family = "azure",
      .path = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
      .asked = "{\"messages\":[],\"model\":\"whatever\",\"stream\":true}",
      .model = "my-gpt",
      .stream = true,
      .type = "text/event-stream",
      .body =
          "data: {\"choices\":[],\"prompt_filter_results\":[{}],\"id\":\"\","
          "\"model\":\"\"}\n\n"
          "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"model\":\"gpt-4o\","
          "\"usage\":null}\n\n"
          "data: {\"choices\":[],\"model\":\"gpt-4o\",\"usage\":{\"prompt_tokens\":4,"
          "\"completion_tokens\":1,\"total_tokens\":5}}\n\ndata: [DONE]\n\n",
      .source = USAGE_REPORTED,
      .input = 4,
      .read = NO,
      .write = NO,
      .output = 1,
      .reasoning = NO,
      .answered = "gpt-4o",
      .events = 4 },
    { .family = "ollama", /* streams unless told otherwise; called JSON by a proxy */
      .path = "/api/chat",
      .asked = "{\"model\":\"llama3\",\"messages\":[],\"options\":{\"num_predict\":9}}",
      .model = "llama3",
      .stream = true,
      .max_output = 9,
      .type = "application/json",
      .body = "{\"model\":\"llama3\",\"message\":{\"content\":\"a\"},\"done\":false}\n"
              "{\"model\":\"llama3\",\"message\":{\"content\":\"\"},\"done\":true,"
              "\"prompt_eval_count\":11,\"eval_count\":4}\n",
      .source = USAGE_REPORTED,
      .input = 11,
      .read = NO,
      .write = NO,
      .output = 4,
      .reasoning = NO,
      .answered = "llama3",
      .events = 2 },
    { .family = "ollama",
      .path = "/api/generate",
      .asked = "{\"model\":\"llama3\",\"prompt\":\"hi\",\"stream\":false}",
      .model = "llama3",
      .type = "application/json",
      .body = "{\"model\":\"llama3\",\"response\":\"a\",\"done\":true,"
              "\"prompt_eval_count\":11,\"eval_count\":4}",
      .source = USAGE_REPORTED,
      .input = 11,
      .read = NO,
      .write = NO,
      .output = 4,
      .reasoning = NO,
      .answered = "llama3" },
    { .family = "cohere",
      .path = "/v2/chat",
      .asked = "{\"model\":\"command-a\",\"stream\":true,\"messages\":[]}",
      .model = "command-a",
      .stream = true,
      .type = "text/event-stream",
      .body = "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{"
              "\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{"
              "\"input_tokens\":3,\"output_tokens\":2},\"tokens\":{\"input_tokens\":68,"
              "\"output_tokens\":5},\"cached_tokens\":64}}}\n\ndata: [DONE]\n\n",
      .source = USAGE_REPORTED,
      .input = 4,
      .read = 64,
      .write = NO,
      .output = 5,
      .reasoning = NO,
      .answered = "",
      .events = 2 },
    { .family = "cohere",
      .path = "/v1/generate",
      .asked = "{\"model\":\"command\",\"prompt\":\"hi\"}",
      .model = "command",
      .type = "application/stream+json",
      .body = "{\"text\":\"a\",\"is_finished\":false}\n{\"is_finished\":true,"
              "\"event_type\":\"stream-end\",\"response\":{\"meta\":{\"billed_units\":{"
              "\"input_tokens\":3,\"output_tokens\":2}}}}\n",
      .source = USAGE_REPORTED,
      .input = 3,
      .read = NO,
      .write = NO,
      .output = 2,
      .reasoning = NO,
      .answered = "",
      .events = 2 },
    { .family = "cohere",
      .path = "/v2/embed",
      .asked = "{\"model\":\"embed-v4\",\"texts\":[\"hi\"]}",
      .model = "embed-v4",
      .type = "application/json",
      .body = "{\"embeddings\":{},\"meta\":{\"billed_units\":{\"input_tokens\":3}}}",
      .source = USAGE_REPORTED,
      .input = 3,
      .read = NO,
      .write = NO,
      .output = NO,
      .reasoning = NO,
      .answered = "" },
    { .family = "mistral",
      .path = "/v1/conversations",
      .asked = "{\"model\":\"mistral-medium\",\"inputs\":\"hi\",\"stream\":true}",
      .model = "mistral-medium",
      .stream = true,
      .type = "text/event-stream",
      .body = "data: {\"type\":\"conversation.response.done\",\"usage\":{"
              "\"prompt_tokens\":10,\"completion_tokens\":5,\"connector_tokens\":7,"
              "\"total_tokens\":22}}\n\n",
      .source = USAGE_REPORTED,
      .input = 17,
      .read = NO,
      .write = NO,
      .output = 5,
      .reasoning = NO,
      .answered = "",
      .events = 1 },
    { .family = "cloudflare",
      .path = "/client/v4/accounts/a/ai/run/@cf/meta/llama-3.1-8b",
      .asked = "{\"prompt\":\"hi\"}",
      .model = "@cf/meta/llama-3.1-8b",
      .type = "application/json",
      .body = "{\"result\":{\"response\":\"a\",\"usage\":{\"prompt_tokens\":4,"
              "\"completion_tokens\":1,\"total_tokens\":5}},\"success\":true}",
      .source = USAGE_REPORTED,
      .input = 4,
      .read = NO,
      .write = NO,
      .output = 1,
      .reasoning = NO,
      .answered = "" },
    { .family = "openai", /* llama.cpp, not asked for its usage */
      .path = "/v1/chat/completions",
      .asked = "{\"model\":\"m\",\"stream\":true}",
      .model = "m",
      .stream = true,
      .type = "text/event-stream",
      .body = "data: {\"choices\":[{\"finish_reason\":\"stop\",\"delta\":{}}],"
              "\"model\":\"m\",\"timings\":{\"cache_n\":236,\"prompt_n\":1,"
              "\"predicted_n\":35}}\n\ndata: [DONE]\n\n",
      .source = USAGE_REPORTED,
      .input = 1,
      .read = 236,
      .write = NO,
      .output = 35,
      .reasoning = NO,
      .answered = "m",
      .events = 2 },
    { .family = "openai",
      .path = "/v1/images/generations",
      .asked = "{\"model\":\"gpt-image-1\",\"prompt\":\"a cat\"}",
      .model = "gpt-image-1",
      .type = "application/json",
      .body = "{\"data\":[{\"b64_json\":\"AAAA\"}],\"usage\":{\"input_tokens\":5,"
              "\"output_tokens\":100,\"total_tokens\":105,"
              "\"input_tokens_details\":{\"text_tokens\":5,\"image_tokens\":0}}}",
      .source = USAGE_REPORTED,
      .input = 5,
      .read = NO,
      .write = NO,
      .output = 100,
      .reasoning = NO,
      .answered = "" },
    { .family = "openai",
      .path = "/v1/audio/transcriptions",
      .asked_type = "multipart/form-data; boundary=XX",
      .asked = "--XX\r\nContent-Disposition: form-data; name=\"file\"; "
               "filename=\"a\"\r\n\r\n{\"model\":\"no\"}\r\n--XX\r\n"
               "Content-Disposition: form-data; name=\"model\"\r\n\r\n"
               "gpt-4o-transcribe\r\n--XX\r\nContent-Disposition: form-data; "
               "name=\"stream\"\r\n\r\nTrue\r\n--XX--\r\n",
      .model = "gpt-4o-transcribe",
      .stream = true,
      .type = "text/event-stream",
      .body = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hello\"}\n\n"
              "data: {\"type\":\"transcript.text.done\",\"text\":\"hello\",\"usage\":{"
              "\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":3,"
              "\"total_tokens\":17,\"input_token_details\":{\"audio_tokens\":14}}}\n\n",
      .source = USAGE_REPORTED,
      .input = 14,
      .read = NO,
      .write = NO,
      .output = 3,
      .reasoning = NO,
      .answered = "",
      .events = 2 },
    { .family = "openai", /* images and no usage: the output is nobody's to guess */
      .path = "/v1/images/generations",
      .asked = "{\"model\":\"dall-e-3\",\"prompt\":\"a cat in a hat\"}",
      .model = "dall-e-3",
      .type = "application/json",
      .body = "{\"data\":[{\"url\":\"https://x\"}]}",
      .source = USAGE_ESTIMATED,
      .input = 4,
      .read = NO,
      .write = NO,
      .output = NO,
      .reasoning = NO,
      .answered = "" },
    { .family = "openai", /* a run: its steps' usage is part of its own */
      .path = "/v1/threads/t/runs",
      .asked = "{\"assistant_id\":\"a\",\"stream\":true}",
      .model = "",
      .stream = true,
      .type = "text/event-stream",
      .body = "event: thread.run.step.completed\ndata: {\"usage\":{\"prompt_tokens\":3,"
              "\"completion_tokens\":1,\"total_tokens\":4}}\n\n"
              "event: thread.run.completed\ndata: {\"model\":\"gpt-4o\",\"usage\":{"
              "\"prompt_tokens\":8,\"completion_tokens\":2,\"total_tokens\":10}}\n\n"
              "event: done\ndata: [DONE]\n\n",
      .source = USAGE_REPORTED,
      .input = 8,
      .read = NO,
      .write = NO,
      .output = 2,
      .reasoning = NO,
      .answered = "gpt-4o",
      .events = 3 },
    { .family = "openai", /* queued: what it used is not known yet */
      .path = "/v1/threads/t/runs",
      .asked = "{\"assistant_id\":\"a\"}",
      .model = "",
      .type = "application/json",
      .body = "{\"object\":\"thread.run\",\"status\":\"queued\",\"usage\":null}",
      .source = USAGE_NONE,
      .input = NO,
      .read = NO,
      .write = NO,
      .output = NO,
      .reasoning = NO,
      .answered = "" },
    { .family = "openai", /* Qwen, which was told what to cache */
      .path = "/compatible-mode/v1/chat/completions",
      .asked = "{\"model\":\"qwen-x\"}",
      .model = "qwen-x",
      .type = "application/json",
      .body = "{\"model\":\"qwen-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":90,"
              "\"completion_tokens\":7,\"total_tokens\":97,\"prompt_tokens_details\":{"
              "\"cached_tokens\":20,\"cache_creation\":{"
              "\"ephemeral_5m_input_tokens\":60},\"cache_creation_input_tokens\":60,"
              "\"cache_type\":\"ephemeral\"}}}",
      .source = USAGE_REPORTED,
      .input = 10,
      .read = 20,
      .write = 60,
      .output = 7,
      .reasoning = NO,
      .answered = "qwen-x" },
    { .family = "openai", /* a server in Python, with numbers that are none */
      .path = "/v1/chat/completions",
      .asked = "{\"model\":\"m\",\"stream\":true,"
               "\"stream_options\":{\"include_usage\":true}}",
      .model = "m",
      .stream = true,
      .type = "text/event-stream",
      .body = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"},"
              "\"logprob\":-Infinity}]}\n\n"
              "data: {\"model\":\"m\",\"choices\":[],\"speed\":NaN,\"usage\":{"
              "\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7,"
              "\"tokens_per_second\":NaN}}\n\ndata: [DONE]\n\n",
      .source = USAGE_REPORTED,
      .input = 5,
      .read = NO,
      .write = NO,
      .output = 2,
      .reasoning = NO,
      .answered = "m",
      .events = 3 },
    { .family = "mistral",
      .path = "/v1/moderations",
      .asked = "{\"model\":\"mistral-moderation-x\",\"input\":[\"hi\"]}",
      .model = "mistral-moderation-x",
      .type = "application/json",
      .body = "{\"id\":\"1\",\"usage\":{\"prompt_tokens\":12,\"total_tokens\":12,"
              "\"completion_tokens\":0},\"model\":\"mistral-moderation-x\","
              "\"results\":[{\"category_scores\":{\"pii\":0.1}}]}",
      .source = USAGE_REPORTED,
      .input = 12,
      .read = NO,
      .write = NO,
      .output = 0,
      .reasoning = NO,
      .answered = "mistral-moderation-x" },
    { .family = "mistral", /* what a total has more is nothing that was generated */
      .path = "/v1/chat/classifications",
      .asked = "{\"model\":\"c\",\"input\":[\"hi\"]}",
      .model = "c",
      .type = "application/json",
      .body = "{\"model\":\"c\",\"usage\":{\"prompt_tokens\":12,\"total_tokens\":20,"
              "\"completion_tokens\":0}}",
      .source = USAGE_REPORTED,
      .input = 12,
      .read = NO,
      .write = NO,
      .output = 0,
      .reasoning = NO,
      .answered = "c" },
    { .family = "cloudflare", /* models that answer as OpenAI's Responses do */
      .path = "/client/v4/accounts/a/ai/run/@cf/openai/gpt-oss-120b",
      .asked = "{\"input\":\"hi\",\"stream\":true}",
      .model = "@cf/openai/gpt-oss-120b",
      .stream = true,
      .type = "text/event-stream",
      .body = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"
              "data: {\"type\":\"response.completed\",\"response\":{"
              "\"model\":\"gpt-oss-120b\",\"usage\":{\"input_tokens\":9,"
              "\"output_tokens\":4,\"total_tokens\":13}}}\n\ndata: [DONE]\n\n",
      .source = USAGE_REPORTED,
      .input = 9,
      .read = NO,
      .write = NO,
      .output = 4,
      .reasoning = NO,
      .answered = "gpt-oss-120b",
      .events = 3 },
    { .family = "", /* a path that nobody claims, with a usage */
      .path = "/v9/think",
      .asked = "{\"model\":\"m\"}",
      .model = "",
      .type = "application/json",
      .body = "{\"model\":\"m-1\",\"usage\":{\"prompt_tokens\":8,"
              "\"completion_tokens\":2}}",
      .source = USAGE_PARTIAL,
      .input = 8,
      .read = NO,
      .write = NO,
      .output = 2,
      .reasoning = NO,
      .answered = "m-1" },
    { .family = "", /* ... and without */
      .path = "/v9/think",
      .asked = "not JSON",
      .model = "",
      .type = "application/json",
      .body = "{\"metadata\":{\"usage\":{\"prompt_tokens\":8}},\"text\":\"usage\"}",
      .source = USAGE_NONE,
      .input = NO,
      .read = NO,
      .write = NO,
      .output = NO,
      .reasoning = NO,
      .answered = "" },
};

static void add_field(struct head *head, const char *name, const char *value)
{
    struct field *field = &head->fields[head->field_count++];

    field->name = span_text(name);
    field->value = span_text(value);
    field->id = field_name_of(field->name);
}

static const struct dialect *claim(const struct example *call,
                                   const struct dialect_route **route)
{
    const char *const families[] = { call->family, NULL };
    char path[256];
    char *colon;
    struct span canonical;
    const struct dialect *dialect;

    snprintf(path, sizeof(path), "%.*s", (int)strcspn(call->path, "?"), call->path);
    while ((colon = strstr(path, "%3A")) != NULL) {
        memmove(colon + 1, colon + 3, strlen(colon + 3) + 1);
        *colon = ':';
    }
    canonical = span_text(path);
    dialect = registry_claim(families, METHOD_POST, canonical, route);
    return dialect != NULL ? dialect
                           : registry_unclaimed(METHOD_POST, canonical, route);
}

static struct span take(struct span *rest, size_t size)
{
    struct span piece = span_of(rest->at, size < rest->len ? size : rest->len);

    *rest = span_after(*rest, piece.len);
    return piece;
}

static struct facts ask(struct watch_pool *pool, const struct example *call,
                        size_t size, uint64_t *text_bytes)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim(call, &route);
    struct head head = { .minor = 1, .target = span_text(call->path) };
    struct span rest = span_text(call->asked);
    struct facts facts;
    struct claims claims = { .retry = 0 };
    struct request_watch *watch;

    add_field(&head, "content-type",
              call->asked_type == NULL ? "application/json" : call->asked_type);
    watch = request_watch_open(pool, dialect, route, &head, &facts, &claims);
    assert_non_null(watch);
    while (rest.len > 0) {
        assert_int_equal(request_watch_data(watch, take(&rest, size)), FAULT_NONE);
    }
    assert_int_equal(request_watch_end(watch), FAULT_NONE);
    *text_bytes = request_watch_text_bytes(watch);
    request_watch_close(watch);
    return facts;
}

static struct entry answer(struct watch_pool *pool, const struct example *call,
                           const struct facts *facts, uint64_t text_bytes, size_t size)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim(call, &route);
    struct head head = { .minor = 1, .status = 200 };
    struct span rest = span_text(call->body);
    struct response_watch *watch;
    struct entry entry;

    memset(&entry, 0, sizeof(entry));
    entry.lines = line_room();
    add_field(&head, "content-type", call->type);
    watch = response_watch_open(pool, dialect, route, &head, facts);
    assert_non_null(watch);
    while (rest.len > 0) {
        response_watch_data(watch, take(&rest, size));
    }
    response_watch_settle(watch, true, facts, text_bytes, &entry);
    response_watch_close(watch);
    return entry;
}

static void check_class(const struct example *call, const struct usage *usage,
                        enum token_class class, int64_t want)
{
    int64_t got = usage_knows(usage, class) ? (int64_t)usage->tokens[class] : NO;

    if (got != want) {
        fail_msg("%s %s: %s %jd instead of %jd", call->family, call->path,
                 token_class_name(class), (intmax_t)got, (intmax_t)want);
    }
}

static void check_call(struct watch_pool *pool, const struct example *call, size_t size)
{
    uint64_t text_bytes;
    struct facts facts = ask(pool, call, size, &text_bytes);
    struct entry entry = answer(pool, call, &facts, text_bytes, size);
    const struct usage *usage = &entry.usage;

    assert_string_equal(facts.model, call->model);
    assert_int_equal(facts.stream, call->stream);
    assert_int_equal(facts.max_output, call->max_output);
    if (usage->source != call->source) {
        fail_msg("%s: source %s", call->path,
                 usage_source_name((enum usage_source)usage->source));
    }
    check_class(call, usage, TOKENS_INPUT, call->input);
    check_class(call, usage, TOKENS_CACHE_READ, call->read);
    check_class(call, usage, TOKENS_CACHE_WRITE, call->write);
    check_class(call, usage, TOKENS_OUTPUT, call->output);
    check_class(call, usage, TOKENS_REASONING, call->reasoning);
    assert_string_equal(entry.response_model, call->answered);
    assert_int_equal(entry.events, call->events);
}

static void calls_are_metered_at_every_split(void **state)
{
    struct watch_pool *pool =
        watch_pool_new((struct decode_limits){ .bytes = 1 << 20, .ratio = 200 });

    (void)state;
    assert_non_null(pool);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        check_call(pool, &calls[i], SIZE_MAX);
        for (size_t size = 1; size < 40; size++) {
            check_call(pool, &calls[i], size);
        }
    }
    watch_pool_free(pool);
}

/* ---- streams that were cut, and what heads say ----------------------------------- */

struct stream {
    const char *family, *path, *type;
    const char *field, *value; /* a further field of the head; NULL: none */
    bool cut;
};

static struct entry stream_entry(const struct stream *stream, struct span body,
                                 size_t size)
{
    struct watch_pool *pool =
        watch_pool_new((struct decode_limits){ .bytes = 1 << 20, .ratio = 200 });
    const char *const families[] = { stream->family, NULL };
    const struct dialect_route *route;
    const struct dialect *dialect =
        registry_claim(families, METHOD_POST, span_text(stream->path), &route);
    struct head head = { .minor = 1, .status = 200 };
    struct facts facts = { .stream = true };
    struct response_watch *watch;
    struct entry entry;

    assert_non_null(dialect);
    memset(&entry, 0, sizeof(entry));
    entry.lines = line_room();
    add_field(&head, "content-type", stream->type);
    if (stream->field != NULL) {
        add_field(&head, stream->field, stream->value);
    }
    watch = response_watch_open(pool, dialect, route, &head, &facts);
    assert_non_null(watch);
    while (body.len > 0) {
        response_watch_data(watch, take(&body, size));
    }
    response_watch_settle(watch, !stream->cut, &facts, 400, &entry);
    response_watch_close(watch);
    watch_pool_free(pool);
    return entry;
}

#define PUT(maker, payload)                                                            \
    put_message(maker, SPAN(":message-type"), SPAN("event"), SPAN(payload))

/* Cut behind every byte: the usage is reported once its message is whole,
 * and not before. */
static void message_streams_may_be_cut(void **state)
{
    const struct stream stream = { .family = "bedrock",
                                   .path = "/model/m/converse-stream",
                                   .type = "application/vnd.amazon.eventstream",
                                   .cut = true };
    struct maker maker = { .len = 0 };
    size_t size = 5;

    (void)state;
    PUT(&maker, "{\"delta\":{\"text\":\"eight by eight by eight\"},\"p\":\"abc\"}");
    PUT(&maker, "{\"stopReason\":\"end_turn\"}");
    PUT(&maker, "{\"usage\":{\"inputTokens\":3,\"outputTokens\":2,\"totalTokens\":5}}");
    for (size_t len = 100; len <= maker.len; len++) {
        struct entry entry = stream_entry(&stream, span_of(made(&maker).at, len), size);

        if (len < maker.len) {
            assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
            assert_int_equal(usage_input(&entry.usage), 100);
            assert_true(usage_output(&entry.usage) > 0);
        } else {
            assert_int_equal(entry.usage.source, USAGE_REPORTED);
            assert_int_equal(usage_input(&entry.usage), 3);
            assert_int_equal(entry.events, 3);
        }
        size = size * 3 % 97 + 1;
    }
}

static void damaged_messages_say_nothing(void **state)
{
    const struct stream stream = { .family = "bedrock",
                                   .path = "/model/m/converse-stream",
                                   .type = "application/vnd.amazon.eventstream" };
    struct maker maker = { .len = 0 };
    struct entry entry;

    (void)state;
    PUT(&maker, "{\"delta\":{\"text\":\"eight\"}}");
    PUT(&maker, "{\"usage\":{\"inputTokens\":3,\"outputTokens\":2,\"totalTokens\":5}}");
    maker.bytes[maker.len - 1] ^= 1;
    for (size_t size = 1; size < 60; size++) {
        entry = stream_entry(&stream, made(&maker), size);
        assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
        assert_true((entry.usage.flags & USAGE_FRAMING_ERROR) != 0);
    }
}

/* {"type":"message_start","message":{"model":"c","usage":{"input_tokens":3,
 * "output_tokens":1}}}, {"type":"message_delta","usage":{"output_tokens":9}} and the
 * last chunk's invocation metrics, which say the same. */
static void wrapped_events_are_read(void **state)
{
    const struct stream stream = { .family = "bedrock",
                                   .path = "/model/m/invoke-with-response-stream",
                                   .type = "application/vnd.amazon.eventstream" };
    struct maker maker = { .len = 0 };

    (void)state;
    PUT(&maker,
        "{\"bytes\":\"eyJ0eXBlIjoibWVzc2FnZV9zdGFydCIsIm1lc3NhZ2UiOnsibW9kZWwiOiJj"
        "IiwidXNhZ2UiOnsiaW5wdXRfdG9rZW5zIjozLCJvdXRwdXRfdG9rZW5zIjoxfX19\"}");
    PUT(&maker,
        "{\"p\":\"x\",\"bytes\":\"eyJ0eXBlIjoibWVzc2FnZV9kZWx0YSIsInVzYWdlIjp7Im91"
        "dHB1dF90b2tlbnMiOjl9fQ==\"}");
    PUT(&maker,
        "{\"bytes\":"
        "\"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIiwiYW1hem9uLWJlZHJvY2staW52b2NhdGlvbk1l"
        "dHJpY3MiOnsiaW5wdXRUb2tlbkNvdW50IjozLCJvdXRwdXRUb2tlbkNvdW50Ijo5fX0=\"}");
    for (size_t size = 1; size < 80; size++) {
        struct entry entry = stream_entry(&stream, made(&maker), size);

        assert_int_equal(entry.usage.source, USAGE_REPORTED);
        assert_int_equal(usage_input(&entry.usage), 3);
        assert_int_equal(usage_output(&entry.usage), 9);
        assert_string_equal(entry.response_model, "c");
        assert_int_equal(entry.usage.flags, 0);
    }
}

/* {"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}},
 * {"type":"content_block_delta","delta":{"text":"We do not talk of that."}} and
 * {"type":"message_stop","amazon-bedrock-guardrailAction":"INTERVENED"}: what was said is
 * not the model's. */
static void a_guardrail_answers_for_nothing(void **state)
{
    const struct stream stream = { .family = "bedrock",
                                   .path = "/model/m/invoke-with-response-stream",
                                   .type = "application/vnd.amazon.eventstream" };
    const struct stream whole = { .family = "bedrock",
                                  .path = "/model/m/invoke",
                                  .type = "application/json" };
    struct maker maker = { .len = 0 };
    struct entry entry;

    (void)state;
    PUT(&maker,
        "{\"bytes\":\"eyJ0eXBlIjoibWVzc2FnZV9zdGFydCIsIm1lc3NhZ2UiOnsidXNhZ2UiOnsi"
        "aW5wdXRfdG9rZW5zIjowLCJvdXRwdXRfdG9rZW5zIjowfX19\"}");
    PUT(&maker,
        "{\"bytes\":\"eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIsImRlbHRhIjp7InRleHQi"
        "OiJXZSBkbyBub3QgdGFsayBvZiB0aGF0LiJ9fQ==\"}");
    PUT(&maker,
        "{\"bytes\":\"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIiwiYW1hem9uLWJlZHJvY2stZ3VhcmRy"
        "YWlsQWN0aW9uIjoiSU5URVJWRU5FRCJ9\"}");
    for (size_t size = 1; size < 80; size++) {
        entry = stream_entry(&stream, made(&maker), size);
        assert_int_equal(entry.usage.source, USAGE_REPORTED);
        assert_true(usage_knows(&entry.usage, TOKENS_OUTPUT));
        assert_int_equal(usage_total(&entry.usage), 0);
    }
    entry = stream_entry(&whole,
                         SPAN("{\"amazon-bedrock-guardrailAction\":\"INTERVENED\","
                              "\"generation\":\"We do not talk of that.\"}"),
                         SIZE_MAX);
    assert_int_equal(entry.usage.source, USAGE_NONE);
    entry = stream_entry(&whole,
                         SPAN("{\"amazon-bedrock-guardrailAction\":\"NONE\","
                              "\"generation\":\"We do not talk of that.\"}"),
                         SIZE_MAX);
    assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
}

/* {"generation":" Once upon a time","amazon-bedrock-guardrailAction":"INTERVENED"} and
 * {"stop_reason":"stop", ..., "amazon-bedrock-invocationMetrics":{"inputTokenCount":7,
 * "outputTokenCount":4}}: a guardrail that masks the answer does not unmake it. */
static void a_guarded_answer_that_is_cut_is_estimated(void **state)
{
    const struct stream stream = { .family = "bedrock",
                                   .path = "/model/m/invoke-with-response-stream",
                                   .type = "application/vnd.amazon.eventstream",
                                   .cut = true };
    struct maker maker = { .len = 0 };
    size_t first;

    (void)state;
    PUT(&maker, "{\"bytes\":\"eyJnZW5lcmF0aW9uIjoiIE9uY2UgdXBvbiBhIHRpbWUiLCJhbWF6b24tY"
                "mVkcm9jay1ndWFyZHJhaWxBY3Rpb24iOiJJTlRFUlZFTkVEIn0=\"}");
    first = maker.len;
    PUT(&maker, "{\"bytes\":\"eyJzdG9wX3JlYXNvbiI6InN0b3AiLCJhbWF6b24tYmVkcm9jay1ndWFyZ"
                "HJhaWxBY3Rpb24iOiJJTlRFUlZFTkVEIiwiYW1hem9uLWJlZHJvY2staW52b2NhdGlvbk1"
                "ldHJpY3MiOnsiaW5wdXRUb2tlbkNvdW50Ijo3LCJvdXRwdXRUb2tlbkNvdW50Ijo0fX0="
                "\"}");
    for (size_t len = first; len <= maker.len; len++) {
        struct entry entry = stream_entry(&stream, span_of(made(&maker).at, len), 7);
        bool whole = len == maker.len;

        assert_int_equal(entry.usage.source, whole ? USAGE_REPORTED : USAGE_ESTIMATED);
        assert_int_equal(usage_input(&entry.usage), whole ? 7 : 100);
        assert_int_equal(usage_output(&entry.usage), whole ? 4 : 5);
    }
}

static void heads_count_where_bodies_do_not(void **state)
{
    struct stream stream = { .family = "bedrock",
                             .path = "/model/m/invoke",
                             .type = "application/json",
                             .field = "X-Amzn-Bedrock-Input-Token-Count",
                             .value = "7" };
    struct entry entry =
        stream_entry(&stream, SPAN("{\"generation_token_count\":4}"), SIZE_MAX);

    (void)state;
    assert_int_equal(entry.usage.source, USAGE_REPORTED);
    assert_int_equal(usage_input(&entry.usage), 7);
    assert_int_equal(usage_output(&entry.usage), 4);
    entry = stream_entry(&stream, SPAN("{\"prompt_token_count\":5}"), SIZE_MAX);
    assert_int_equal(usage_input(&entry.usage), 5);
    stream.field = "X-Amzn-Bedrock-Cache-Read-Input-Token-Count";
    entry = stream_entry(&stream, SPAN("{\"usage\":{\"inputTokens\":5}}"), SIZE_MAX);
    assert_int_equal(entry.usage.tokens[TOKENS_CACHE_READ], 7);
    assert_int_equal(usage_input(&entry.usage), 12);
}

/* Cut behind every byte: what a head or a body has counted is not estimated once more. */
static void a_cut_body_counts_nothing_twice(void **state)
{
    static const struct {
        struct stream answer;
        const char *body;
        uint64_t least; /* output; the most is 9 */
    } rows[] = {
        /* a head counts the whole call, however little of the body comes */
        { { .family = "bedrock",
            .path = "/model/m/invoke",
            .type = "application/json",
            .field = "X-Amzn-Bedrock-Output-Token-Count",
            .value = "9",
            .cut = true },
          "{\"content\":[{\"text\":\"hello there, you\"}],\"stop_reason\":\"x\","
          "\"usage\":{\"input_tokens\":5,\"output_tokens\":9}}",
          9 },
        { { .family = "cohere",
            .path = "/v2/chat",
            .type = "application/json",
            .cut = true },
          "{\"message\":{\"content\":[{\"text\":\"hello there, you\"}]},\"usage\":{"
          "\"billed_units\":{\"input_tokens\":20,\"output_tokens\":8},\"tokens\":{"
          "\"input_tokens\":30,\"output_tokens\":9}}}",
          0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t len = 1; len <= strlen(rows[i].body); len++) {
            struct entry entry =
                stream_entry(&rows[i].answer, span_of(rows[i].body, len), 7);

            assert_in_range(usage_output(&entry.usage), rows[i].least, 9);
        }
    }
}

/* Some chunks say the same text twice, as what was added and as a message. */
static void text_that_comes_twice_counts_once(void **state)
{
    static const struct {
        const char *family, *path, *body;
    } rows[] = {
        { "writer", "/v1/chat",
          "data: {\"choices\":[{\"message\":{\"content\":\"0123456789abcdef\"},"
          "\"delta\":{\"content\":\"0123456789abcdef\"}}]}\n\n" },
        { "openai", "/v1/completions",
          "data: {\"choices\":[{\"text\":\"0123456789abcdef\","
          "\"delta\":{\"content\":\"0123456789abcdef\"}}]}\n\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct stream stream = { .family = rows[i].family,
                                       .path = rows[i].path,
                                       .type = "text/event-stream",
                                       .cut = true };
        struct entry entry = stream_entry(&stream, span_text(rows[i].body), 7);

        assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
        assert_in_range(usage_output(&entry.usage), 3, 6);
    }
}

/* What was counted up to a chunk stays exact; only the text behind it is estimated. */
static void a_cut_behind_a_report_adds_to_it(void **state)
{
    const struct stream stream = { .family = "gemini",
                                   .path = "/v1beta/models/m:streamGenerateContent",
                                   .type = "text/event-stream",
                                   .cut = true };
    static const char counted[] =
        "data: "
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"0123456789abcdef\"}]}}],"
        "\"usageMetadata\":{\"promptTokenCount\":8,\"candidatesTokenCount\":100,"
        "\"totalTokenCount\":108}}\n\n";
    static const char more[] =
        "data: "
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"0123456789abcdef\"}]}}],"
        "\"usageMetadata\":{\"trafficType\":\"ON_DEMAND\"}}\n\n";
    char both[sizeof(counted) + sizeof(more)];
    struct entry entry;

    (void)state;
    entry = stream_entry(&stream, span_text(counted), 7);
    assert_int_equal(entry.usage.source, USAGE_PARTIAL);
    assert_int_equal(usage_output(&entry.usage), 100);
    snprintf(both, sizeof(both), "%s%s", counted, more);
    entry = stream_entry(&stream, span_text(both), 7);
    assert_int_equal(entry.usage.source, USAGE_PARTIAL);
    assert_int_equal(usage_input(&entry.usage), 8);
    assert_in_range(usage_output(&entry.usage), 103, 106);
}

static struct entry answer_of(const char *family, const char *path, const char *body)
{
    const struct stream call = { .family = family,
                                 .path = path,
                                 .type = "application/json" };
    struct span bytes = span_text(body);
    struct entry whole = stream_entry(&call, bytes, SIZE_MAX);

    for (size_t size = 1; size < 8; size++) {
        struct entry split = stream_entry(&call, bytes, size);

        assert_true(same_entry(&whole, &split));
    }
    return whole;
}

static void audio_may_be_told_by_its_length(void **state)
{
    struct entry entry =
        answer_of("openai", "/v1/audio/transcriptions",
                  "{\"text\":\"some words that were heard\",\"usage\":{\"type\":"
                  "\"duration\",\"seconds\":8.47}}");

    (void)state;
    assert_int_equal(entry.usage.audio_ms, 8470);
    assert_int_equal(entry.usage.source, USAGE_ESTIMATED); /* the tokens are */
    assert_int_equal(entry.usage.flags, 0);

    entry =
        answer_of("mistral", "/v1/chat/completions",
                  "{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{"
                  "\"prompt_tokens\":4,\"completion_tokens\":3,\"total_tokens\":400,"
                  "\"prompt_audio_seconds\":16}}");
    assert_int_equal(entry.usage.audio_ms, 16000);
    assert_int_equal(entry.usage.modality[MODALITY_INPUT_AUDIO], 393);
}

/* "$alt=json;enum-encoding=int", which Google's older SDKs for Vertex AI ask for. */
static void enumerations_may_be_numbers(void **state)
{
    struct entry entry =
        answer_of("vertex", "/v1/models/gemini-x:generateContent",
                  "{\"candidates\":[{\"finishReason\":1}],\"usageMetadata\":{"
                  "\"promptTokenCount\":40,\"candidatesTokenCount\":9,"
                  "\"totalTokenCount\":49,"
                  "\"promptTokensDetails\":[{\"modality\":1,\"tokenCount\":8},"
                  "{\"modality\":4,\"tokenCount\":32}],"
                  "\"candidatesTokensDetails\":[{\"tokenCount\":9,\"modality\":2}]}}");

    (void)state;
    assert_int_equal(entry.usage.modality[MODALITY_INPUT_TEXT], 8);
    assert_int_equal(entry.usage.modality[MODALITY_INPUT_AUDIO], 32);
    assert_int_equal(entry.usage.modality[MODALITY_OUTPUT_IMAGE], 9);
}

static void what_is_billed_may_differ_from_what_is_used(void **state)
{
    struct entry entry = answer_of(
        "cohere", "/v2/chat",
        "{\"id\":\"i\",\"message\":{\"content\":[{\"text\":\"x\"}]},\"usage\":{"
        "\"billed_units\":{\"input_tokens\":5,\"output_tokens\":2},\"tokens\":{"
        "\"input_tokens\":70,\"output_tokens\":3},\"cached_tokens\":10}}");

    (void)state;
    assert_int_equal(entry.usage.tokens[TOKENS_INPUT], 60);
    assert_int_equal(entry.usage.tokens[TOKENS_CACHE_READ], 10);
    assert_int_equal(entry.usage.billed_input, 5);
    assert_int_equal(entry.usage.billed_output, 2);
}

static void tiers_of_google_have_the_words_of_others(void **state)
{
    static const char *const words[][2] = {
        { "\"trafficType\":\"ON_DEMAND\"", "" },
        { "\"trafficType\":\"ON_DEMAND_FLEX\"", "flex" },
        { "\"trafficType\":\"ON_DEMAND_PRIORITY\"", "priority" },
        { "\"serviceTier\":\"flex\",\"trafficType\":\"ON_DEMAND\"", "flex" },
        { "\"serviceTier\":\"priority\"", "priority" },
        { "\"trafficType\":\"PROVISIONED_THROUGHPUT\"", "provisioned_thr" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char body[256];
        struct entry entry;

        (void)snprintf(body, sizeof body,
                       "{\"usageMetadata\":{\"promptTokenCount\":1,"
                       "\"candidatesTokenCount\":2,%s}}",
                       words[i][0]);
        entry = answer_of("vertex", "/v1/models/gemini-x:generateContent", body);
        assert_string_equal(entry.service_tier, words[i][1]);
    }
}

static void refusals_have_their_familys_shape(void **state)
{
    static const struct {
        const struct dialect *dialect;
        const char *lines, *body;
    } rows[] = {
        { &dialect_gemini_generate, "",
          "{\"error\":{\"code\":401,\"message\":\"no\",\"status\":\"UNAUTHENTICATED\"}"
          "}" },
        { &dialect_bedrock_converse,
          "x-amzn-errortype: UnrecognizedClientException\r\nx-amzn-requestid: ax-1\r\n",
          "{\"message\":\"no\"}" },
        { &dialect_ollama_chat, "", "{\"error\":\"no\"}" },
        { &dialect_cohere_chat, "", "{\"id\":\"ax-1\",\"message\":\"no\"}" },
        { &dialect_mistral_chat, "",
          "{\"object\":\"error\",\"message\":\"no\",\"type\":\"invalid_request_error\","
          "\"param\":null,\"code\":\"bad_credential\"}" },
        { &dialect_cloudflare_run, "",
          "{\"result\":null,\"success\":false,\"errors\":[{\"code\":401,"
          "\"message\":\"no\"}],\"messages\":[]}" },
        { &dialect_vertex_anthropic, "request-id: ax-1\r\n",
          "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\","
          "\"message\":\"no\"},\"request_id\":\"ax-1\"}" },
    };
    struct refusal refusal = { .fault = FAULT_BAD_CREDENTIAL,
                               .words = SPAN("no"),
                               .id = SPAN("ax-1") };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line_memory[256], body_memory[512];
        struct text lines = text_over(line_memory, sizeof(line_memory));
        struct text body = text_over(body_memory, sizeof(body_memory));

        refusal.status = rows[i].dialect->refusal_status == NULL
                             ? 401
                             : rows[i].dialect->refusal_status(refusal.fault);
        rows[i].dialect->refuse(&refusal, &lines, &body);
        text_put_char(&lines, '\0');
        text_put_char(&body, '\0');
        assert_string_equal(lines.at, rows[i].lines);
        assert_string_equal(body.at, rows[i].body);
    }
}

/* The body of a refusal, with its status in front. */
static const char *refused(const struct dialect *dialect, struct refusal refusal)
{
    static char memory[1024];
    char line_memory[256];
    struct text lines = text_over(line_memory, sizeof line_memory - 1);
    struct text text = text_over(memory, sizeof memory - 1);
    const char *kind;

    refusal.words = SPAN("no");
    refusal.status = dialect->refusal_status == NULL
                         ? fault_row(refusal.fault)->status
                         : dialect->refusal_status(refusal.fault);
    text_put_u64(&text, (uint64_t)refusal.status);
    text_put_char(&text, ' ');
    dialect->refuse(&refusal, &lines, &text);
    line_memory[lines.len] = '\0';
    kind = strstr(line_memory, "x-amzn-errortype: ");
    if (kind != NULL) {
        text.len = strcspn(memory, " ") + 1;
        kind += strlen("x-amzn-errortype: ");
        text_put(&text, span_of(kind, strcspn(kind, "\r")));
    }
    memory[text.len] = '\0';
    return memory;
}

static void what_aws_may_not_retry_is_told_by_the_status(void **state)
{
    static const struct {
        enum fault fault;
        const char *wanted;
    } rows[] = {
        { FAULT_QUOTA_EXCEEDED, "400 ServiceQuotaExceededException" },
        { FAULT_BAD_CREDENTIAL, "403 UnrecognizedClientException" },
        { FAULT_UNKNOWN_PATH, "404 ResourceNotFoundException" },
        { FAULT_BODY_TOO_LARGE, "400 ValidationException" },
        { FAULT_CODING, "400 ValidationException" },
        { FAULT_BODY_TIMEOUT, "503 ServiceUnavailableException" },
        { FAULT_UPSTREAM_CONNECT, "503 ServiceUnavailableException" },
        { FAULT_NO_PROVIDER_CREDENTIAL, "503 ServiceUnavailableException" },
        { FAULT_CONNECT_TIMEOUT, "503 ServiceUnavailableException" },
        { FAULT_UPSTREAM_CLOSED, "424 ModelErrorException" },
        { FAULT_FIRST_BYTE_TIMEOUT, "408 ModelTimeoutException" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct refusal refusal = { .fault = rows[i].fault };

        assert_string_equal(refused(&dialect_bedrock_converse, refusal),
                            rows[i].wanted);
        assert_string_equal(refused(&dialect_bedrock_invoke, refusal), rows[i].wanted);
    }
}

static void a_used_up_quota_is_told_as_google_tells_it(void **state)
{
    struct refusal refusal = { .fault = FAULT_QUOTA_EXCEEDED, .retry_after_s = 34 };
    const char *details =
        "\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
        "\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":"
        "[{\"description\":\"no\"}]},{\"@type\":"
        "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"34s\"}]}}";

    (void)state;
    assert_non_null(strstr(refused(&dialect_gemini_generate, refusal), details));
    assert_int_equal(refused(&dialect_gemini_generate, refusal)[4], '{');
    refusal.stream = true;
    assert_int_equal(refused(&dialect_gemini_generate, refusal)[4], '[');
    assert_non_null(strstr(refused(&dialect_gemini_generate, refusal), "}}]"));
    assert_int_equal(refused(&dialect_gemini_interactions, refusal)[4], '{');
    refusal.events = true;
    assert_int_equal(refused(&dialect_gemini_generate, refusal)[4], '{');
    assert_memory_equal(refused(&dialect_cohere_chat, refusal), "402 ", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_metered_at_every_split),
        cmocka_unit_test(message_streams_may_be_cut),
        cmocka_unit_test(damaged_messages_say_nothing),
        cmocka_unit_test(wrapped_events_are_read),
        cmocka_unit_test(a_guardrail_answers_for_nothing),
        cmocka_unit_test(a_guarded_answer_that_is_cut_is_estimated),
        cmocka_unit_test(heads_count_where_bodies_do_not),
        cmocka_unit_test(a_cut_body_counts_nothing_twice),
        cmocka_unit_test(text_that_comes_twice_counts_once),
        cmocka_unit_test(a_cut_behind_a_report_adds_to_it),
        cmocka_unit_test(audio_may_be_told_by_its_length),
        cmocka_unit_test(enumerations_may_be_numbers),
        cmocka_unit_test(what_is_billed_may_differ_from_what_is_used),
        cmocka_unit_test(tiers_of_google_have_the_words_of_others),
        cmocka_unit_test(refusals_have_their_familys_shape),
        cmocka_unit_test(what_aws_may_not_retry_is_told_by_the_status),
        cmocka_unit_test(a_used_up_quota_is_told_as_google_tells_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
