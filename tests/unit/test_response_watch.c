#include "filters/watch.h"
#include "tests/support/line_room.h"
#include "tests/support/vectors.h"
#include "tests/unit/tables.h"
#include "tests/unit/watching.h"

#include <stdio.h>
#include <unistd.h>

enum { NO = -1 }; /* not known */

static const char json[] = "application/json";
static const char sse[] = "text/event-stream";
static const char chat[] = "/v1/chat/completions";
static const char messages[] = "/v1/messages";
static const char responses[] = "/v1/responses";

/* Estimates are by the tables: what they are without is test_tokens.c's. */
static int pool_open(void **state)
{
    wait_for_tables();
    *state = watch_pool_new(watch_limits);
    return *state == NULL ? -1 : 0;
}

static int pool_close(void **state)
{
    *state = watch_pool_free(*state);
    return 0;
}

struct want {
    enum usage_source source;
    int64_t input, read, write, output, reasoning;
};

static int64_t known(const struct usage *usage, enum token_class class)
{
    return usage_knows(usage, class) ? (int64_t)usage->tokens[class] : NO;
}

static void assert_usage(const struct entry *entry, struct want want)
{
    const struct usage *usage = &entry->usage;

    assert_string_equal(usage_source_name((enum usage_source)usage->source),
                        usage_source_name(want.source));
    assert_int_equal(known(usage, TOKENS_INPUT), want.input);
    assert_int_equal(known(usage, TOKENS_CACHE_READ), want.read);
    assert_int_equal(known(usage, TOKENS_CACHE_WRITE), want.write);
    assert_int_equal(known(usage, TOKENS_OUTPUT), want.output);
    assert_int_equal(known(usage, TOKENS_REASONING), want.reasoning);
}

/* The same in any split. */
static struct entry answered(void **state, struct reading answer, const char *body)
{
    struct span bytes = span_text(body);
    struct entry whole;

    if (answer.status == 0) {
        answer.status = 200;
    }
    whole = answer_entry(*state, &answer, bytes, SIZE_MAX);
    for (size_t size = 1; size < bytes.len; size++) {
        struct entry split = answer_entry(*state, &answer, bytes, size);

        assert_true(same_entry(&whole, &split));
    }
    return whole;
}

/* ---- chat ------------------------------------------------------------------------ */

static const char chunk[] =
    "data: {\"model\":\"gpt-4o-2024\",\"choices\":[{\"delta\":{\"content\":\"hello "
    "there\"},\"finish_reason\":null}],\"usage\":null}\n\n";
static const char finish[] = "data: {\"model\":\"\",\"choices\":[{\"delta\":{},"
                             "\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
static const char usage_chunk[] =
    "data: "
    "{\"choices\":[],\"service_tier\":\"default\",\"usage\":{\"prompt_tokens\":20,"
    "\"completion_tokens\":9,\"total_tokens\":29,\"prompt_tokens_details\":{"
    "\"cached_tokens\":5},\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n\n";

static void chat_streams_are_counted(void **state)
{
    char body[1024];
    struct entry entry;

    snprintf(body, sizeof(body), ": keep-alive\n\n%s%s%sdata: [DONE]\n\n", chunk,
             finish, usage_chunk);
    entry = answered(state, (struct reading){ .path = chat, .type = sse }, body);
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 15, 5, NO, 5, 4 });
    assert_string_equal(entry.response_model, "gpt-4o-2024");
    assert_string_equal(entry.service_tier, "default");
    assert_int_equal(entry.stream, 1);
    assert_int_equal(entry.events, 4);
    assert_int_equal(entry.usage.flags, 0);
}

/* A call of a tool is told when it begins and, as a whole, when it is done. */
static void a_tool_that_is_told_twice_counts_once(void **state)
{
    static const char added[] =
        "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":"
        "\"function_call\",\"name\":\"look_up_the_weather_of_tomorrow\"}}\n\n";
    static const char done[] =
        "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":"
        "\"function_call\",\"name\":\"look_up_the_weather_of_tomorrow\"}}\n\n";
    const struct reading answer = { .path = responses, .type = sse };
    char body[sizeof added + sizeof done];
    struct entry once = answered(state, answer, added);
    struct entry twice;

    snprintf(body, sizeof body, "%s%s", added, done);
    twice = answered(state, answer, body);
    assert_true(once.usage.tokens[TOKENS_OUTPUT] > 0);
    assert_int_equal(twice.usage.tokens[TOKENS_OUTPUT],
                     once.usage.tokens[TOKENS_OUTPUT]);
}

/* Once the shape of its texts is known, an event is taken at a look: but only one that
 * is a text and nothing else. */
static void odd_events_of_a_known_shape_are_read_alike(void **state)
{
    static const struct {
        const char *last;
        unsigned flags;
    } rows[] = {
        { "data: [DONE]\n\n", 0 },
        { "data: {\"model\":\"m\"}\r\ndata: [DONE]\r\n\r\n", 0 },
        { "data: {\"model\":\"m\"}\ndata:\ndata: \n\n", 0 },
        { "data: {\"model\":\"m\"}\ndata: {\"model\":\"n\"}\n\n", 0 },
        { "data: {\"model\":\"m\"}   \n\n", 0 },
        { "data: {\"model\":\"m\"}}\n\n", USAGE_FRAMING_ERROR },
        { "data: {\"model\":\"m\"}\ndata: x\n\n", USAGE_FRAMING_ERROR },
        { "data: {\"model\":\"\ndata: m\"}\n\n", 0 },
        { "data: {\"model\":\"\rm\"}\n\n", USAGE_FRAMING_ERROR },
        { "data: {\"model\":\"m\"}", 0 },
    };
    char body[1024], *end = body;

    for (int i = 0; i < 10; i++) {
        end += sprintf(end, "data: {\"model\":\"m\"}\n\n");
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct entry entry;

        snprintf(end, sizeof(body) - (size_t)(end - body), "%s", rows[i].last);
        entry = answered(state, (struct reading){ .path = chat, .type = sse }, body);
        assert_int_equal(entry.events, 11);
        assert_int_equal(entry.usage.flags & USAGE_FRAMING_ERROR, rows[i].flags);
    }
}

static void streams_without_usage_are_estimated(void **state)
{
    struct reading answer = { .path = chat, .type = sse, .input_text_bytes = 460 };
    char body[1024];
    struct entry entry;

    snprintf(body, sizeof(body), "%s%sdata: [DONE]\n\n", chunk, finish);
    entry = answered(state, answer, body);
    assert_usage(&entry, (struct want){ USAGE_ESTIMATED, 100, NO, NO, 2, NO });
    answer.cut = true;
    entry = answered(state, answer, chunk);
    assert_usage(&entry, (struct want){ USAGE_ESTIMATED, 100, NO, NO, 2, NO });
}

static void one_bad_event_spoils_no_other(void **state)
{
    char body[1024];
    struct entry entry;

    snprintf(body, sizeof(body),
             "data: {\"usage\":{\"prompt_tokens\":\n\n%sdata: nonsense\n\n%s", chunk,
             usage_chunk);
    entry = answered(state, (struct reading){ .path = chat, .type = sse }, body);
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 15, 5, NO, 5, 4 });
    assert_int_equal(entry.usage.flags, USAGE_FRAMING_ERROR);
}

static void the_last_usage_replaces(void **state)
{
    static const char body[] =
        "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1,"
        "\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n"
        "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\n"
        "data: {\"usage\":{}}\n\n"
        "data: {\"usage\":null}\n\n";
    struct entry entry =
        answered(state, (struct reading){ .path = chat, .type = sse }, body);

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 7, NO });
}

/* vLLM states counts so far in every chunk: cut before the end, they are a part. */
static void counts_so_far_are_partial(void **state)
{
    static const char body[] =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],"
        "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":40}}\n\n";
    struct reading answer = { .path = chat, .type = sse, .cut = true };
    struct entry entry = answered(state, answer, body);

    assert_usage(&entry, (struct want){ USAGE_PARTIAL, 5, NO, NO, 40, NO });
    answer.cut = false;
    entry = answered(state, answer, body);
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 40, NO });
}

static void vendors_spell_usage_in_many_ways(void **state)
{
    static const struct {
        const char *body;
        struct want want;
    } rows[] = {
        { "{\"x_groq\":{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}}",
          { USAGE_REPORTED, 5, NO, NO, 2, NO } },
        { "{\"choices\":[{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}]}",
          { USAGE_REPORTED, 5, NO, NO, 2, NO } },
        { "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,"
          "\"prompt_cache_hit_tokens\":3,\"prompt_cache_miss_tokens\":2}}",
          { USAGE_REPORTED, 2, 3, NO, 2, NO } },
        { "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"num_cached_"
          "tokens\":3,"
          "\"prompt_token_details\":{\"cached_tokens\":3},"
          "\"prompt_tokens_details\":{\"cached_tokens\":3}}}",
          { USAGE_REPORTED, 2, 3, NO, 2, NO } },
        { "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7,"
          "\"cached_tokens\":4}}",
          { USAGE_REPORTED, 1, 4, NO, 2, NO } },
        { "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":10,"
          "\"completion_tokens_details\":{\"reasoning_tokens\":3}}}",
          { USAGE_REPORTED, 5, NO, NO, 2, 3 } },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct entry entry =
            answered(state, (struct reading){ .path = chat, .type = json },
                     rows[i].body);

        assert_usage(&entry, rows[i].want);
        assert_int_equal(entry.usage.flags, 0);
        assert_int_equal(entry.stream, 0);
        assert_int_equal(entry.events, 0);
    }
}

static void reported_prices_are_kept(void **state)
{
    static const struct {
        const char *cost;
        int64_t nano;
    } rows[] = {
        { "\"cost\":0.0002833", 283300 },
        { "\"cost\":7.02e-05", 70200 },
        { "\"cost\":0", 0 },
        { "\"cost\":{\"request_cost\":1,\"total_cost\":0.005}", 5000000 },
        { "\"cost_in_usd_ticks\":12345", 1234 },
        { "\"cost\":-1", -1 },
        { "\"cost\":1e300", -1 },
        { "\"x\":1", -1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[160];
        struct entry entry;

        snprintf(body, sizeof(body),
                 "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,%s}}",
                 rows[i].cost);
        entry = answered(state, (struct reading){ .path = chat, .type = json }, body);
        assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 2, NO });
        assert_int_equal(entry.usage.reported_nanousd, rows[i].nano);
        assert_int_equal(entry.usage.flags, 0);
    }
}

/* Only what stands where a usage stands is one. */
static void usage_in_content_does_not_count(void **state)
{
    static const char body[] =
        "{\"metadata\":{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}},"
        "\"choices\":[{\"message\":{\"content\":\"{\\\"usage\\\":{\\\"prompt_"
        "tokens\\\":1,"
        "\\\"completion_tokens\\\":1}}\",\"usage\":{\"prompt_tokens\":1}}}],"
        "\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":60,"
        "\"usage\":{\"prompt_tokens\":1}}}";
    struct entry entry =
        answered(state, (struct reading){ .path = chat, .type = json }, body);

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 50, NO, NO, 60, NO });
}

/* ---- responses ------------------------------------------------------------------- */

static void every_terminal_event_counts(void **state)
{
    static const char *const ends[] = { "completed", "incomplete", "failed" };

    for (size_t i = 0; i < 3; i++) {
        char body[1024];
        struct entry entry;

        snprintf(body, sizeof(body),
                 "event: response.created\ndata: {\"type\":\"response.created\","
                 "\"response\":{\"model\":\"gpt-5\",\"usage\":null}}\n\n"
                 "event: response.output_text.delta\ndata: {\"type\":"
                 "\"response.output_text.delta\",\"delta\":\"hi\"}\n\n"
                 "event: response.%s\ndata: {\"type\":\"response.%s\",\"response\":{"
                 "\"usage\":{\"input_tokens\":30,\"input_tokens_details\":{"
                 "\"cached_tokens\":10,\"cache_write_tokens\":5},\"output_tokens\":7,"
                 "\"output_tokens_details\":{\"reasoning_tokens\":2},"
                 "\"total_tokens\":37},\"tool_usage\":{\"image_gen\":{\"input_tokens\":"
                 "0},"
                 "\"web_search\":{\"num_requests\":3}}}}\n\n",
                 ends[i], ends[i]);
        entry =
            answered(state,
                     (struct reading){ .path = responses, .type = sse, .cut = true },
                     body);
        assert_usage(&entry, (struct want){ USAGE_REPORTED, 15, 10, 5, 5, 2 });
        assert_int_equal(entry.usage.web_searches, 3);
        assert_string_equal(entry.response_model, "gpt-5");
    }
}

static void background_answers_wait(void **state)
{
    struct reading answer = { .path = responses, .type = json, .background = true };
    struct entry entry =
        answered(state, answer,
                 "{\"id\":\"resp_1\",\"status\":\"queued\",\"usage\":null}");

    assert_usage(&entry, (struct want){ USAGE_NONE, NO, NO, NO, NO, NO });
}

/* ---- messages -------------------------------------------------------------------- */

static const char message_start[] =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":"
    "\"claude-3\",\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":12,"
    "\"cache_read_input_tokens\":40,\"cache_creation\":{\"ephemeral_5m_input_tokens\":"
    "8,"
    "\"ephemeral_1h_input_tokens\":4},\"output_tokens\":1,"
    "\"service_tier\":\"standard\"}}}\n\n";
static const char text_delta[] =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{"
    "\"type\":\"text_delta\",\"text\":\"thirty-three bytes of plain text.\"}}\n\n"
    "event: ping\ndata: {\"type\": \"ping\"}\n\n";
static const char message_delta[] =
    "event: message_delta\ndata: "
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
    "\"end_turn\"},\"usage\":{\"input_tokens\":null,\"output_tokens\":15,"
    "\"output_tokens_details\":{\"thinking_tokens\":6}}}\n\n";
static const char message_stop[] =
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static void message_streams_merge_by_field(void **state)
{
    char body[2048];
    struct entry entry;

    snprintf(body, sizeof(body), "%s%s%s%s", message_start, text_delta, message_delta,
             message_stop);
    entry = answered(state, (struct reading){ .path = messages, .type = sse }, body);
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 25, 40, 12, 9, 6 });
    assert_int_equal(entry.usage.cache_write[LIFETIME_5M], 8);
    assert_int_equal(entry.usage.cache_write[LIFETIME_1H], 4);
    assert_string_equal(entry.response_model, "claude-3");
    assert_string_equal(entry.service_tier, "standard");
    assert_int_equal(entry.usage.flags, 0);
}

/* What is known when a stream is cut behind each of its events. */
static void cut_messages_are_partial(void **state)
{
    struct reading answer = { .path = messages, .type = sse, .cut = true };
    char body[2048];
    struct entry entry = answered(state, answer, message_start);

    assert_usage(&entry, (struct want){ USAGE_PARTIAL, 25, 40, 12, 1, NO });
    snprintf(body, sizeof(body), "%s%s", message_start, text_delta);
    entry = answered(state, answer, body);
    assert_usage(&entry, (struct want){ USAGE_PARTIAL, 25, 40, 12, 14, NO });
    snprintf(body, sizeof(body), "%s%s%s", message_start, text_delta, message_delta);
    entry = answered(state, answer, body);
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 25, 40, 12, 9, 6 });
}

/* Cut behind every byte. Whatever is called reported is what the provider says in the
 * end, and an output that it counted is not counted once more. */
static void a_usage_that_is_cut_is_not_reported(void **state)
{
    static const struct {
        const char *path, *type, *body;
        uint64_t input, output;
        uint64_t most; /* output of any cut */
    } rows[] = {
        { chat, json,
          "{\"choices\":[{\"message\":{\"content\":\"hello there, you\"},"
          "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,"
          "\"completion_tokens\":4,\"total_tokens\":74,"
          "\"completion_tokens_details\":{\"reasoning_tokens\":50}},\"id\":\"x\"}",
          20, 54, 54 },
        { chat, json,
          "{\"choices\":[{\"message\":{\"content\":\"hello there, you\"}}],"
          "\"usage\":{\"prompt_tokens\":20,\"total_tokens\":24,"
          "\"completion_tokens\":4}}",
          20, 4, 5 },
        { chat, sse,
          "data: {\"choices\":[{\"delta\":{\"content\":\"hello there, you\"}}],"
          "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":4,"
          "\"total_tokens\":24}}\n\n"
          "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],"
          "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,"
          "\"total_tokens\":75,\"completion_tokens_details\":{"
          "\"reasoning_tokens\":50}},\"id\":\"x\"}\n\n",
          20, 55, 55 },
        { "/v1beta/models/g:streamGenerateContent", sse,
          "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hello there\"}"
          "]}}],\"usageMetadata\":{\"promptTokenCount\":20,\"totalTokenCount\":20}}"
          "\n\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}],"
          "\"usageMetadata\":{\"promptTokenCount\":21,\"candidatesTokenCount\":2,"
          "\"thoughtsTokenCount\":50,\"totalTokenCount\":73}}\n\n",
          21, 52, 52 },
    };
    char body[1024];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reading answer = {
            .path = rows[i].path, .type = rows[i].type, .cut = true, .status = 200
        };
        size_t len = strlen(rows[i].body);
        struct entry entry;

        while (--len > 0) {
            memcpy(body, rows[i].body, len);
            body[len] = '\0';
            entry = answer_entry(*state, &answer, span_text(body), 7);
            if (entry.usage.source == USAGE_REPORTED) {
                assert_int_equal(usage_input(&entry.usage), rows[i].input);
                assert_int_equal(usage_output(&entry.usage), rows[i].output);
            }
            assert_in_range(usage_output(&entry.usage), 0, rows[i].most);
        }
        answer.cut = false;
        entry = answer_entry(*state, &answer, span_text(rows[i].body), 7);
        assert_int_equal(entry.usage.source, USAGE_REPORTED);
        assert_int_equal(usage_output(&entry.usage), rows[i].output);
    }
}

/* An array that lacks its end after the reason why the answer ends, which is a number
 * where enumerations are. */
static void a_number_may_say_why_a_stream_ends(void **state)
{
    struct entry entry = answered(
        state,
        (struct reading){ .path = "/v1beta/models/gemini-x:streamGenerateContent",
                          .type = json,
                          .cut = true },
        "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"some words\"}]},"
        "\"finishReason\":1}],\"usageMetadata\":{\"promptTokenCount\":8,"
        "\"candidatesTokenCount\":2,\"totalTokenCount\":10}}");

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 8, NO, NO, 2, NO });
}

/* Clones repeat the input as zero; a compaction does lower the cache reads to zero. */
static void zeros_are_believed_beside_numbers(void **state)
{
    char body[2048];
    struct entry entry;

    snprintf(body, sizeof(body), "%s%s", message_start,
             "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":0,"
             "\"cache_read_input_tokens\":0,\"output_tokens\":15}}\n\n");
    entry = answered(state, (struct reading){ .path = messages, .type = sse }, body);
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 25, 40, 12, 15, NO });
    assert_int_equal(entry.usage.flags, USAGE_ANOMALY);

    snprintf(body, sizeof(body), "%s%s", message_start,
             "data: "
             "{\"type\":\"message_delta\",\"usage\":{\"cache_read_input_tokens\":0,"
             "\"input_tokens\":90,\"output_tokens\":15}}\n\n");
    entry = answered(state, (struct reading){ .path = messages, .type = sse }, body);
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 90, 0, 12, 15, NO });
    assert_int_equal(entry.usage.flags, 0);
}

static void whole_messages_are_counted(void **state)
{
    static const char body[] =
        "{\"type\":\"message\",\"model\":\"claude-3\",\"content\":[{\"type\":\"text\","
        "\"text\":\"hi\"}],\"usage\":{\"input_tokens\":3,\"output_tokens\":4,"
        "\"cache_read_input_tokens\":null,\"cache_creation\":{"
        "\"ephemeral_5m_input_tokens\":8},\"server_tool_use\":{"
        "\"web_search_requests\":2}}}";
    struct entry entry =
        answered(state, (struct reading){ .path = messages, .type = json }, body);

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 3, NO, 8, 4, NO });
    assert_int_equal(entry.usage.web_searches, 2);
}

/* ---- what is not counted --------------------------------------------------------- */

static void errors_and_free_calls_have_no_usage(void **state)
{
    static const char body[] =
        "{\"input_tokens\":7,\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}";
    const struct reading answers[] = {
        { .path = chat, .type = json, .status = 429, .input_text_bytes = 100 },
        { .path = chat, .type = json, .status = 500, .input_text_bytes = 100 },
        { .path = "/v1/messages/count_tokens", .type = json, .input_text_bytes = 100 },
        { .path = "/v1/responses/input_tokens", .type = json, .input_text_bytes = 100 },
    };

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct entry entry = answered(state, answers[i], body);

        assert_usage(&entry, (struct want){ USAGE_NONE, NO, NO, NO, NO, NO });
        assert_int_equal(entry.usage.reported_nanousd, -1);
    }
}

static void errors_in_place_of_an_answer_cost_nothing(void **state)
{
    struct reading answer = { .path = chat, .type = json, .input_text_bytes = 100 };
    struct entry entry =
        answered(state, answer, "\n\n {\"error\":{\"message\":\"x\"}}");

    assert_usage(&entry, (struct want){ USAGE_NONE, NO, NO, NO, NO, NO });
    answer.path = responses;
    entry = answered(state, answer, "data: {\"type\":\"error\",\"code\":\"x\"}\n\n");
    assert_usage(&entry, (struct want){ USAGE_NONE, NO, NO, NO, NO, NO });
    answer.path = chat;
    entry = answered(state, answer, "{\"error\":null}");
    assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
}

/* What was generated before is known or estimated; the bytes came whole. */
static void errors_in_mid_answer_are_flagged(void **state)
{
    static const struct {
        const char *path, *body;
    } rows[] = {
        { chat, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
                "data: {\"error\":{\"message\":\"no\",\"code\":500}}\n\n" },
        { messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                    "\"overloaded_error\",\"message\":\"no\"}}\n\n" },
        { responses, "data: {\"type\":\"response.failed\",\"response\":{\"error\":{"
                     "\"code\":\"server_error\"},\"usage\":null}}\n\n" },
        { "/v1beta/models/g:streamGenerateContent",
          "data: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}\n\n" },
        { responses, "data: {\"type\":\"error\",\"code\":\"server_error\","
                     "\"message\":\"no\",\"param\":null}\n\n" },
    };
    struct entry entry;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        entry = answered(state, (struct reading){ .path = rows[i].path, .type = sse },
                         rows[i].body);
        assert_int_equal(entry.usage.flags, USAGE_ERROR);
    }
    entry =
        answered(state, (struct reading){ .path = responses, .type = sse },
                 "data: {\"type\":\"response.completed\",\"response\":{\"error\":null,"
                 "\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}}\n\n");
    assert_int_equal(entry.usage.flags, 0);
}

static void embeddings_are_input_only(void **state)
{
    struct reading answer = { .path = "/v1/embeddings", .type = json };
    struct entry entry =
        answered(state, answer, "{\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 8, NO, NO, NO, NO });
    entry = answered(state, answer, "{\"usage\":{\"total_tokens\":12}}");
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 12, NO, NO, NO, NO });
}

/* ---- content and framing --------------------------------------------------------- */

static void the_framing_is_sniffed(void **state)
{
    static const char usage[] =
        "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}";
    const struct reading answers[] = {
        { .path = chat, .type = json },
        { .path = chat, .type = sse },
        { .path = chat },
        { .path = chat, .type = "text/plain" },
        { .path = chat, .type = "application/octet-stream" },
    };
    char body[160];

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct entry entry = answered(state, answers[i], usage);

        assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 2, NO });
        snprintf(body, sizeof(body), "\xef\xbb\xbf\r\ndata: %s", usage);
        entry = answered(state, answers[i], body);
        assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 2, NO });
        assert_int_equal(entry.stream, 1);
        assert_int_equal(entry.events, 1);
    }
}

/* One object a data line, without the blank lines between events; or lines of JSON
 * where one text is expected. */
static void texts_in_a_row_count_one_by_one(void **state)
{
    static const char *const bodies[] = {
        "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n"
        "data: "
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n"
        "data: [DONE]\n",
        "{\"model\":\"m-1\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n"
        "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n",
        "{\"model\":\"m-1\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}"
        "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}",
    };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct entry entry =
            answered(state, (struct reading){ .path = chat, .type = sse }, bodies[i]);

        assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 2, NO });
        assert_string_equal(entry.response_model, "m-1");
        assert_int_equal(entry.usage.flags, 0);
    }
}

static void what_follows_a_text_spoils_it_not(void **state)
{
    struct entry entry =
        answered(state, (struct reading){ .path = chat, .type = json },
                 "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}} </html>");

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 2, NO });
    assert_int_equal(entry.usage.flags, USAGE_FRAMING_ERROR);
}

static void unreadable_bodies_are_estimated(void **state)
{
    struct reading answer = { .path = chat, .input_text_bytes = 400 };
    struct entry entry;

    answer.type = "audio/mpeg";
    entry = answered(state, answer, "\xff\xfb binary");
    assert_usage(&entry, (struct want){ USAGE_ESTIMATED, 100, NO, NO, NO, NO });
    answer.type = json;
    answer.coding = "compress";
    entry = answered(state, answer, "\x1f\x9d\x90");
    assert_usage(&entry, (struct want){ USAGE_ESTIMATED, 100, NO, NO, NO, NO });
    assert_int_equal(entry.usage.flags, USAGE_FRAMING_ERROR);
}

/* Servers name codings that are none, to keep others from compressing. */
static void codings_that_are_none_do_not_matter(void **state)
{
    struct reading answer = { .path = chat, .type = json };
    struct entry entry;

    for (size_t i = 0; i < 2; i++) {
        answer.coding = i == 0 ? "none" : "utf-8";
        entry = answered(state, answer,
                         "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}");
        assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 2, NO });
        assert_int_equal(entry.usage.flags, 0);
    }
}

/* {"usage":{"prompt_tokens":5,"completion_tokens":2}} by gzip. */
static const char zipped[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x2d\x4e\x4c\x4f\x55\xb2\xaa"
    "\x56\x2a\x28\xca\xcf\x2d\x28\x89\x2f\xc9\xcf\x4e\xcd\x2b\x56\xb2\x32\xd5\x51\x4a"
    "\x06\x0a\xe4\xa4\x96\x64\xe6\xe7\xc1\x45\x8d\x6a\x6b\x01\x37\xb3\xb6\x87\x33\x00"
    "\x00\x00";

static void gzip_is_undone_also_unannounced(void **state)
{
    struct reading answer = { .path = chat, .type = json, .status = 200 };
    struct span body = span_of(zipped, sizeof(zipped) - 1);
    const char *const codings[] = { "gzip", "x-gzip", NULL };

    for (size_t i = 0; i < 3; i++) {
        answer.coding = codings[i];
        for (size_t size = 1; size <= body.len; size++) {
            struct entry entry = answer_entry(*state, &answer, body, size);

            assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 2, NO });
            assert_int_equal(entry.usage.flags, 0);
        }
    }
}

static void damaged_and_huge_codings_are_flagged(void **state)
{
    struct reading answer = { .path = chat,
                              .type = json,
                              .coding = "gzip",
                              .status = 200,
                              .input_text_bytes = 4 };
    struct watch_pool *small =
        watch_pool_new((struct decode_limits){ .bytes = 16, .ratio = 200 });
    struct entry entry =
        answer_entry(*state, &answer, SPAN("{\"usage\":{}}"), SIZE_MAX);

    assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
    assert_int_equal(entry.usage.flags, USAGE_FRAMING_ERROR);
    entry = answer_entry(small, &answer, span_of(zipped, sizeof(zipped) - 1), SIZE_MAX);
    assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
    assert_int_equal(entry.usage.flags, USAGE_TRUNCATED);
    watch_pool_free(small);
}

static void the_regular_end_is_seen(void **state)
{
    static const struct {
        const char *path, *body;
        bool finished;
    } rows[] = {
        { chat, chunk, false },
        { chat, finish, false },
        { chat, "data: [DONE]\n\n", true },
        { chat,
          "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{"
          "\"completion_tokens\":3}}\n\n",
          true },
        { chat, "data: {\"choices\":[],\"usage\":{\"completion_tokens\":3}}\n\n",
          false },
        { messages, message_start, false },
        { messages, text_delta, false },
        { messages, message_delta, true },
        { messages, message_stop, true },
        { responses, "data: {\"type\":\"response.failed\"}\n\n", true },
        { responses, "data: {\"type\":\"response.created\"}\n\n", false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct dialect_route *route;
        const struct dialect *dialect = claim_path(rows[i].path, &route);
        struct facts facts = { .stream = true };
        struct head head = { .minor = 1, .status = 200 };
        struct response_watch *watch;

        head_add(&head, "content-type", sse);
        watch = response_watch_open(*state, dialect, route, &head, &facts);
        response_watch_data(watch, span_text(rows[i].body));
        assert_int_equal(response_watch_finished(watch), rows[i].finished);
        assert_true(response_watch_events(watch) >= 1);
        response_watch_close(watch);
    }
}

/* ---- ../shared/vectors/own-usage ------------------------------------------------- */

enum { ODD = USAGE_ANOMALY, BROKEN = USAGE_FRAMING_ERROR, INFERRED = USAGE_INFERRED };

/* Input and output in all, source, flags. The request had 46 bytes of text: 12 tokens
 * by o200k's measure, or by that of unnamed models. */
static const struct reply {
    const char *id;
    uint64_t input, output;
    enum usage_source source;
    unsigned flags;
} replies[] = {
    { "openai/prompt_tokens/ok", 12, 4, USAGE_REPORTED, ODD },
    { "openai/total_tokens/ok", 3, 9, USAGE_REPORTED, INFERRED },
    { "openai/completion_tokens/zero", 3, 4, USAGE_REPORTED, INFERRED },
    { "openai/prompt_tokens/neg", 10, 4, USAGE_PARTIAL, ODD },
    { "openai/total_tokens/neg", 3, 4, USAGE_REPORTED, ODD },
    { "openai/completion_tokens/neg0", 3, 4, USAGE_REPORTED, INFERRED },
    { "openai/prompt_tokens/float", 12, 4, USAGE_REPORTED, ODD },
    { "openai/total_tokens/float", 3, 9, USAGE_REPORTED, INFERRED },
    { "openai/completion_tokens/frac", 3, 0, USAGE_PARTIAL, ODD },
    { "openai/prompt_tokens/exp", 1000, 4, USAGE_REPORTED, ODD },
    { "openai/total_tokens/exp", 3, 997, USAGE_REPORTED, INFERRED },
    { "openai/completion_tokens/i32", 3, 2147483648, USAGE_REPORTED, ODD },
    { "openai/prompt_tokens/u32", 4294967296, 4, USAGE_REPORTED, ODD },
    { "openai/total_tokens/u32", 3, 4294967293, USAGE_REPORTED, INFERRED },
    { "openai/completion_tokens/2p53", 3, 9007199254740993, USAGE_REPORTED, ODD },
    { "openai/prompt_tokens/i64", 10, 4, USAGE_PARTIAL, ODD },
    { "openai/total_tokens/i64", 3, 4, USAGE_REPORTED, ODD },
    { "openai/completion_tokens/huge", 3, 0, USAGE_PARTIAL, ODD },
    { "openai/prompt_tokens/nan", 10, 0, USAGE_ESTIMATED, BROKEN },
    { "openai/total_tokens/nan", 3, 4, USAGE_REPORTED, BROKEN },
    { "openai/completion_tokens/str", 3, 0, USAGE_PARTIAL, ODD },
    { "openai/prompt_tokens/null", 3, 4, USAGE_REPORTED, INFERRED },
    { "openai/total_tokens/null", 3, 4, USAGE_REPORTED, 0 },
    { "openai/completion_tokens/bool", 3, 0, USAGE_PARTIAL, ODD },
    { "openai/prompt_tokens/arr", 10, 4, USAGE_PARTIAL, ODD },
    { "openai/total_tokens/arr", 3, 4, USAGE_REPORTED, ODD },
    { "openai/completion_tokens/obj", 3, 0, USAGE_PARTIAL, ODD },
    { "no-usage", 12, 0, USAGE_ESTIMATED, 0 },
    { "usage-dup", 100, 100, USAGE_REPORTED, ODD },
    { "usage-in-content-first", 5, 6, USAGE_REPORTED, 0 },
    { "escaped-key", 5, 6, USAGE_REPORTED, 0 },
    { "cached>prompt", 10, 1, USAGE_REPORTED, ODD },
    { "reasoning", 1, 50, USAGE_REPORTED, 0 },
    { "trailing", 5, 6, USAGE_REPORTED, BROKEN },
    { "error-200", 0, 0, USAGE_NONE, USAGE_ERROR },
    { "surrogate", 5, 6, USAGE_REPORTED, 0 },
};

/* Its number in the table. */
static size_t reply_of(const char *id)
{
    const size_t count = sizeof(replies) / sizeof(replies[0]);
    size_t i = 0;

    while (i < count && strcmp(replies[i].id, id) != 0) {
        i++;
    }
    assert_true(i < count);
    return i;
}

static void odd_replies_are_read_as_wanted(void **state)
{
    struct reading answer = { .path = chat, .type = json, .input_text_bytes = 46 };
    struct vectors vectors;
    const cJSON *vector;
    size_t count = 0;

    if (!vectors_open(&vectors, "own-usage/replies.jsonl")) {
        print_message("# ../shared/vectors is absent\n");
        skip();
    }
    while ((vector = vectors_next(&vectors)) != NULL) {
        const struct reply *reply = &replies[reply_of(vectors_string(vector, "id"))];
        struct entry entry = answered(state, answer, vectors_string(vector, "body"));

        if (usage_input(&entry.usage) != reply->input ||
            usage_output(&entry.usage) != reply->output ||
            entry.usage.source != reply->source || entry.usage.flags != reply->flags) {
            fail_msg("%s: %ju %ju %s %x", reply->id,
                     (uintmax_t)usage_input(&entry.usage),
                     (uintmax_t)usage_output(&entry.usage),
                     usage_source_name((enum usage_source)entry.usage.source),
                     (unsigned)entry.usage.flags);
        }
        count++;
    }
    vectors_close(&vectors);
    assert_int_equal(count, sizeof(replies) / sizeof(replies[0]));
}

/* ---- what some providers do ------------------------------------------------------ */

/* A usage of zeros, or an output of zero, behind a real one is not believed. */
static void nothing_is_unused_later(void **state)
{
    struct entry entry = answered(
        state, (struct reading){ .path = chat, .type = sse },
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":9,"
        "\"total_tokens\":29}}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":0,"
        "\"completion_tokens\":0,\"total_tokens\":0}}\n\ndata: [DONE]\n\n");

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 20, NO, NO, 9, NO });
    assert_int_equal(entry.usage.flags, USAGE_ANOMALY);
    entry =
        answered(state, (struct reading){ .path = messages, .type = sse },
                 "data: {\"type\":\"message_start\",\"message\":{\"usage\":{"
                 "\"input_tokens\":20,\"output_tokens\":1}}}\n\n"
                 "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}"
                 "\n\ndata: {\"type\":\"message_delta\",\"usage\":{"
                 "\"output_tokens\":0}}\n\ndata: {\"type\":\"message_stop\"}\n\n");
    assert_usage(&entry, (struct want){ USAGE_REPORTED, 20, NO, NO, 9, NO });
    assert_int_equal(entry.usage.flags, USAGE_ANOMALY);
}

/* A last chunk may have a usage object of which only details are left. */
static void details_alone_replace_nothing(void **state)
{
    static const char *const paths[] = {
        "/v1beta/models/gemini-x:streamGenerateContent", chat
    };
    static const char *const bodies[] = {
        "data: {\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":9,"
        "\"totalTokenCount\":29}}\n\ndata: {\"usageMetadata\":{\"promptTokensDetails\":"
        "[{\"modality\":\"TEXT\",\"tokenCount\":20}],\"trafficType\":\"ON_DEMAND\"}}"
        "\n\n",
        "data: {\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":9}}\n\n"
        "data: {\"usage\":{\"prompt_tokens\":null,\"prompt_tokens_details\":{"
        "\"cached_tokens\":4},\"cost\":0.1}}\n\ndata: [DONE]\n\n",
    };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct entry entry =
            answered(state, (struct reading){ .path = paths[i], .type = sse },
                     bodies[i]);

        assert_usage(&entry, (struct want){ USAGE_REPORTED, 20, NO, NO, 9, NO });
        assert_int_equal(entry.usage.flags, 0);
    }
}

/* A report of zeros alone is one. */
static void zeros_alone_are_believed(void **state)
{
    struct entry entry =
        answered(state, (struct reading){ .path = chat, .type = sse },
                 "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":0,"
                 "\"completion_tokens\":0}}\n\ndata: {\"choices\":[],\"usage\":{"
                 "\"prompt_tokens\":4,\"completion_tokens\":0}}\n\ndata: [DONE]\n\n");

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 4, NO, NO, 0, NO });
    assert_int_equal(entry.usage.flags, 0);
}

/* The sum of a call is split by what was seen of its answer; none of it is lost. */
static void a_total_alone_is_split(void **state)
{
    struct entry entry =
        answered(state, (struct reading){ .path = chat, .type = json },
                 "{\"choices\":[{\"message\":{\"content\":\"hello there\"}}],"
                 "\"usage\":{\"total_tokens\":29}}");

    assert_int_equal(entry.usage.source, USAGE_PARTIAL);
    assert_int_equal(usage_total(&entry.usage), 29);
    assert_in_range(entry.usage.tokens[TOKENS_OUTPUT], 2, 4);
    assert_int_equal(entry.usage.flags, USAGE_INFERRED);
}

/* ---- lines ----------------------------------------------------------------------- */

static void assert_line(const struct entry *entry, unsigned at, enum line_kind kind,
                        const char *model, uint64_t input, uint64_t output)
{
    const struct line *line = &entry->lines[at];

    assert_true(at < entry->line_count);
    assert_int_equal(line->kind, kind);
    assert_string_equal(line->model, model);
    assert_int_equal(usage_input(&line->usage), input);
    assert_int_equal(usage_output(&line->usage), output);
}

static void the_last_event_with_lines_counts(void **state)
{
    const struct reading answer = { .path = messages, .type = sse };
    struct entry entry = answered(
        state, answer,
        "data: {\"type\":\"message_start\",\"message\":{\"model\":\"a\",\"usage\":{"
        "\"input_tokens\":5,\"output_tokens\":1,\"iterations\":[{\"type\":"
        "\"compaction\",\"input_tokens\":9,\"output_tokens\":1}]}}}\n\n"
        "data: "
        "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":3,\"iterations\""
        ":[{\"type\":\"compaction\",\"input_tokens\":9,\"output_tokens\":2,"
        "\"cache_creation_input_tokens\":4},{\"model\":\"b\",\"input_tokens\":7,"
        "\"output_tokens\":1,\"type\":\"advisor_message\"},{\"type\":\"message\","
        "\"input_tokens\":5,\"output_tokens\":3}]}}\n\n"
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":4}}\n\n"
        "data: {\"type\":\"message_stop\"}\n\n");

    assert_usage(&entry, (struct want){ USAGE_REPORTED, 5, NO, NO, 4, NO });
    assert_int_equal(entry.line_count, 2);
    assert_line(&entry, 0, LINE_COMPACTION, "a", 13, 2);
    assert_line(&entry, 1, LINE_ADVISOR, "b", 7, 1);
}

/* More groups than there is room for: no token is lost. */
static void too_many_lines_are_summed(void **state)
{
    const struct reading answer = { .path = messages, .type = json };
    char body[2048];
    struct text text = text_over(body, sizeof(body) - 1);
    struct entry entry;
    uint64_t sum = 0;

    text_put(&text, SPAN("{\"usage\":{\"input_tokens\":1,\"output_tokens\":1,"
                         "\"iterations\":["));
    for (unsigned i = 0; i < 8; i++) {
        text_printf(&text,
                    "%s{\"type\":\"advisor_message\",\"model\":\"m%u\","
                    "\"input_tokens\":%u,\"output_tokens\":1}",
                    i == 0 ? "" : ",", i, i);
    }
    text_put(&text, SPAN("]}}"));
    body[text.len] = '\0';
    entry = answered(state, answer, body);
    assert_int_equal(entry.line_count, LINES_MAX);
    for (unsigned i = 0; i < LINES_MAX; i++) {
        sum += usage_total(&entry.lines[i].usage);
    }
    assert_int_equal(sum, 28 + 8);
    assert_true((entry.usage.flags & USAGE_TRUNCATED) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat_streams_are_counted),
        cmocka_unit_test(a_tool_that_is_told_twice_counts_once),
        cmocka_unit_test(odd_events_of_a_known_shape_are_read_alike),
        cmocka_unit_test(streams_without_usage_are_estimated),
        cmocka_unit_test(one_bad_event_spoils_no_other),
        cmocka_unit_test(the_last_usage_replaces),
        cmocka_unit_test(counts_so_far_are_partial),
        cmocka_unit_test(vendors_spell_usage_in_many_ways),
        cmocka_unit_test(reported_prices_are_kept),
        cmocka_unit_test(usage_in_content_does_not_count),
        cmocka_unit_test(every_terminal_event_counts),
        cmocka_unit_test(background_answers_wait),
        cmocka_unit_test(message_streams_merge_by_field),
        cmocka_unit_test(cut_messages_are_partial),
        cmocka_unit_test(a_usage_that_is_cut_is_not_reported),
        cmocka_unit_test(a_number_may_say_why_a_stream_ends),
        cmocka_unit_test(zeros_are_believed_beside_numbers),
        cmocka_unit_test(whole_messages_are_counted),
        cmocka_unit_test(errors_and_free_calls_have_no_usage),
        cmocka_unit_test(errors_in_place_of_an_answer_cost_nothing),
        cmocka_unit_test(errors_in_mid_answer_are_flagged),
        cmocka_unit_test(embeddings_are_input_only),
        cmocka_unit_test(the_framing_is_sniffed),
        cmocka_unit_test(texts_in_a_row_count_one_by_one),
        cmocka_unit_test(what_follows_a_text_spoils_it_not),
        cmocka_unit_test(unreadable_bodies_are_estimated),
        cmocka_unit_test(codings_that_are_none_do_not_matter),
        cmocka_unit_test(gzip_is_undone_also_unannounced),
        cmocka_unit_test(damaged_and_huge_codings_are_flagged),
        cmocka_unit_test(the_regular_end_is_seen),
        cmocka_unit_test(odd_replies_are_read_as_wanted),
        cmocka_unit_test(nothing_is_unused_later),
        cmocka_unit_test(details_alone_replace_nothing),
        cmocka_unit_test(zeros_alone_are_believed),
        cmocka_unit_test(a_total_alone_is_split),
        cmocka_unit_test(the_last_event_with_lines_counts),
        cmocka_unit_test(too_many_lines_are_summed),
    };

    return cmocka_run_group_tests(tests, pool_open, pool_close);
}
