#include "filters/watch.h"
#include "tests/support/vectors.h"
#include "tests/unit/watching.h"

#include <stdio.h>
#include <stdlib.h>

static const char chat[] = "/v1/chat/completions";

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

static struct asked ask_chat(void **state, const char *body)
{
    return ask(*state, chat, NULL, span_text(body), SIZE_MAX);
}

/* The bytes [begin, end) of a body. */
static void assert_bytes(const char *body, uint64_t begin, uint64_t end,
                         const char *want)
{
    assert_int_equal(end - begin, strlen(want));
    assert_memory_equal(body + begin, want, strlen(want));
}

static void facts_are_read(void **state)
{
    static const char body[] =
        " {\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}"
        ","
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"you\"}]}],"
        "\"stream\":true,\"stream_options\":{\"include_usage\":false},\"n\":3,"
        "\"max_tokens\":5,\"max_completion_tokens\":100000,\"tools\":[1,2],"
        "\"service_tier\":\"flex\",\"prompt_cache_key\":\"conversation-1\"}";
    struct asked asked = ask_chat(state, body);

    assert_int_equal(asked.fault, FAULT_NONE);
    assert_string_equal(asked.facts.model, "gpt-4o");
    assert_true(asked.facts.stream);
    assert_true(asked.facts.stream_said);
    assert_false(asked.facts.usage_asked);
    assert_int_equal(asked.facts.choices, 3);
    assert_int_equal(asked.facts.max_output, 100000);
    assert_string_equal(asked.facts.service_tier, "flex");
    assert_string_equal(asked.claims.session, "conversation-1");
    assert_int_equal(asked.text_bytes,
                     strlen("hello") + strlen("you") + strlen("[1,2]"));
    assert_int_equal(asked.facts.body_open, 2);
    assert_false(asked.facts.body_empty);
    assert_true(asked.facts.options_object);
    assert_false(asked.facts.options_empty);
    assert_bytes(body, asked.facts.options_begin, asked.facts.options_end,
                 "{\"include_usage\":false}");
    assert_bytes(body, asked.facts.include_begin, asked.facts.include_end, "false");
}

static void stream_options_have_many_forms(void **state)
{
    static const struct {
        const char *value;
        bool object, empty;
    } forms[] = {
        { "{}", true, true },          { "{ \n }", true, true },
        { "{\"a\":{}}", true, false }, { "null", false, false },
        { "[]", false, false },
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char body[96];
        struct asked asked;

        snprintf(body, sizeof(body), "{\"stream\":true,\"stream_options\": %s }",
                 forms[i].value);
        asked = ask(*state, chat, NULL, span_text(body), 1);
        assert_int_equal(asked.fault, FAULT_NONE);
        assert_bytes(body, asked.facts.options_begin, asked.facts.options_end,
                     forms[i].value);
        assert_int_equal(asked.facts.options_object, forms[i].object);
        assert_int_equal(asked.facts.options_empty, forms[i].empty);
    }
    assert_int_equal(ask_chat(state, "{\"model\":\"m\"}").facts.options_end, 0);
}

static void empty_bodies_are_seen(void **state)
{
    struct asked asked = ask_chat(state, "\r\n{ \t}");

    assert_int_equal(asked.fault, FAULT_NONE);
    assert_true(asked.facts.body_empty);
    assert_int_equal(asked.facts.body_open, 3);
}

static void decisions_come_early(void **state)
{
    static const struct {
        const char *path, *body;
        bool early;
    } rows[] = {
        { chat, "{\"stream\":false,", true },
        { chat, "{\"stream\":null,", true },
        { chat, "{\"stream\":true,", false },
        { chat, "{\"messages\":[],", false },
        { chat, "{\"stream_options\":{\"include_usage\":true},", false },
        { chat, "{\"stream_options\":{\"include_usage\":true},\"stream\":true", true },
        { chat, "{\"stream_options\":{\"include_usage\":false},\"stream\":true",
          false },
        { "/v1/messages", "{", true },
        { "/v1/responses", "{", true },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct asked asked =
            ask(*state, rows[i].path, NULL, span_text(rows[i].body), SIZE_MAX);

        assert_int_equal(asked.decided_early, rows[i].early);
    }
}

static void bodies_are_judged(void **state)
{
    static const struct {
        const char *body;
        enum fault fault;
    } rows[] = {
        { "{\"model\":\"m\"}", FAULT_NONE },
        { "{\"messages\":[{\"model\":1,\"stream\":1}],\"model\":\"m\"}", FAULT_NONE },
        { "{\"model\":\"m\"} \r\n\t", FAULT_NONE },
        { "[]", FAULT_BAD_BODY },
        { " \n[", FAULT_BAD_BODY },
        { "{\"model\":\"m\"", FAULT_BAD_BODY },
        { "{\"model\":\"m\"}x", FAULT_BAD_BODY },
        { "{\"model\":\"m\"}{}", FAULT_BAD_BODY },
        { "\xef\xbb\xbf{\"model\":\"m\"}", FAULT_BAD_BODY },
        { "{\"model\":null}", FAULT_NONE },
        { "{\"model\":\"m\",\"model\":null}", FAULT_DUPLICATE_KEY },
        { "{\"model\":7}", FAULT_BAD_BODY },
        { "{\"model\":{}}", FAULT_BAD_BODY },
        { "{\"model\":\"a\\u0000b\"}", FAULT_BAD_BODY },
        { "{\"model\":\"a\\nb\"}", FAULT_BAD_BODY },
        { "{\"model\":\"a\",\"model\":\"b\"}", FAULT_DUPLICATE_KEY },
        { "{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", FAULT_DUPLICATE_KEY },
        { "{\"stream\":false,\"stream\":true}", FAULT_DUPLICATE_KEY },
        { "{\"n\":1,\"n\":1}", FAULT_DUPLICATE_KEY },
        { "{\"max_tokens\":1,\"max_tokens\":2}", FAULT_DUPLICATE_KEY },
        { "{\"stream_options\":{},\"stream_options\":{}}", FAULT_DUPLICATE_KEY },
        { "{\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
          FAULT_DUPLICATE_KEY },
        { "{\"user\":\"a\",\"user\":\"b\",\"max_tokens\":1,\"max_completion_tokens\":"
          "2}",
          FAULT_NONE },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span body = span_text(rows[i].body);

        assert_int_equal(ask(*state, chat, NULL, body, SIZE_MAX).fault, rows[i].fault);
        assert_int_equal(ask(*state, chat, NULL, body, 1).fault, rows[i].fault);
    }
}

static void limits_are_clamped(void **state)
{
    static const struct {
        const char *number;
        uint64_t limit;
    } rows[] = {
        { "5", 5 },
        { "1e9", 1000000000 },
        { "9223372036854775807", INT64_MAX },
        { "9223372036854775808", INT64_MAX },
        { "1e400", INT64_MAX },
        { "12.5", INT64_MAX },
        { "-1", 0 },
        { "null", 0 },
        { "\"5\"", 0 },
        { "true", 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[64];
        struct asked asked;

        snprintf(body, sizeof(body), "{\"max_tokens\":%s,\"n\":%s}", rows[i].number,
                 rows[i].number);
        asked = ask_chat(state, body);
        assert_int_equal(asked.fault, FAULT_NONE);
        assert_true(asked.facts.max_output == rows[i].limit);
        assert_true(asked.facts.choices == rows[i].limit);
    }
}

static void long_models_are_cut(void **state)
{
    char body[400] = "{\"model\":\"";
    struct asked asked;

    memset(body + strlen(body), 'm', 300);
    strcat(body, "\"}");
    asked = ask_chat(state, body);
    assert_int_equal(asked.fault, FAULT_NONE);
    assert_true(asked.facts.model_cut);
    assert_int_equal(strlen(asked.facts.model), sizeof(asked.facts.model) - 1);
    assert_false(ask_chat(state, "{\"model\":\"m\"}").facts.model_cut);
}

static void sessions_are_claimed_by_bodies(void **state)
{
    static const char user[] =
        "{\"model\":\"m\",\"metadata\":{\"user_id\":\"{\\\"device_id\\\":"
        "\\\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\\\","
        "\\\"account_uuid\\\":\\\"01234567-89ab-cdef-0123-456789abcdef\\\","
        "\\\"session_id\\\":\\\"fedcba98-89ab-cdef-0123-456789abcdef\\\"}\"}}";

    for (size_t size = 1; size < sizeof(user); size += 7) {
        struct asked asked = ask(*state, "/v1/messages", NULL, span_text(user), size);

        assert_string_equal(asked.claims.session,
                            "fedcba98-89ab-cdef-0123-456789abcdef");
    }
}

/* {"model":"m","stream":true} by gzip -n. */
static const char zipped[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\xcd"
                             "\x4f\x49\xcd\x51\xb2\x52\xca"
                             "\x55\xd2\x51\x2a\x2e\x29\x4a\x4d\xcc\x55\xb2\x2a\x29\x2a"
                             "\x4d\xad\x05\x00\x13\x96\xcf"
                             "\x9c\x1b\x00\x00\x00";

struct copy {
    char bytes[64];
    size_t len;
};

static void copy_piece(void *self, struct span piece)
{
    struct copy *copy = self;

    assert_true(piece.len <= sizeof(copy->bytes) - copy->len);
    memcpy(copy->bytes + copy->len, piece.at, piece.len);
    copy->len += piece.len;
}

static void codings_are_undone(void **state)
{
    struct span body = span_of(zipped, sizeof(zipped) - 1);
    struct asked asked = ask(*state, chat, "gzip", body, 3);

    assert_int_equal(asked.fault, FAULT_NONE);
    assert_string_equal(asked.facts.model, "m");
    assert_true(asked.facts.stream);
    assert_int_equal(ask(*state, chat, "identity", SPAN("{}"), 1).fault, FAULT_NONE);
    assert_int_equal(ask(*state, chat, "compress", body, 1).fault, FAULT_CODING);
    assert_int_equal(ask(*state, chat, "gzip", SPAN("{}"), 1).fault, FAULT_BAD_BODY);
    body.len -= 9;
    assert_int_equal(ask(*state, chat, "gzip", body, 1).fault, FAULT_BAD_BODY);
}

static void the_decoded_copy_is_handed_out(void **state)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim_path(chat, &route);
    struct head head = { .minor = 1 };
    struct copy copy = { .len = 0 };
    struct facts facts;
    struct claims claims = { .retry = 0 };
    struct request_watch *watch;

    head_add(&head, "Content-Encoding", "gzip");
    watch = request_watch_open(*state, dialect, route, &head, &facts, &claims);
    assert_true(request_watch_encoded(watch));
    request_watch_on_decoded(watch, copy_piece, &copy);
    assert_int_equal(request_watch_data(watch, span_of(zipped, sizeof(zipped) - 1)),
                     FAULT_NONE);
    assert_int_equal(request_watch_end(watch), FAULT_NONE);
    assert_true(span_equal(span_of(copy.bytes, copy.len),
                           SPAN("{\"model\":\"m\",\"stream\":true}")));
    request_watch_close(watch);
}

static void bombs_are_refused(void **state)
{
    struct watch_pool *small =
        watch_pool_new((struct decode_limits){ .bytes = 16, .ratio = 200 });

    (void)state;
    assert_int_equal(ask(small, chat, "gzip", span_of(zipped, sizeof(zipped) - 1), 5)
                         .fault,
                     FAULT_BODY_TOO_LARGE);
    watch_pool_free(small);
}

/* Every split gives the same facts. */
static void splits_do_not_matter(void **state)
{
    static const char body[] =
        "\n{ \"mod\\u0065l\":\"gpt\\ud83d\\ude00\",\"stream\" : true , "
        "\"stream_options\":\n"
        "{ \"include_usage\": true},\"n\":12,\"max_tokens\":1e3,"
        "\"messages\":[{\"content\":\"h\\u00e9llo\"}],\"prompt_cache_key\":\"k\"} ";
    struct asked whole = ask_chat(state, body);

    assert_int_equal(whole.fault, FAULT_NONE);
    assert_string_equal(whole.facts.model, "gpt\xf0\x9f\x98\x80");
    for (size_t size = 1; size < sizeof(body); size++) {
        struct asked split = ask(*state, chat, NULL, span_text(body), size);

        assert_memory_equal(&whole.facts, &split.facts, sizeof(whole.facts));
        assert_memory_equal(&whole.claims, &split.claims, sizeof(whole.claims));
        assert_int_equal(split.fault, FAULT_NONE);
        assert_int_equal(split.text_bytes, whole.text_bytes);
    }
}

static void bodies_that_nobody_reads_pass(void **state)
{
    static const char *const families[] = { "openai", NULL };
    const struct dialect_route *route;
    const struct dialect *dialect =
        registry_claim(families, METHOD_GET, SPAN("/v1/models"), &route);
    struct head head = { .minor = 1 };
    struct facts facts;
    struct claims claims = { .retry = 0 };
    struct request_watch *watch;

    watch = request_watch_open(*state, dialect, route, &head, &facts, &claims);
    assert_true(request_watch_decided(watch));
    assert_int_equal(request_watch_data(watch, SPAN("not json")), FAULT_NONE);
    assert_int_equal(request_watch_end(watch), FAULT_NONE);
    request_watch_close(watch);
}

static enum fault verdict(struct watch_pool *pool, const struct head *head,
                          const char *body)
{
    const struct dialect_route *route = NULL;
    const struct dialect *dialect = claim_path(chat, &route);
    struct facts facts;
    struct claims claims = { .retry = 0 };
    struct request_watch *watch =
        request_watch_open(pool, dialect, route, head, &facts, &claims);
    enum fault fault = request_watch_data(watch, span_text(body));

    if (fault == FAULT_NONE) {
        fault = request_watch_end(watch);
    }
    request_watch_close(watch);
    return fault;
}

/* What is no JSON by its first byte is the provider's to judge, unless it
 * claims to be. */
static void other_bodies_pass_unread(void **state)
{
    static const char *const bodies[] = {
        "",           " ",         "hello",
        "0123456789", "\"model\"", "--b\r\nContent-Disposition: form-data"
    };
    struct head plain = { .minor = 1 }, declared = { .minor = 1 };

    head_add(&declared, "Content-Type", "application/json; charset=utf-8");
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        bool blank = i < 2;

        assert_int_equal(verdict(*state, &plain, bodies[i]), FAULT_NONE);
        assert_int_equal(verdict(*state, &declared, bodies[i]),
                         blank ? FAULT_NONE : FAULT_BAD_BODY);
    }
}

/* ---- ../shared/vectors/own-quota ------------------------------------------------- */

static enum fault wanted_fault(const cJSON *vector)
{
    static const char *const malformed[] = { "array", "trailing", "nan",
                                             "jsonl-batch" };
    static const char *const doubled[] = { "model-esc", "model-long", "model-alias" };
    const char *id = vectors_string(vector, "id");

    if (strcmp(id, "model-null") == 0) {
        return FAULT_BAD_BODY;
    }
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        if (strcmp(id, malformed[i]) == 0) {
            return FAULT_BAD_BODY;
        }
    }
    for (size_t i = 0; i < sizeof(doubled) / sizeof(doubled[0]); i++) {
        if (strcmp(id, doubled[i]) == 0) {
            return FAULT_DUPLICATE_KEY;
        }
    }
    return FAULT_NONE;
}

static void quota_bodies_are_judged(void **state)
{
    struct vectors vectors;
    const cJSON *vector;
    size_t count = 0;

    if (!vectors_open(&vectors, "own-quota/bodies.jsonl")) {
        print_message("# ../shared/vectors is absent\n");
        skip();
    }
    while ((vector = vectors_next(&vectors)) != NULL) {
        struct span body = span_text(vectors_string(vector, "body"));
        enum fault fault;

        if (strcmp(vectors_string(vector, "path"), chat) != 0) {
            continue; /* not claimed by these dialects: denied */
        }
        fault = ask(*state, chat, NULL, body, 1000).fault;
        /* model-null: the key stands twice, which is found first */
        if (strcmp(vectors_string(vector, "id"), "model-null") == 0) {
            assert_int_equal(fault_row(fault)->status, 400);
        } else {
            assert_int_equal(fault, wanted_fault(vector));
        }
        count++;
    }
    vectors_close(&vectors);
    assert_int_equal(count, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_read),
        cmocka_unit_test(stream_options_have_many_forms),
        cmocka_unit_test(empty_bodies_are_seen),
        cmocka_unit_test(decisions_come_early),
        cmocka_unit_test(bodies_are_judged),
        cmocka_unit_test(limits_are_clamped),
        cmocka_unit_test(long_models_are_cut),
        cmocka_unit_test(sessions_are_claimed_by_bodies),
        cmocka_unit_test(codings_are_undone),
        cmocka_unit_test(the_decoded_copy_is_handed_out),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(splits_do_not_matter),
        cmocka_unit_test(bodies_that_nobody_reads_pass),
        cmocka_unit_test(other_bodies_pass_unread),
        cmocka_unit_test(quota_bodies_are_judged),
    };

    return cmocka_run_group_tests(tests, pool_open, pool_close);
}
