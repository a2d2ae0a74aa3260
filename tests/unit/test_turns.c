/* What the turn gate reads off requests and responses, dialect by dialect: whose words
 * are fresh, the same sketch whichever way they come, at every split. */
#include "filters/turn/sketch.h"
#include "filters/watch_pool.h"
#include "tests/unit/watching.h"

#include <stdlib.h>

static struct watch_pool *pool;
static struct harness *harness;
static struct sketch_key key;

static int open_all(void **unused)
{
    struct error error;

    (void)unused;
    error_init(&error);
    sketch_key_init(&key, SPAN("a secret of thirty-two bytes ..."));
    pool = watch_pool_new(watch_limits);
    harness = harness_load("config/harness.yaml", &error);
    error_print(&error, stderr);
    error_done(&error);
    return pool == NULL || harness == NULL;
}

static int close_all(void **unused)
{
    (void)unused;
    pool = watch_pool_free(pool);
    harness = harness_free(harness);
    return 0;
}

/* ---- requests -------------------------------------------------------------------- */

static const struct dialect *claim(const char *path, const struct dialect_route **route)
{
    static const char *const families[] = { "anthropic", "gemini", "bedrock", "ollama",
                                            "cohere",    "openai", NULL };
    static const char *const mistral[] = { "mistral", NULL };
    const char *const *wanted = families;

    if (strncmp(path, "/mistral", 8) == 0) {
        path += 8;
        wanted = mistral;
    }
    return registry_claim(wanted, METHOD_POST, span_text(path), route);
}

/* What the gate reads off a request whose body comes in two pieces, or in bytes. */
static bool read_request(const char *path, struct span body, size_t split,
                         struct call *call)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim(path, &route);
    struct head head = { .minor = 1, .target = span_text(path) };
    struct facts facts;
    struct claims claims = { .session = "" };
    struct request_watch *watch;
    struct call *seen;
    bool there;

    assert_non_null(dialect);
    watch = request_watch_open(pool, dialect, route, &head, &facts, &claims);
    assert_non_null(watch);
    assert_true(request_watch_turns(watch, &key, harness));
    if (split > body.len) {
        for (size_t i = 0; i < body.len; i++) {
            assert_int_equal(request_watch_data(watch, span_of(body.at + i, 1)),
                             FAULT_NONE);
        }
    } else {
        (void)!request_watch_data(watch, span_of(body.at, split));
        (void)!request_watch_data(watch, span_after(body, split));
    }
    assert_int_equal(request_watch_end(watch), FAULT_NONE);
    seen = request_watch_call(watch);
    there = seen != NULL;
    if (there) {
        *call = *seen;
        watch_pool_call_back(pool, seen);
    }
    request_watch_close(watch);
    return there;
}

static struct call request(const char *path, const char *text)
{
    struct span body = span_text(text);
    struct call whole, other;

    assert_true(read_request(path, body, 0, &whole));
    for (size_t split = 1; split <= body.len + 1; split++) {
        assert_true(read_request(path, body, split, &other));
        assert_memory_equal(&other, &whole, sizeof(whole));
    }
    return whole;
}

static struct prompt_sketch sketch_of(const char *text)
{
    static struct prompt_sketcher sketcher;
    struct prompt_sketch sketch;

    sketch_prompt_begin(&sketcher, &key);
    sketch_prompt_feed(&sketcher, span_text(text));
    sketch_prompt_end(&sketcher, &sketch);
    return sketch;
}

static void assert_same_prompt(const struct prompt_sketch *a,
                               const struct prompt_sketch *b)
{
    assert_int_equal(a->whole, b->whole);
    assert_int_equal(a->shape, b->shape);
    assert_int_equal(a->characters, b->characters);
    assert_int_equal(a->bottom_count, b->bottom_count);
    assert_memory_equal(a->bottom, b->bottom, sizeof(a->bottom));
    assert_memory_equal(a->samples, b->samples, sizeof(a->samples));
    assert_memory_equal(a->words, b->words, sizeof(a->words));
}

/* A person says `text`; NULL: nobody says anything. */
static void expect(const char *path, const char *body, const char *text, bool client)
{
    struct call call = request(path, body);

    assert_int_equal(call.turn.kind, text != NULL ? TURN_PROMPT : TURN_CONTINUATION);
    assert_int_equal(call.turn.harness, client);
    assert_int_equal(call.turn.has_prompt, text != NULL);
    if (text != NULL) {
        struct prompt_sketch sketch = sketch_of(text);

        assert_same_prompt(&call.turn.prompt, &sketch);
    }
}

static void says(const char *path, const char *body, const char *text)
{
    expect(path, body, text, false);
}

static void continues(const char *path, const char *body)
{
    expect(path, body, NULL, false);
}

static void is_the_clients(const char *path, const char *body)
{
    expect(path, body, NULL, true);
}

#define ANTHROPIC "/v1/messages"
#define CHAT      "/v1/chat/completions"
#define RESPONSES "/v1/responses"
#define GEMINI    "/v1beta/models/gemini-2.5-pro:generateContent"
#define CONVERSE  "/model/anthropic.claude-x/converse"
#define OLLAMA    "/api/chat"
#define COHERE    "/v2/chat"

/* clang-format off */
#define FIX "Fix the \\\"parser\\\" in src/a.c:42,\\nplease \\u00e9t\\u00e9"
/* clang-format on */
static const char fix[] = "Fix the \"parser\" in src/a.c:42,\nplease \xc3\xa9t\xc3\xa9";

static void a_persons_words_in_every_dialect(void **unused)
{
    (void)unused;
    says(ANTHROPIC,
         "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
         "\"content\":\"" FIX "\"}]}",
         fix);
    says(ANTHROPIC,
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
         "\"text\":\"" FIX "\"}]}],\"system\":\"You help.\"}",
         fix);
    says(CHAT,
         "{\"messages\":[{\"role\":\"system\",\"content\":\"You help.\"},"
         "{\"role\":\"user\",\"content\":\"" FIX "\"}]}",
         fix);
    says(CHAT,
         "{\"messages\":[{\"content\":\"You help.\",\"role\":\"system\"},"
         "{\"content\":[{\"text\":\"" FIX "\",\"type\":\"text\"}],"
         "\"role\":\"user\"}]}",
         fix);
    says(RESPONSES, "{\"input\":\"" FIX "\",\"instructions\":\"You help.\"}", fix);
    says(RESPONSES,
         "{\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":"
         "[{\"type\":\"input_text\",\"text\":\"" FIX "\"}]}]}",
         fix);
    says(RESPONSES, "{\"input\":[{\"content\":\"" FIX "\",\"role\":\"user\"}]}", fix);
    says(GEMINI,
         "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"" FIX "\"}]}]}",
         fix);
    says(GEMINI, "{\"contents\":[{\"parts\":[{\"text\":\"" FIX "\"}]}]}", fix);
    says(GEMINI,
         "{\"contents\":{\"parts\":[{\"text\":\"" FIX "\"}],"
         "\"role\":\"user\"}}",
         fix);
    says(CONVERSE,
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"" FIX "\"}]}]}",
         fix);
    says("/model/anthropic.claude-x/invoke",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"" FIX "\"}]}", fix);
    says(OLLAMA, "{\"messages\":[{\"role\":\"user\",\"content\":\"" FIX "\"}]}", fix);
    says("/api/generate", "{\"model\":\"m\",\"prompt\":\"" FIX "\"}", fix);
    says(COHERE, "{\"messages\":[{\"role\":\"user\",\"content\":\"" FIX "\"}]}", fix);
    says("/v1/chat",
         "{\"message\":\"" FIX "\",\"chat_history\":[{\"role\":\"USER\","
         "\"message\":\"Hi\"},{\"role\":\"CHATBOT\",\"message\":\"Yes?\"}]}",
         fix);
    says("/mistral/v1/chat/completions",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"" FIX "\"}]}", fix);
    says("/mistral/v1/conversations", "{\"inputs\":\"" FIX "\"}", fix);
    says("/v1/completions", "{\"prompt\":\"" FIX "\"}", fix);
}

static void a_tools_result_continues(void **unused)
{
    (void)unused;
    continues(ANTHROPIC,
              "{\"messages\":[{\"role\":\"user\",\"content\":\"Go\"},{\"role\":"
              "\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
              "\"Read\",\"input\":{\"path\":\"a\"}}]},{\"role\":\"user\",\"content\":"
              "[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"x\"},"
              "{\"type\":\"text\",\"text\":\"and this\"}]}]}");
    continues(CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"Go\"},{\"role\":"
                    "\"assistant\",\"content\":null,\"tool_calls\":[{}]},{\"role\":"
                    "\"tool\",\"tool_call_id\":\"t\",\"content\":\"x\"}]}");
    continues(CHAT,
              "{\"messages\":[{\"content\":\"Go\",\"role\":\"user\"},{\"content\":"
              "\"\",\"role\":\"assistant\"},{\"content\":\"x\",\"role\":"
              "\"tool\"}]}");
    continues(RESPONSES,
              "{\"input\":[{\"role\":\"user\",\"content\":\"Go\"},{\"type\":"
              "\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"},{\"type\":"
              "\"function_call_output\",\"call_id\":\"t\",\"output\":\"x\"}]}");
    continues(GEMINI,
              "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Go\"}]},{"
              "\"role\":"
              "\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]},"
              "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"f\","
              "\"response\":{\"x\":1}}}]}]}");
    continues(
        CONVERSE,
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Go\"}]},{\"role\":"
        "\"assistant\",\"content\":[{\"toolUse\":{\"input\":{}}}]},{\"role\":"
        "\"user\",\"content\":[{\"toolResult\":{\"content\":[{\"text\":\"x\"}]}}]}]}");
    continues(OLLAMA, "{\"messages\":[{\"role\":\"user\",\"content\":\"Go\"},{\"role\":"
                      "\"assistant\",\"content\":\"\"},{\"role\":\"tool\",\"content\":"
                      "\"x\"}]}");
}

static void the_last_message_counts(void **unused)
{
    (void)unused;
    says(CHAT,
         "{\"messages\":[{\"role\":\"user\",\"content\":\"First\"},{\"role\":"
         "\"assistant\",\"content\":\"Well\"},{\"role\":\"user\",\"content\":\"" FIX
         "\"}]}",
         fix);
    says(CHAT,
         "{\"messages\":[{\"role\":\"user\",\"content\":\"First\"},{\"role\":"
         "\"user\",\"content\":\"" FIX "\"}]}",
         fix);
    says(CHAT,
         "{\"messages\":[{\"content\":\"" FIX "\",\"role\":\"user\"},{\"content\":"
         "\"Now be brief.\",\"role\":\"developer\"}]}",
         fix);
    continues(ANTHROPIC, "{\"messages\":[{\"role\":\"user\",\"content\":\"Go\"},"
                         "{\"role\":\"assistant\",\"content\":\"{\"}]}");
    continues(CHAT, "{\"messages\":[]}");
    continues(CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\" \\n\"}]}");
}

static void blocks_are_joined_and_images_named(void **unused)
{
    (void)unused;
    says(ANTHROPIC,
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
         "\"Look\"},{\"type\":\"image\",\"source\":{\"data\":\"AAAA\"}},{\"type\":"
         "\"text\",\"text\":\"What is it?\"}]}]}",
         "Look\n[img]\nWhat is it?");
    says(RESPONSES,
         "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\","
         "\"image_url\":\"data:\"},{\"type\":\"input_text\",\"text\":\"Well?\"}]}]}",
         "[img]\nWell?");
    says(GEMINI,
         "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{\"data\":"
         "\"AA\"}},"
         "{\"text\":\"Well?\"}]}]}",
         "[img]\nWell?");
}

static void the_clients_own_words_are_left_out(void **unused)
{
    (void)unused;
    says(ANTHROPIC,
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
         "\"<system-reminder>\\nToday is\"},{\"type\":\"text\",\"text\":\"" FIX
         "\"},{\"type\":\"text\",\"text\":\" \\n\\u003csystem-reminder>again\"}]}]}",
         fix);
    says(RESPONSES,
         "{\"input\":[{\"role\":\"user\",\"content\":\"" FIX "\"},{\"role\":\"user\","
         "\"content\":\"<environment_context>\\n  <cwd>/x</cwd>\"}]}",
         fix);
    is_the_clients(ANTHROPIC, "{\"messages\":[{\"role\":\"user\",\"content\":\"Caveat: "
                              "the messages "
                              "below\"}]}");
    is_the_clients(ANTHROPIC,
                   "{\"messages\":[{\"role\":\"user\",\"content\":\"Say\"},{\"role\":"
                   "\"assistant\",\"content\":\"So\"},{\"role\":\"user\",\"content\":"
                   "\"[Request interrupted by user]\"}]}");
}

static void housekeeping_is_the_clients(void **unused)
{
    (void)unused;
    is_the_clients(ANTHROPIC,
                   "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":"
                   "\"quota\"}]}");
    is_the_clients(ANTHROPIC,
                   "{\"messages\":[{\"role\":\"user\",\"content\":\"Fix "
                   "it\"}],\"system\":"
                   "[{\"type\":\"text\",\"text\":\"You are Claude Code.\"},{\"type\":"
                   "\"text\",\"text\":\"Analyze if this message indicates a new "
                   "conversation topic. If\"}]}");
    is_the_clients(CHAT,
                   "{\"messages\":[{\"role\":\"system\",\"content\":\"You are a title "
                   "generator. You output\"},{\"role\":\"user\",\"content\":\"Fix "
                   "it\"}]}");
    is_the_clients("/v1/responses/compact",
                   "{\"input\":[{\"role\":\"user\",\"content\":\"Fix it\"}]}");
}

static void what_generates_nothing_is_no_call(void **unused)
{
    const struct span body =
        SPAN("{\"input\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    struct call call;

    (void)unused;
    assert_false(read_request("/v1/embeddings", body, 0, &call));
    assert_false(read_request("/v1/messages/count_tokens", body, 0, &call));
    assert_false(
        read_request("/v1beta/models/gemini-2.5-pro:countTokens", body, 0, &call));
    assert_false(read_request("/v1/responses/input_tokens", body, 0, &call));
}

/* ---- conversations --------------------------------------------------------------- */

static void a_conversation_keeps_its_root(void **unused)
{
    static const char first[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"One\"}],"
        "\"system\":\"S\"}";
    static const char later[] =
        "{\"system\":[{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: "
        "cch=1\"},"
        "{\"type\":\"text\",\"text\":\"S\"}],\"messages\":[{\"role\":\"user\","
        "\"content\":"
        "[{\"type\":\"text\",\"text\":\"<system-reminder>x\"},{\"type\":\"text\","
        "\"text\":\"One\"}]},{\"role\":\"assistant\",\"content\":\"A\"},{\"role\":"
        "\"user\","
        "\"content\":\"Two\"}]}";
    struct call a = request(ANTHROPIC, first), b = request(ANTHROPIC, later);
    struct call c = request(ANTHROPIC, "{\"messages\":[{\"role\":\"user\",\"content\":"
                                       "\"One\"}],\"system\":\"T\"}");

    (void)unused;
    assert_int_equal(a.root, b.root);
    assert_int_not_equal(a.root, c.root);
    assert_int_equal(a.messages, 1);
    assert_int_equal(b.messages, 3);
    assert_true(a.opens);
    assert_false(b.opens);
}

static void the_history_does_not_change_the_sketch(void **unused)
{
    struct call a =
        request(CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"" FIX "\"}]}");
    struct call b =
        request(CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"A\"},"
                      "{\"role\":\"assistant\",\"content\":\"B\"},{\"role\":"
                      "\"user\",\"content\":\"" FIX "\"}]}");

    (void)unused;
    assert_same_prompt(&a.turn.prompt, &b.turn.prompt);
    assert_int_not_equal(a.root, b.root);
}

static void a_predecessor_and_a_session_are_hashed(void **unused)
{
    struct call a = request(RESPONSES, "{\"input\":\"Go\",\"previous_response_id\":"
                                       "\"resp_1\",\"prompt_cache_key\":\"conv\"}");

    (void)unused;
    assert_int_equal(a.predecessor, sketch_hash(&key, "resp_1", 6));
    assert_int_equal(a.claimed, sketch_hash(&key, "conv", 4));
}

/* ---- long messages --------------------------------------------------------------- */

static char *filled(const char *word, size_t bytes)
{
    size_t len = strlen(word);
    char *text = malloc(bytes + len + 1);

    assert_non_null(text);
    for (size_t at = 0; at < bytes; at += len) {
        memcpy(text + at, word, len + 1);
    }
    return text;
}

/* Messages of more than is held, before and behind others, in a few splits. */
static void expect_long(const char *front, const char *long_raw, const char *back,
                        const char *text)
{
    size_t size = strlen(front) + strlen(long_raw) + strlen(back) + 1;
    char *body = malloc(size);
    struct prompt_sketch sketch = sketch_of(text);
    static const size_t splits[] = { 0, 1, 3, 1000, 49152, 49200, 60000, SIZE_MAX };

    assert_non_null(body);
    snprintf(body, size, "%s%s%s", front, long_raw, back);
    for (size_t i = 0; i < sizeof(splits) / sizeof(*splits); i++) {
        struct call call;

        assert_true(read_request(CHAT, span_text(body), splits[i], &call));
        assert_int_equal(call.turn.kind, TURN_PROMPT);
        assert_same_prompt(&call.turn.prompt, &sketch);
    }
    free(body);
}

static void messages_of_any_length(void **unused)
{
    static const size_t sizes[] = { 40000, 49100, 49151, 49152, 49153, 100000, 150000 };

    (void)unused;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char *raw = filled("one \\\"two\\\" thr\\u00e9e 44\\n", sizes[i]);
        char *text = filled("one \"two\" thr\xc3\xa9"
                            "e 44\n",
                            0);
        size_t words = strlen(raw) / strlen("one \\\"two\\\" thr\\u00e9e 44\\n");

        free(text);
        text = filled("one \"two\" thr\xc3\xa9"
                      "e 44\n",
                      words * strlen("one \"two\" thr\xc3\xa9"
                                     "e 44\n"));
        expect_long("{\"messages\":[{\"role\":\"user\",\"content\":\"", raw, "\"}]}",
                    text);
        expect_long("{\"messages\":[{\"content\":\"", raw, "\",\"role\":\"user\"}]}",
                    text);
        expect_long("{\"messages\":[{\"role\":\"user\",\"content\":\"", raw,
                    "\"},{\"role\":\"user\",\"content\":\"" FIX "\"}]}", fix);
        expect_long("{\"messages\":[{\"role\":\"user\",\"content\":\"" FIX
                    "\"},{\"role\":\"user\",\"content\":\"<system-reminder>",
                    raw, "\"}]}", fix);
        expect_long("{\"messages\":[{\"role\":\"user\",\"content\":\"A\"},{\"role\":"
                    "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"<bash-",
                    raw, "\"},{\"type\":\"text\",\"text\":\"" FIX "\"}]}]}", fix);
        free(raw);
        free(text);
    }
}

/* ---- responses ------------------------------------------------------------------- */

static struct call read_response(const char *path, const char *type, struct span body,
                                 size_t split)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim(path, &route);
    struct head head = { .minor = 1, .status = 200 };
    struct facts facts = { .stream = true };
    struct entry entry = { .status = 200 };
    struct call call = { .messages = 1 };
    struct response_watch *watch;

    head_add(&head, "content-type", type);
    watch = response_watch_open(pool, dialect, route, &head, &facts);
    assert_non_null(watch);
    assert_true(response_watch_turns(watch, &key, &call));
    if (split > body.len) {
        for (size_t i = 0; i < body.len; i++) {
            response_watch_data(watch, span_of(body.at + i, 1));
        }
    } else {
        response_watch_data(watch, span_of(body.at, split));
        response_watch_data(watch, span_after(body, split));
    }
    response_watch_settle(watch, true, &facts, 10, &entry);
    response_watch_close(watch);
    return call;
}

static struct call respond(const char *path, const char *type, const char *text)
{
    struct span body = span_text(text);
    struct call whole = read_response(path, type, body, 0);

    for (size_t split = 1; split <= body.len + 1; split++) {
        struct call other = read_response(path, type, body, split);

        assert_memory_equal(&other, &whole, sizeof(whole));
    }
    return whole;
}

static void assert_said(const struct call *call, const char *text)
{
    struct response_sketcher sketcher;
    struct response_sketch sketch;

    sketch_response_begin(&sketcher, &key);
    sketch_response_feed(&sketcher, span_text(text));
    sketch_response_end(&sketcher, &sketch);
    assert_true(sketch.count > 0);
    assert_int_equal(call->turn.response.count, sketch.count);
    assert_memory_equal(call->turn.response.samples, sketch.samples,
                        sizeof(sketch.samples));
    assert_int_equal(call->reply_bytes, strlen(text));
}

/* Does the call's arguments hold a prompt of this text? */
static void assert_delegated(const struct call *call, const char *text)
{
    struct prompt_sketch prompt = sketch_of(text);
    unsigned found = 0;

    for (unsigned i = 0; i < call->argument_count; i++) {
        found += call->arguments[i] == (uint32_t)prompt.whole;
        for (unsigned n = 0; n < prompt.sample_count; n++) {
            found += call->arguments[i] == prompt.samples[n];
        }
    }
    assert_int_equal(found, prompt.sample_count + 1U);
}

#define WORDS                                                                          \
    "the quick brown fox jumps over the lazy dog and then it runs away from all the "  \
    "other animals in the wood because it is late and the moon is up already again"
#define TASK                                                                           \
    "Find every caller of parse_header() in the repository and report each of them "   \
    "with its file and its line, in the order in which they stand in the tree."

#define JSON   "application/json"
#define EVENTS "text/event-stream"

static void visible_text_is_sketched(void **unused)
{
    struct call call;

    (void)unused;
    call = respond(ANTHROPIC, JSON,
                   "{\"type\":\"message\",\"content\":[{\"type\":\"thinking\","
                   "\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"" WORDS "\"}]}");
    assert_said(&call, WORDS);
    call =
        respond(ANTHROPIC, EVENTS,
                "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
                "\"text_delta\",\"text\":\"the quick brown fox jumps over the lazy dog "
                "and then it runs away from all the other animals in the wo\"}}\n\n"
                "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
                "\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
                "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
                "\"text_delta\",\"text\":\"od because it is late and the moon is up "
                "already again\"}}\n\n");
    assert_said(&call, WORDS);
    call =
        respond(CHAT, EVENTS,
                "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
                "data: {\"choices\":[{\"delta\":{\"content\":\"" WORDS "\"}}]}\n\n"
                "data: [DONE]\n\n");
    assert_said(&call, WORDS);
    call =
        respond(RESPONSES, EVENTS,
                "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}"
                "\n\ndata: {\"type\":\"response.reasoning_text.delta\",\"delta\":"
                "\"hm\"}\n\ndata: "
                "{\"type\":\"response.output_text.delta\",\"delta\":\"" WORDS
                "\"}\n\n");
    assert_said(&call, WORDS);
    assert_int_equal(call.reply, sketch_hash(&key, "resp_1", 6));
    call = respond(GEMINI, JSON,
                   "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" WORDS
                   "\"}]}}]}");
    assert_said(&call, WORDS);
    call =
        respond(CONVERSE, JSON,
                "{\"output\":{\"message\":{\"content\":[{\"text\":\"" WORDS "\"}]}}}");
    assert_said(&call, WORDS);
    call = respond(OLLAMA, JSON, "{\"message\":{\"content\":\"" WORDS "\"}}\n");
    assert_said(&call, WORDS);
}

/* Gemini marks a thought beside its text, before or behind it. */
static void thoughts_are_not_visible(void **unused)
{
    static const char *const answers[] = {
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" TASK
        "\",\"thought\":true}]}}]}\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"thought\":true,"
        "\"text\":\"" TASK "\"}]}}]}\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" WORDS
        "\"}]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" TASK
        "\",\"thought\":true},{\"text\":\"" WORDS "\",\"thought\":false}]}}]}\n\n",
    };

    (void)unused;
    for (unsigned i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        struct call call = respond(GEMINI, EVENTS, answers[i]);

        assert_said(&call, WORDS);
    }
}

static void tool_arguments_are_kept_as_samples(void **unused)
{
    struct call call;

    (void)unused;
    call = respond(ANTHROPIC, JSON,
                   "{\"content\":[{\"type\":\"tool_use\",\"name\":\"Task\",\"input\":"
                   "{\"kind\":\"x\",\"prompt\":\"" TASK "\"}}]}");
    assert_delegated(&call, TASK);
    call =
        respond(ANTHROPIC, EVENTS,
                "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":"
                "\"tool_use\",\"name\":\"Task\",\"input\":{}}}\n\n"
                "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
                "\"input_json_delta\",\"partial_json\":\"{\\\"prompt\\\": \\\"Find "
                "every "
                "caller of parse_header() in the repository and report each of them "
                "\"}}\n\n"
                "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
                "\"input_json_delta\",\"partial_json\":\"with its file and its line, "
                "in the order in which they stand in the tree.\\\"}\"}}\n\n");
    assert_delegated(&call, TASK);
    assert_int_equal(call.reply_bytes, 0);
    call =
        respond(CHAT, JSON,
                "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":"
                "\"a\",\"arguments\":\"{\\\"x\\\":[1\"}},{\"function\":{\"name\":"
                "\"task\",\"arguments\":\"{\\\"prompt\\\":\\\"" TASK "\\\"}\"}}]}}]}");
    assert_delegated(&call, TASK);
    call =
        respond(RESPONSES, EVENTS,
                "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":"
                "\"function_call\",\"name\":\"spawn\"}}\n\n"
                "data: {\"type\":\"response.function_call_arguments.delta\",\"delta\":"
                "\"{\\\"message\\\":\\\"" TASK "\\\"}\"}\n\n");
    assert_delegated(&call, TASK);
    call =
        respond(GEMINI, JSON,
                "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":"
                "\"task\",\"args\":{\"n\":1,\"prompt\":\"" TASK "\"}}}]}}]}");
    assert_delegated(&call, TASK);
    call = respond(CONVERSE, JSON,
                   "{\"output\":{\"message\":{\"content\":[{\"toolUse\":{\"name\":"
                   "\"task\","
                   "\"input\":{\"prompt\":\"" TASK "\"}}}]}}}");
    assert_delegated(&call, TASK);
    call = respond(OLLAMA, JSON,
                   "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{"
                   "\"name\":"
                   "\"task\",\"arguments\":{\"prompt\":\"" TASK "\"}}}]}}\n");
    assert_delegated(&call, TASK);
}

static uint64_t loop_of(const char *name, const char *arguments)
{
    char body[512];

    snprintf(body, sizeof(body),
             "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"%"
             "s\","
             "\"arguments\":\"%s\"}}]}}]}",
             name, arguments);
    return respond(CHAT, JSON, body).loop;
}

static void equal_tool_calls_have_equal_hashes(void **unused)
{
    uint64_t loop = loop_of("read", "{\\\"line\\\":1}");

    (void)unused;
    assert_int_not_equal(loop, 0);
    assert_int_equal(loop, loop_of("read", "{\\\"line\\\":1}"));
    assert_int_not_equal(loop, loop_of("read", "{\\\"line\\\":2}"));
    assert_int_not_equal(loop, loop_of("list", "{\\\"line\\\":1}"));
    assert_int_equal(respond(CHAT, JSON,
                             "{\"choices\":[{\"message\":{\"content\":\"x\"}}]}")
                         .loop,
                     0);
}

/* ---- what stays ------------------------------------------------------------------ */

static void assert_clean(const void *memory, size_t size)
{
    assert_null(memmem(memory, size, "zzy", 3));
    assert_null(memmem(memory, size, "plugh", 5));
}

static void no_text_stays_in_the_pool(void **unused)
{
    static const char request_text[] =
        "{\"system\":\"xyzzy-plugh xyzzy-plugh\",\"messages\":[{\"role\":\"user\","
        "\"content\":\"xyzzy-plugh one xyzzy-plugh two\"}]}";
    static const char response_text[] =
        "{\"content\":[{\"type\":\"text\",\"text\":\"xyzzy-plugh \\n one "
        "xyzzy-plugh\"},"
        "{\"type\":\"tool_use\",\"name\":\"T\",\"input\":{\"p\":\"xyzzy-plugh \\n one "
        "xyzzy-plugh two\"}}]}";
    struct call call;

    (void)unused;
    for (size_t split = 0; split < sizeof(request_text); split++) {
        assert_true(read_request(ANTHROPIC, span_text(request_text), split, &call));
        assert_clean(pool->fresh, sizeof(*pool->fresh));
        assert_clean(&call, sizeof(call));
    }
    for (size_t split = 0; split < sizeof(response_text); split++) {
        call = read_response(ANTHROPIC, JSON, span_text(response_text), split);
        assert_true(call.argument_count > 0 && call.reply_bytes > 0);
        assert_clean(pool->answers, sizeof(*pool->answers));
        assert_clean(pool->responses, 512);
        assert_clean(&call, sizeof(call));
    }
}

static void a_request_that_breaks_off_is_wiped(void **unused)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim(CHAT, &route);
    struct head head = { .minor = 1, .target = span_text(CHAT) };
    struct facts facts;
    struct claims claims = { .session = "" };
    struct request_watch *watch =
        request_watch_open(pool, dialect, route, &head, &facts, &claims);

    (void)unused;
    assert_true(request_watch_turns(watch, &key, harness));
    assert_int_equal(request_watch_data(watch, SPAN("{\"messages\":[{\"role\":\"user\","
                                                    "\"content\":\"xyzzy-plugh")),
                     FAULT_NONE);
    request_watch_close(watch);
    assert_clean(pool->fresh, sizeof(*pool->fresh));
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_persons_words_in_every_dialect),
        TEST(a_tools_result_continues),
        TEST(the_last_message_counts),
        TEST(blocks_are_joined_and_images_named),
        TEST(the_clients_own_words_are_left_out),
        TEST(housekeeping_is_the_clients),
        TEST(what_generates_nothing_is_no_call),
        TEST(a_conversation_keeps_its_root),
        TEST(the_history_does_not_change_the_sketch),
        TEST(a_predecessor_and_a_session_are_hashed),
        TEST(messages_of_any_length),
        TEST(visible_text_is_sketched),
        TEST(thoughts_are_not_visible),
        TEST(tool_arguments_are_kept_as_samples),
        TEST(equal_tool_calls_have_equal_hashes),
        TEST(no_text_stays_in_the_pool),
        TEST(a_request_that_breaks_off_is_wiped),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
