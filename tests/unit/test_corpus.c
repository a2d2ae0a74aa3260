/* Recorded answers of real providers, read from ../shared/corpus: each goes through a
 * response watch whole, byte by byte and at random splits, and must give what the
 * corpus expects. Where our reading differs on purpose, tests/golden/KNOWN.md says why;
 * that nothing is listed there for no reason is the golden run's to check. */
#include "filters/registry.h"
#include "filters/watch.h"
#include "proxy/http/target.h"
#include "tests/support/line_room.h"
#include "tests/support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const sources[] = {
    "braintrust.jsonl",       "crewai.jsonl",       "ellmer.jsonl",
    "envoy-ai-gateway.jsonl", "fantasy.jsonl",      "langchain-aws.jsonl",
    "logfire.jsonl",          "maruel-genai.jsonl", "openinference.jsonl",
    "openllmetry-js.jsonl",   "openllmetry.jsonl",  "pydantic-ai.jsonl",
};
static const char known_file[] = "tests/golden/KNOWN.md";

#define FAMILIES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* What a provider speaks that such a case is sent to: by the API, else by the host. */
static const struct provider {
    const char *api;  /* a prefix; NULL: any */
    const char *host; /* a part; NULL: any */
    const char *const *families;
} providers[] = {
    { NULL, "aiplatform.googleapis.com", FAMILIES("vertex", "openai") },
    { NULL, "generativelanguage", FAMILIES("gemini", "openai") },
    { "gemini.", NULL, FAMILIES("gemini", "openai") },
    { "bedrock.", NULL, FAMILIES("bedrock") },
    { NULL, "bedrock-runtime", FAMILIES("bedrock", "openai", "anthropic") },
    { "anthropic.", NULL, FAMILIES("anthropic") },
    { NULL, "api.anthropic.com", FAMILIES("anthropic") },
    { "cohere.", NULL, FAMILIES("cohere", "openai") },
    { NULL, "api.cohere", FAMILIES("cohere", "openai") },
    { "mistral.", NULL, FAMILIES("mistral", "openai") },
    { "ollama.", NULL, FAMILIES("ollama", "openai", "anthropic") },
    { "cloudflare.", NULL, FAMILIES("cloudflare", "openai") },
    { NULL, "api.cloudflare.com", FAMILIES("cloudflare", "openai") },
    { "writer.", NULL, FAMILIES("writer", "openai") },
    { NULL, ".azure.com", FAMILIES("azure") },
    { NULL, NULL, FAMILIES("openai", "anthropic") },
};

/* APIs of the corpus whose cases must be claimed, and by whom. */
static const struct api {
    const char *name;
    const char *dialect;
} apis[] = {
    { "anthropic.complete", "anthropic.complete" },
    { "anthropic.count_tokens", "anthropic.count_tokens" },
    { "anthropic.messages", NULL }, /* at Vertex AI too */
    { "bedrock.converse", "bedrock.converse" },
    { "bedrock.invoke", "bedrock.invoke" },
    { "cloudflare.run", "cloudflare.run" },
    { "cohere.chat", "cohere.chat" },
    { "cohere.chat_v1", "cohere.chat" },
    { "cohere.embed", "cohere.embed" },
    { "cohere.generate", "cohere.chat" },
    { "cohere.rerank", "cohere.embed" },
    { "gemini.count_tokens", "gemini.generate" },
    { "gemini.embed", "gemini.embed" },
    { "gemini.generate", "gemini.generate" },
    { "gemini.interactions", "gemini.interactions" },
    { "groq.chat", "openai.chat" },
    { "mistral.chat", "mistral.chat" },
    { "mistral.embeddings", "openai.embeddings" },
    { "ollama.chat", "ollama.chat" },
    { "ollama.embed", "ollama.embed" },
    { "ollama.generate", "ollama.chat" },
    { "openai.audio", "openai.audio" },
    { "openai.chat", "openai.chat" },
    { "openai.completions", "openai.completions" },
    { "openai.count_tokens", "openai.responses" },
    { "openai.embeddings", "openai.embeddings" },
    { "openai.images", "openai.images" },
    { "openai.responses", "openai.responses" },
    { "openai.responses.compact", "openai.responses" },
    { "other.responses_retrieve", "openai.responses" },
    { "writer.chat", "writer.chat" },
};

/* What is left to feed: pieces of a fixed size, or of random ones if size is 0. */
struct splitter {
    struct span rest;
    size_t size;
    uint64_t random;
};

static struct span next_piece(struct splitter *splitter)
{
    size_t len = splitter->size;
    struct span piece = splitter->rest;

    if (len == 0) {
        splitter->random ^= splitter->random << 13;
        splitter->random ^= splitter->random >> 7;
        splitter->random ^= splitter->random << 17;
        len = 1 + splitter->random % (splitter->random % 7 == 0 ? 4096 : 40);
    }
    if (len < piece.len) {
        piece.len = len;
    }
    splitter->rest = span_after(splitter->rest, piece.len);
    return piece;
}

/* ---- reading the corpus ---------------------------------------------------------- */

static void read_fields(const cJSON *pairs, struct head *head)
{
    const cJSON *pair;

    cJSON_ArrayForEach(pair, pairs)
    {
        struct field *field = &head->fields[head->field_count];

        if (head->field_count == HEAD_FIELDS_MAX) {
            break;
        }
        field->name = span_text(cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0)));
        field->value = span_text(cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1)));
        field->id = field_name_of(field->name);
        head->field_count++;
    }
}

static const struct api *api_of(const cJSON *item)
{
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        if (strcmp(apis[i].name, vectors_string(item, "api")) == 0) {
            return &apis[i];
        }
    }
    return NULL;
}

static const char *const *families_of(const cJSON *item)
{
    const char *api = vectors_string(item, "api");
    const char *host = cJSON_GetStringValue(cJSON_GetObjectItem(item, "host"));
    const struct provider *row = providers;

    while ((row->api != NULL && strncmp(row->api, api, strlen(row->api)) != 0) ||
           (row->host != NULL && (host == NULL || strstr(host, row->host) == NULL))) {
        row++;
    }
    return row->families;
}

static enum method method_of(const cJSON *item)
{
    static const struct {
        const char *name;
        enum method method;
    } methods[] = {
        { "GET", METHOD_GET },       { "POST", METHOD_POST },   { "PUT", METHOD_PUT },
        { "DELETE", METHOD_DELETE }, { "PATCH", METHOD_PATCH },
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].name, vectors_string(item, "method")) == 0) {
            return methods[i].method;
        }
    }
    fail_msg("%s", vectors_string(item, "method"));
    return METHOD_POST;
}

/* As the engine does: the dialect that claims the path, else that of unknown ones. */
static const struct dialect *claim(const cJSON *item,
                                   const struct dialect_route **route)
{
    const struct api *api = api_of(item);
    char buffer[HEAD_TARGET_MAX];
    struct target target;
    const char *raw = vectors_string(item, "path");
    struct span path = span_of(raw, strcspn(raw, "?"));
    const struct dialect *dialect;

    if (target_parse(path, TARGET_ALLOW_ENCODED_SLASH, buffer, sizeof(buffer),
                     &target) == FAULT_NONE) {
        path = target.path;
    }
    dialect = registry_claim(families_of(item), method_of(item), path, route);
    if (dialect == NULL) {
        if (api != NULL) {
            print_message("# %s: nobody claims %s\n", vectors_string(item, "id"),
                          vectors_string(item, "path"));
        }
        assert_null(api);
        return registry_unclaimed(method_of(item), path, route);
    }
    if (api != NULL && api->dialect != NULL) {
        assert_string_equal(dialect->name, api->dialect);
    }
    return dialect;
}

/* ---- one case -------------------------------------------------------------------- */

static uint64_t read_request(struct watch_pool *pool, const cJSON *item,
                             const struct dialect *dialect,
                             const struct dialect_route *route, struct facts *facts)
{
    const char *body = cJSON_GetStringValue(cJSON_GetObjectItem(item, "request_body"));
    struct head head = { .minor = 1,
                         .target = span_text(vectors_string(item, "path")) };
    struct claims claims = { .retry = 0 };
    struct request_watch *watch;
    uint64_t bytes;

    read_fields(cJSON_GetObjectItem(item, "request_headers"), &head);
    watch = request_watch_open(pool, dialect, route, &head, facts, &claims);
    assert_non_null(watch);
    if (request_watch_data(watch, span_text(body == NULL ? "" : body)) == FAULT_NONE) {
        (void)!request_watch_end(watch); /* some recordings leave the body out */
    }
    bytes = request_watch_text_bytes(watch);
    request_watch_close(watch);
    return bytes;
}

static void replay(struct watch_pool *pool, const cJSON *item, struct splitter splitter,
                   struct entry *entry)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim(item, &route);
    struct head head = { .minor = 1 };
    struct facts facts;
    struct response_watch *watch;
    uint64_t asked = read_request(pool, item, dialect, route, &facts);

    head.status = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "status"));
    read_fields(cJSON_GetObjectItem(item, "response_headers"), &head);
    memset(entry, 0, sizeof(*entry));
    entry->lines = line_room();
    text_store(entry->request_model, sizeof(entry->request_model),
               span_text(facts.model));
    watch = response_watch_open(pool, dialect, route, &head, &facts);
    assert_non_null(watch);
    while (splitter.rest.len > 0) {
        response_watch_data(watch, next_piece(&splitter));
    }
    response_watch_settle(watch, true, &facts, asked, entry);
    response_watch_close(watch);
}

/* Where one side is reported, the other may be estimated. */
static bool number_agrees(const cJSON *expected, const char *key, bool estimated,
                          bool known, uint64_t count)
{
    const cJSON *number = cJSON_GetObjectItem(expected, key);

    if (!cJSON_IsNumber(number)) {
        return !known || estimated;
    }
    return known && (uint64_t)cJSON_GetNumberValue(number) == count;
}

/* Of a part that the recordings do not know of, the response may say that it is 0. */
static bool part_agrees(const cJSON *expected, const char *key, bool known,
                        uint64_t count)
{
    return number_agrees(expected, key, count == 0, known, count);
}

/* A part that is stated as greater than its whole is expected as great as the whole. */
static bool reasoning_agrees(const cJSON *expected, bool known, uint64_t count)
{
    double output = cJSON_GetNumberValue(cJSON_GetObjectItem(expected, "output_total"));
    double part = cJSON_GetNumberValue(cJSON_GetObjectItem(expected, "reasoning"));

    if (part > output) {
        return known && count == (uint64_t)output;
    }
    return part_agrees(expected, "reasoning", known, count);
}

static bool agrees(const cJSON *item, const struct entry *entry)
{
    const cJSON *expected = cJSON_GetObjectItem(item, "expected");
    const struct usage *usage = &entry->usage;
    bool said = usage->source >= USAGE_PARTIAL;
    bool partial = usage->source == USAGE_PARTIAL;
    char model[sizeof(entry->response_model)];

    text_store(model, sizeof(model), span_text(vectors_string(expected, "model")));
    return number_agrees(expected, "input_total", partial,
                         said && usage_knows(usage, TOKENS_INPUT),
                         usage_input(usage)) &&
           part_agrees(expected, "cache_read",
                       said && usage_knows(usage, TOKENS_CACHE_READ),
                       usage->tokens[TOKENS_CACHE_READ]) &&
           part_agrees(expected, "cache_write",
                       said && usage_knows(usage, TOKENS_CACHE_WRITE),
                       usage->tokens[TOKENS_CACHE_WRITE]) &&
           number_agrees(expected, "output_total", partial,
                         said && usage_knows(usage, TOKENS_OUTPUT),
                         usage_output(usage)) &&
           reasoning_agrees(expected, said && usage_knows(usage, TOKENS_REASONING),
                            usage->tokens[TOKENS_REASONING]) &&
           (model[0] == '\0' || strcmp(entry->response_model, model) == 0);
}

static void tell(const cJSON *item, const struct entry *entry)
{
    char *expected = cJSON_PrintUnformatted(cJSON_GetObjectItem(item, "expected"));
    char *raw = cJSON_PrintUnformatted(cJSON_GetObjectItem(item, "usage_raw"));

    print_message("# %s %s: %s input %ju read %ju write %ju output %ju reasoning %ju "
                  "known %x flags %x model %s\n#   expected %s\n#   raw %s\n",
                  vectors_string(item, "id"), vectors_string(item, "api"),
                  usage_source_name((enum usage_source)entry->usage.source),
                  (uintmax_t)usage_input(&entry->usage),
                  (uintmax_t)entry->usage.tokens[TOKENS_CACHE_READ],
                  (uintmax_t)entry->usage.tokens[TOKENS_CACHE_WRITE],
                  (uintmax_t)usage_output(&entry->usage),
                  (uintmax_t)entry->usage.tokens[TOKENS_REASONING],
                  (unsigned)entry->usage.known_tokens, (unsigned)entry->usage.flags,
                  entry->response_model, expected, raw);
    cJSON_free(expected);
    cJSON_free(raw);
}

/* ---- all of them ----------------------------------------------------------------- */

struct result {
    struct watch_pool *pool;
    char *known; /* the text of KNOWN.md */
    size_t cases, excused, wrong, unstable;
};

static bool is_known(const struct result *result, const cJSON *item)
{
    return strstr(result->known, vectors_string(item, "id")) != NULL;
}

static struct span body_of(struct vectors *file, const cJSON *item)
{
    if (cJSON_HasObjectItem(item, "response_body_b64")) {
        return vectors_bytes(file, item, "response_body_b64");
    }
    return span_text(vectors_string(item, "response_body"));
}

static void run_case(struct result *result, const cJSON *item, struct span body)
{
    struct entry whole, split;

    replay(result->pool, item, (struct splitter){ body, body.len + 1, 0 }, &whole);
    result->cases++;
    if (!agrees(item, &whole)) {
        if (is_known(result, item)) {
            result->excused++;
        } else {
            tell(item, &whole);
            result->wrong++;
        }
    }
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct splitter splitter = { body, seed == 0, seed * 0x9e3779b97f4a7c15 };

        replay(result->pool, item, splitter, &split);
        if (!same_entry(&whole, &split)) {
            print_message("# %s: differs when split\n", vectors_string(item, "id"));
            tell(item, &split);
            result->unstable++;
        }
    }
}

static void run_file(struct result *result, const char *name)
{
    struct vectors file;
    const cJSON *item;
    char path[64];

    assert_true((size_t)snprintf(path, sizeof(path), "../corpus/%s", name) <
                sizeof(path));
    if (!vectors_open(&file, path)) {
        print_message("# %s is absent\n", path);
        skip();
    }
    while ((item = vectors_next(&file)) != NULL) {
        run_case(result, item, body_of(&file, item));
    }
    vectors_close(&file);
}

static char *read_text(const char *path)
{
    enum { SIZE = 1 << 20 };
    char *text = calloc(1, SIZE);
    FILE *file = fopen(path, "r");

    assert_non_null(text);
    if (file != NULL) {
        assert_true(fread(text, 1, SIZE - 1, file) < SIZE - 1);
        fclose(file);
    }
    return text;
}

static void recorded_answers_are_metered_exactly(void **state)
{
    struct decode_limits limits = { .bytes = 64 << 20, .ratio = 200 };
    struct result result = { 0 };

    (void)state;
    if (access("../shared/corpus", R_OK) != 0) {
        skip(); /* before anything is taken: it does not come back */
    }
    result.pool = watch_pool_new(limits);
    result.known = read_text(known_file);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        run_file(&result, sources[i]);
    }
    free(result.known);
    result.pool = watch_pool_free(result.pool);
    print_message("# %zu cases, %zu differ and are known, %zu wrong, %zu unstable\n",
                  result.cases, result.excused, result.wrong, result.unstable);
    assert_int_equal(result.wrong, 0);
    assert_int_equal(result.unstable, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_answers_are_metered_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
