#include "filters/watch.h"
#include "tests/support/line_room.h"
#include "tests/unit/watching.h"

#include <stdlib.h>

/* Watches over a WebSocket: a client's messages, a provider's events, each in every
 * split. */

static int pool_open(void **state)
{
    *state = watch_pool_new(watch_limits);
    return *state == NULL ? -1 : 0;
}

static int pool_close(void **state)
{
    *state = watch_pool_free(*state);
    return 0;
}

static const struct dialect *dialect_of(const char *path,
                                        const struct dialect_route **route)
{
    static const char *const families[] = { "openai", NULL };
    const struct dialect *dialect =
        registry_claim(families, METHOD_GET, span_text(path), route);

    assert_non_null(dialect);
    assert_true(((*route)->flags & ROUTE_WEBSOCKET) != 0);
    return dialect;
}

/* ---- messages -------------------------------------------------------------------- */

struct said {
    enum fault fault;
    struct message_facts message;
    struct facts facts;
    uint64_t text_bytes;
};

static struct said say(struct watch_pool *pool, const char *path, const char *text,
                       size_t size)
{
    const struct dialect_route *route;
    const struct dialect *dialect = dialect_of(path, &route);
    struct claims claims = { .tool = "" };
    struct said said = { .fault = FAULT_NONE };
    struct request_watch *watch =
        request_watch_open_message(pool, dialect, route, &said.facts, &claims,
                                   &said.message);

    assert_non_null(watch);
    for (struct span rest = span_text(text);
         rest.len > 0 && said.fault == FAULT_NONE;) {
        struct span piece = span_of(rest.at, size < rest.len ? size : rest.len);

        said.fault = request_watch_data(watch, piece);
        rest = span_after(rest, piece.len);
    }
    if (said.fault == FAULT_NONE) {
        said.fault = request_watch_end(watch);
    }
    said.text_bytes = request_watch_text_bytes(watch);
    request_watch_close(watch);
    return said;
}

static void requests_are_read(void **state)
{
    static const char text[] =
        "{\"model\":\"gpt-5\",\"input\":\"hello\",\"max_output_tokens\":7,"
        "\"metadata\":{\"type\":\"x\",\"stream_id\":\"y\"},"
        "\"stream_id\":\"lane-1\",\"type\":\"response.create\"}";

    for (size_t size = 1; size <= sizeof text; size++) {
        struct said said = say(*state, "/v1/responses", text, size);

        assert_int_equal(said.fault, FAULT_NONE);
        assert_string_equal(said.message.type, "response.create");
        assert_string_equal(said.message.lane, "lane-1");
        assert_string_equal(said.facts.model, "gpt-5");
        assert_int_equal(said.facts.max_output, 7);
        assert_int_equal(said.text_bytes, strlen("hello"));
    }
}

static void realtime_requests_are_read(void **state)
{
    struct said said =
        say(*state, "/v1/realtime",
            "{\"type\":\"response.create\",\"response\":{\"max_output_tokens\":9,"
            "\"instructions\":\"be brief\"}}",
            SIZE_MAX);

    assert_int_equal(said.fault, FAULT_NONE);
    assert_string_equal(said.message.type, "response.create");
    assert_int_equal(said.facts.max_output, 9);
    assert_int_equal(said.text_bytes, strlen("be brief"));
}

static void messages_are_judged(void **state)
{
    static const struct {
        const char *text;
        enum fault fault;
    } rows[] = {
        { "", FAULT_BAD_BODY },
        { "  ", FAULT_BAD_BODY },
        { "hello", FAULT_BAD_BODY },
        { "[1]", FAULT_BAD_BODY },
        { "{\"type\":\"a\"", FAULT_BAD_BODY },
        { "{\"type\":\"a\"} {}", FAULT_BAD_BODY },
        { "{\"type\":1}", FAULT_BAD_BODY },
        { "{\"type\":null}", FAULT_BAD_BODY },
        { "{\"type\":\"\xff\"}", FAULT_BAD_BODY },
        { "{\"type\":\"a\",\"type\":\"response.create\"}", FAULT_DUPLICATE_KEY },
        { "{\"type\":\"a\",\"t\\u0079pe\":\"response.create\"}", FAULT_DUPLICATE_KEY },
        { "{\"stream_id\":\"a\",\"stream_id\":\"b\"}", FAULT_DUPLICATE_KEY },
        { "{\"model\":\"a\",\"model\":\"b\"}", FAULT_DUPLICATE_KEY },
        { "{\"model\":7}", FAULT_BAD_BODY },
        { "{}", FAULT_NONE },
        { " {\"type\":\"session.update\",\"stream_id\":null} ", FAULT_NONE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t size = 1; size <= strlen(rows[i].text) + 1; size++) {
            assert_int_equal(say(*state, "/v1/responses", rows[i].text, size).fault,
                             rows[i].fault);
        }
    }
}

/* ---- events ---------------------------------------------------------------------- */

/* Events one after the other, and what they come to for the response
 * that takes them. */
struct heard {
    struct response_watch *events, *response;
    struct event event;
    const struct dialect *dialect;
};

static struct heard hear_begin(struct watch_pool *pool, const char *path)
{
    const struct dialect_route *route;
    struct heard heard = { .dialect = dialect_of(path, &route) };

    heard.response = response_watch_open_response(pool, heard.dialect);
    assert_non_null(heard.response);
    return heard;
}

static void hear(struct heard *heard, struct watch_pool *pool, const char *text,
                 size_t size)
{
    struct span rest = span_text(text);

    if (heard->events == NULL) {
        heard->events = response_watch_open_events(pool, heard->dialect, &heard->event);
        assert_non_null(heard->events);
    }
    while (rest.len > 0) {
        struct span piece = span_of(rest.at, size < rest.len ? size : rest.len);

        response_watch_event_data(heard->events, piece);
        rest = span_after(rest, piece.len);
    }
    response_watch_event_end(heard->events);
}

static struct entry settle_heard(struct heard *heard, bool whole)
{
    const struct facts facts = { .model = "gpt-5" };
    struct entry entry = { .id = 1, .lines = line_room() };

    response_watch_settle(heard->response, whole, &facts, 40, &entry);
    response_watch_close(heard->response);
    if (heard->events != NULL) {
        response_watch_close(heard->events);
    }
    return entry;
}

static const char created[] = "{\"type\":\"response.created\",\"response\":{\"id\":"
                              "\"resp_1\",\"model\":\"gpt-5-2\",\"usage\":null},"
                              "\"stream_id\":\"a\"}";
static const char delta[] =
    "{\"type\":\"response.output_text.delta\",\"delta\":\"hello\","
    "\"stream_id\":\"a\"}";
static const char completed[] =
    "{\"type\":\"response.completed\",\"stream_id\":\"a\",\"response\":{\"id\":"
    "\"resp_1\",\"service_tier\":\"default\",\"usage\":{\"input_tokens\":30,"
    "\"input_tokens_details\":{\"cached_tokens\":10},\"output_tokens\":5,"
    "\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":35}}}";

static void events_tell_whose_they_are(void **state)
{
    for (size_t size = 1; size <= sizeof completed; size++) {
        struct heard heard = hear_begin(*state, "/v1/responses");

        hear(&heard, *state, created, size);
        assert_int_equal(heard.event.kind, EVENT_CREATED);
        assert_string_equal(heard.event.id, "resp_1");
        assert_string_equal(heard.event.lane, "a");
        hear(&heard, *state, delta, size);
        assert_int_equal(heard.event.kind, EVENT_PART);
        assert_string_equal(heard.event.id, "");
        assert_string_equal(heard.event.lane, "a");
        hear(&heard, *state, completed, size);
        assert_int_equal(heard.event.kind, EVENT_TERMINAL);
        (void)settle_heard(&heard, true);
    }
}

static void a_response_takes_its_events_only(void **state)
{
    for (size_t size = 1; size <= sizeof completed; size++) {
        struct heard heard = hear_begin(*state, "/v1/responses");
        struct entry entry;

        hear(&heard, *state, created, size);
        response_watch_absorb(heard.response, heard.events);
        hear(&heard, *state, delta, size);
        response_watch_absorb(heard.response, heard.events);
        /* another response's: not taken */
        hear(&heard, *state,
             "{\"type\":\"response.completed\",\"response\":{\"usage\":{"
             "\"input_tokens\":999,\"output_tokens\":999,\"total_tokens\":1998}}}",
             size);
        hear(&heard, *state, completed, size);
        response_watch_absorb(heard.response, heard.events);
        entry = settle_heard(&heard, true);
        assert_int_equal(entry.usage.source, USAGE_REPORTED);
        assert_int_equal(entry.usage.tokens[TOKENS_INPUT], 20);
        assert_int_equal(entry.usage.tokens[TOKENS_CACHE_READ], 10);
        assert_int_equal(entry.usage.tokens[TOKENS_OUTPUT], 3);
        assert_int_equal(entry.usage.tokens[TOKENS_REASONING], 2);
        assert_string_equal(entry.response_model, "gpt-5-2");
        assert_string_equal(entry.service_tier, "default");
        assert_int_equal(entry.events, 3);
        assert_true(entry.stream);
        assert_int_equal(entry.usage.flags, 0);
    }
}

static void a_cut_response_is_estimated(void **state)
{
    struct heard heard = hear_begin(*state, "/v1/responses");
    struct entry entry;

    for (int i = 0; i < 100; i++) {
        hear(&heard, *state, delta, SIZE_MAX);
        response_watch_absorb(heard.response, heard.events);
    }
    entry = settle_heard(&heard, false);
    assert_int_equal(entry.usage.source, USAGE_ESTIMATED);
    assert_in_range(entry.usage.tokens[TOKENS_OUTPUT], 80, 200);
    assert_in_range(entry.usage.tokens[TOKENS_INPUT], 5, 20);
}

static void an_error_costs_nothing(void **state)
{
    struct heard heard = hear_begin(*state, "/v1/responses");
    struct entry entry;

    hear(&heard, *state,
         "{\"type\":\"error\",\"status\":429,\"error\":{\"code\":\"x\"}}", 3);
    assert_int_equal(heard.event.kind, EVENT_ERROR);
    assert_int_equal(heard.event.status, 429);
    response_watch_absorb(heard.response, heard.events);
    entry = settle_heard(&heard, true);
    assert_int_equal(entry.usage.source, USAGE_NONE);
}

static void one_bad_event_spoils_no_other(void **state)
{
    struct heard heard = hear_begin(*state, "/v1/responses");
    struct entry entry;

    hear(&heard, *state, "{\"type\":\"response.output_text.delta\",", 5);
    response_watch_absorb(heard.response, heard.events);
    hear(&heard, *state, "", 1);
    assert_int_equal(heard.event.kind, EVENT_NONE);
    hear(&heard, *state, completed, 5);
    response_watch_absorb(heard.response, heard.events);
    entry = settle_heard(&heard, true);
    assert_int_equal(entry.usage.flags, USAGE_FRAMING_ERROR);
    assert_int_equal(entry.usage.source, USAGE_REPORTED);
    assert_int_equal(entry.usage.tokens[TOKENS_INPUT], 20);
}

static void realtime_events_are_read(void **state)
{
    struct heard heard = hear_begin(*state, "/v1/realtime");
    struct entry entry;

    hear(&heard, *state,
         "{\"type\":\"session.created\",\"session\":{\"model\":\"gpt-realtime\","
         "\"audio\":{\"input\":{\"transcription\":{\"model\":\"whisper-1\"}}}}}",
         7);
    assert_int_equal(heard.event.kind, EVENT_NONE);
    assert_string_equal(heard.event.session_model, "gpt-realtime");
    assert_string_equal(heard.event.transcriber_model, "whisper-1");
    hear(&heard, *state,
         "{\"type\":\"response.output_audio.delta\",\"response_id\":\"resp_2\","
         "\"delta\":\"AAAA\"}",
         7);
    assert_int_equal(heard.event.kind, EVENT_AUDIO);
    assert_string_equal(heard.event.id, "resp_2");
    hear(&heard, *state,
         "{\"type\":\"conversation.item.input_audio_transcription.completed\","
         "\"usage\":{\"type\":\"tokens\",\"input_tokens\":9,\"output_tokens\":3,"
         "\"total_tokens\":12}}",
         7);
    assert_int_equal(heard.event.kind, EVENT_TRANSCRIBED);
    hear(&heard, *state,
         "{\"type\":\"response.done\",\"response\":{\"id\":\"resp_2\",\"usage\":{"
         "\"total_tokens\":130,\"input_tokens\":100,\"output_tokens\":30,"
         "\"input_token_details\":{\"cached_tokens\":40,\"text_tokens\":70,"
         "\"audio_tokens\":30},\"output_token_details\":{\"text_tokens\":10,"
         "\"audio_tokens\":20}}}}",
         7);
    assert_int_equal(heard.event.kind, EVENT_TERMINAL);
    response_watch_absorb(heard.response, heard.events);
    entry = settle_heard(&heard, true);
    assert_int_equal(entry.usage.source, USAGE_REPORTED);
    assert_int_equal(entry.usage.tokens[TOKENS_INPUT], 60);
    assert_int_equal(entry.usage.tokens[TOKENS_CACHE_READ], 40);
    assert_int_equal(entry.usage.tokens[TOKENS_OUTPUT], 30);
    assert_int_equal(entry.usage.modality[MODALITY_OUTPUT_AUDIO], 20);
    assert_int_equal(entry.usage.modality[MODALITY_INPUT_AUDIO], 30);
}

static void what_is_heard_may_be_told_by_its_length(void **state)
{
    struct heard heard = hear_begin(*state, "/v1/realtime");
    struct entry entry;

    hear(&heard, *state,
         "{\"type\":\"conversation.item.input_audio_transcription.completed\","
         "\"usage\":{\"type\":\"duration\",\"seconds\":2.5}}",
         7);
    assert_int_equal(heard.event.kind, EVENT_TRANSCRIBED);
    response_watch_absorb(heard.response, heard.events);
    entry = settle_heard(&heard, true);
    assert_int_equal(entry.usage.audio_ms, 2500);
}

static void audio_is_no_text(void **state)
{
    struct heard heard = hear_begin(*state, "/v1/realtime");
    struct entry entry;

    for (int i = 0; i < 100; i++) {
        hear(&heard, *state,
             "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\","
             "\"delta\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
             SIZE_MAX);
        response_watch_absorb(heard.response, heard.events);
    }
    entry = settle_heard(&heard, false);
    assert_false(usage_knows(&entry.usage, TOKENS_OUTPUT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(realtime_requests_are_read),
        cmocka_unit_test(messages_are_judged),
        cmocka_unit_test(events_tell_whose_they_are),
        cmocka_unit_test(a_response_takes_its_events_only),
        cmocka_unit_test(a_cut_response_is_estimated),
        cmocka_unit_test(an_error_costs_nothing),
        cmocka_unit_test(one_bad_event_spoils_no_other),
        cmocka_unit_test(realtime_events_are_read),
        cmocka_unit_test(what_is_heard_may_be_told_by_its_length),
        cmocka_unit_test(audio_is_no_text),
    };

    return cmocka_run_group_tests(tests, pool_open, pool_close);
}
