/* Recorded answers of real providers, read from ../shared/corpus: each goes through a
 * response watch whole, byte by byte and at random splits, and must give what the corpus
 * expects. Where our reading differs on purpose, tests/golden/KNOWN.md says why; that nothing
 * is listed there for no reason is the golden run's to check. */
#include "filters/registry.h"
#include "filters/watch.h"
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

/* APIs of the corpus, and the request that stands for those whose path is not the API's. */
static const struct api {
    const char *name;
    const char *path;
    const char *dialect;
} apis[] = {
    { "openai.chat", "/v1/chat/completions", "openai.chat" },
    { "groq.chat", "/v1/chat/completions", "openai.chat" },
    { "mistral.chat", "/v1/chat/completions", "openai.chat" },
    { "writer.chat", "/v1/chat/completions", "openai.chat" },
    { "openai.completions", "/v1/completions", "openai.completions" },
    { "openai.responses", "/v1/responses", "openai.responses" },
    { "openai.responses.compact", "/v1/responses/compact", "openai.responses" },
    { "openai.count_tokens", "/v1/responses/input_tokens", "openai.responses" },
    { "openai.embeddings", "/v1/embeddings", "openai.embeddings" },
    { "mistral.embeddings", "/v1/embeddings", "openai.embeddings" },
    { "anthropic.messages", "/v1/messages", "anthropic.messages" },
    { "anthropic.count_tokens", "/v1/messages/count_tokens", "anthropic.count_tokens" },
    { "anthropic.complete", "/v1/complete", "anthropic.complete" },
    { "other.responses_retrieve", "/v1/responses/resp_1", "openai.responses" },
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

/* ---- reading the corpus ------------------------------------------------------------- */

static void read_head(const cJSON *item, struct head *head)
{
    const cJSON *pair;

    *head = (struct head){ .minor = 1 };
    head->status = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "status"));
    cJSON_ArrayForEach(pair, cJSON_GetObjectItem(item, "response_headers"))
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

static enum method method_of(const cJSON *item)
{
    return strcmp(vectors_string(item, "method"), "GET") == 0 ? METHOD_GET
                                                              : METHOD_POST;
}

/* The path as it was recorded must be claimed by the right dialect or by none (nominal
 * paths, and those of other clouds). */
static const struct dialect *claim(const cJSON *item, const struct api *api,
                                   const struct dialect_route **route)
{
    static const char *const families[] = { "openai", "anthropic", NULL };
    const char *recorded = vectors_string(item, "path");
    struct span path = span_of(recorded, strcspn(recorded, "?"));
    const struct dialect *dialect;

    dialect = registry_claim(families, method_of(item), path, route);
    if (dialect != NULL) {
        assert_string_equal(dialect->name, api->dialect);
    }
    dialect = registry_claim(families, method_of(item), span_text(api->path), route);
    assert_non_null(dialect);
    assert_string_equal(dialect->name, api->dialect);
    return dialect;
}

/* ---- one case ----------------------------------------------------------------------- */

static void replay(struct watch_pool *pool, const cJSON *item, struct splitter splitter,
                   struct entry *entry)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim(item, api_of(item), &route);
    struct facts facts = { .stream = false };
    struct head head;
    struct response_watch *watch;

    read_head(item, &head);
    memset(entry, 0, sizeof(*entry));
    watch = response_watch_open(pool, dialect, route, &head, &facts);
    assert_non_null(watch);
    while (splitter.rest.len > 0) {
        response_watch_data(watch, next_piece(&splitter));
    }
    response_watch_settle(watch, true, &facts, 400, entry);
    response_watch_close(watch);
}

static bool number_agrees(const cJSON *expected, const char *key, bool known,
                          uint64_t count)
{
    const cJSON *number = cJSON_GetObjectItem(expected, key);

    if (!cJSON_IsNumber(number)) {
        return !known;
    }
    return known && (uint64_t)cJSON_GetNumberValue(number) == count;
}

/* A part that is stated as greater than its whole is expected as great as the whole. */
static bool reasoning_agrees(const cJSON *expected, bool known, uint64_t count)
{
    double output = cJSON_GetNumberValue(cJSON_GetObjectItem(expected, "output_total"));
    double part = cJSON_GetNumberValue(cJSON_GetObjectItem(expected, "reasoning"));

    if (part > output) {
        return known && count == (uint64_t)output;
    }
    return number_agrees(expected, "reasoning", known, count);
}

static bool agrees(const cJSON *item, const struct entry *entry)
{
    const cJSON *expected = cJSON_GetObjectItem(item, "expected");
    const struct usage *usage = &entry->usage;
    bool said = usage->source >= USAGE_PARTIAL;
    char model[sizeof(entry->response_model)];

    text_store(model, sizeof(model), span_text(vectors_string(expected, "model")));
    return number_agrees(expected, "input_total",
                         said && usage_knows(usage, TOKENS_INPUT),
                         usage_input(usage)) &&
           number_agrees(expected, "cache_read",
                         said && usage_knows(usage, TOKENS_CACHE_READ),
                         usage->tokens[TOKENS_CACHE_READ]) &&
           number_agrees(expected, "cache_write",
                         said && usage_knows(usage, TOKENS_CACHE_WRITE),
                         usage->tokens[TOKENS_CACHE_WRITE]) &&
           number_agrees(expected, "output_total",
                         said && usage_knows(usage, TOKENS_OUTPUT),
                         usage_output(usage)) &&
           reasoning_agrees(expected, said && usage_knows(usage, TOKENS_REASONING),
                            usage->tokens[TOKENS_REASONING]) &&
           strcmp(entry->response_model, model) == 0;
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

/* ---- all of them -------------------------------------------------------------------- */

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
        if (memcmp(&whole, &split, sizeof(whole)) != 0) {
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
        if (api_of(item) != NULL) {
            run_case(result, item, body_of(&file, item));
        }
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
