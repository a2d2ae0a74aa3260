/* Both watches over arbitrary bodies: no split changes a fact, a claim, a fault, a
 * count or what the turn gate reads, and the gate changes none of the others. The first
 * byte chooses the API and its content, the second the split. */
#include "filters/registry.h"
#include "filters/watch.h"
#include "tests/support/line_room.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const families[] = { "openai", "anthropic", "gemini",  "bedrock",
                                        "ollama", "cohere",    "mistral", NULL };
static const char *const paths[] = {
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/complete",
    "/v1/messages/count_tokens",
    "/v1/responses/compact",
    "/v1beta/models/m:generateContent",
    "/v1beta/models/m:streamGenerateContent",
    "/model/m/converse-stream",
    "/model/m/invoke-with-response-stream",
    "/api/chat",
    "/v2/chat",
    "/v1/audio/transcriptions",
    "/v1/threads/t/runs",
};
static const char *const types[] = { "application/json",
                                     "text/event-stream",
                                     "application/x-ndjson",
                                     "",
                                     "application/vnd.amazon.eventstream",
                                     "multipart/form-data; boundary=b" };
static const char *const codings[] = { "", "gzip" };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct choice {
    const char *path, *type, *coding;
};

static void head_add(struct head *head, const char *name, const char *value)
{
    struct field *field = &head->fields[head->field_count++];

    field->name = span_text(name);
    field->value = span_text(value);
    field->id = field_name_of(field->name);
}

static void head_of(const struct choice *choice, struct head *head)
{
    *head =
        (struct head){ .minor = 1, .status = 200, .target = span_text(choice->path) };
    head_add(head, "content-type", choice->type);
    if (choice->coding[0] != '\0') {
        head_add(head, "content-encoding", choice->coding);
    }
}

/* Pieces of 1 to 16 bytes out of a seed; everything at once for seed 0. */
static struct span take_piece(struct span *rest, uint32_t *seed)
{
    struct span piece = *rest;

    if (*seed != 0) {
        *seed = *seed * 1664525 + 1013904223;
        piece.len = 1 + (*seed >> 28);
        piece.len = piece.len < rest->len ? piece.len : rest->len;
    }
    *rest = span_after(*rest, piece.len);
    return piece;
}

struct asked {
    struct facts facts;
    struct claims claims;
    uint64_t text_bytes;
    enum fault fault;
};

/* What the turn gate needs. */
static struct sketch_key key;
static struct harness *harness;

static void take_call(struct watch_pool *pool, struct request_watch *watch,
                      struct call *call)
{
    struct call *seen = request_watch_call(watch);

    memset(call, 0, sizeof(*call));
    if (seen != NULL) {
        CHECK(seen->turn.has_prompt == (seen->turn.kind == TURN_PROMPT));
        *call = *seen;
        watch_pool_call_back(pool, seen);
    }
}

static void ask(struct watch_pool *pool, const struct choice *choice, struct span body,
                uint32_t seed, struct asked *asked, struct call *call)
{
    const struct dialect_route *route;
    const struct dialect *dialect =
        registry_claim(families, METHOD_POST, span_text(choice->path), &route);
    struct request_watch *watch;
    struct head head;

    memset(asked, 0, sizeof(*asked));
    head_of(choice, &head);
    watch =
        request_watch_open(pool, dialect, route, &head, &asked->facts, &asked->claims);
    CHECK(watch != NULL);
    CHECK(call == NULL || request_watch_turns(watch, &key, harness));
    while (body.len > 0 && asked->fault == FAULT_NONE) {
        asked->fault = request_watch_data(watch, take_piece(&body, &seed));
    }
    if (asked->fault == FAULT_NONE) {
        asked->fault = request_watch_end(watch);
    }
    asked->text_bytes = request_watch_text_bytes(watch);
    if (call != NULL) {
        take_call(pool, watch, call);
    }
    request_watch_close(watch);
}

static void answer(struct watch_pool *pool, const struct choice *choice, bool whole,
                   struct span body, uint32_t seed, struct entry *entry,
                   struct call *call)
{
    const struct dialect_route *route;
    const struct dialect *dialect =
        registry_claim(families, METHOD_POST, span_text(choice->path), &route);
    struct facts facts = { .model = "gpt-4o" };
    struct response_watch *watch;
    struct head head;

    memset(entry, 0, sizeof(*entry));
    entry->lines = line_room();
    if (call != NULL) {
        memset(call, 0, sizeof(*call));
    }
    head_of(choice, &head);
    watch = response_watch_open(pool, dialect, route, &head, &facts);
    CHECK(watch != NULL);
    CHECK(call == NULL || response_watch_turns(watch, &key, call));
    while (body.len > 0) {
        response_watch_data(watch, take_piece(&body, &seed));
    }
    response_watch_settle(watch, whole, &facts, 100, entry);
    response_watch_close(watch);
}

static void check_entry(const struct entry *entry)
{
    const struct usage *usage = &entry->usage;

    CHECK((usage->source == USAGE_NONE) == (usage->known_tokens == 0));
    CHECK(memchr(entry->response_model, '\0', sizeof(entry->response_model)) != NULL);
    for (unsigned i = 0; i < TOKEN_CLASSES; i++) {
        CHECK(usage_knows(usage, (enum token_class)i) || usage->tokens[i] == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct watch_pool *pool;
    struct asked asked, asked_split, asked_plainly;
    struct entry entry, entry_split, entry_plain;
    struct call call, call_split;
    struct error error;
    struct choice choice;
    struct span body;
    uint32_t seed;

    if (size < 2) {
        return 0;
    }
    if (pool == NULL) {
        pool = watch_pool_new((struct decode_limits){ .bytes = 1 << 20, .ratio = 200 });
        error_init(&error);
        harness = harness_load(NULL, &error);
        error_done(&error);
        CHECK(pool != NULL && harness != NULL);
        sketch_key_init(&key, SPAN("a key for fuzzing"));
    }
    choice = (struct choice){ paths[bytes[0] % COUNT_OF(paths)],
                              types[bytes[1] % COUNT_OF(types)],
                              codings[bytes[0] >> 6 & 1] };
    seed = UINT32_C(1) + bytes[1];
    body = span_of((const char *)bytes + 2, size - 2);

    ask(pool, &choice, body, 0, &asked, &call);
    ask(pool, &choice, body, seed, &asked_split, &call_split);
    ask(pool, &choice, body, 0, &asked_plainly, NULL);
    CHECK(asked.fault == asked_split.fault && asked.fault == asked_plainly.fault);
    if (asked.fault == FAULT_NONE) {
        CHECK(memcmp(&asked, &asked_split, sizeof(asked)) == 0);
        CHECK(memcmp(&asked, &asked_plainly, sizeof(asked)) == 0);
        CHECK(memcmp(&call, &call_split, sizeof(call)) == 0);
    }
    answer(pool, &choice, bytes[0] >> 7 == 0, body, 0, &entry, &call);
    answer(pool, &choice, bytes[0] >> 7 == 0, body, seed, &entry_split, &call_split);
    answer(pool, &choice, bytes[0] >> 7 == 0, body, 0, &entry_plain, NULL);
    CHECK(same_entry(&entry, &entry_split));
    CHECK(same_entry(&entry, &entry_plain));
    CHECK(memcmp(&call, &call_split, sizeof(call)) == 0);
    check_entry(&entry);
    return 0;
}
