#include "proxy/base/clock.h"
#include "proxy/base/fault.h"
#include "proxy/meter/entry.h"
#include "tests/support/line_room.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_id_text(void **state)
{
    static const uint64_t ids[] = { 0,         1,         31, 32, UINT64_C(1) << 40,
                                    INT64_MAX, UINT64_MAX };
    char text[ENTRY_ID_SIZE], last[ENTRY_ID_SIZE] = "";

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uint64_t id = 7;

        entry_id_text(ids[i], text);
        assert_int_equal(strlen(text), ENTRY_ID_SIZE - 1);
        assert_true(strcmp(text, last) > 0);
        assert_true(entry_id_parse(span_text(text), &id));
        assert_true(id == ids[i]);
        memcpy(last, text, sizeof last);
    }
}

static void test_id_parse_is_strict(void **state)
{
    static const char *const texts[] = {
        "",
        "ax-",
        "ax-000000000000",   /* short */
        "ax-00000000000000", /* long */
        "bx-0000000000000",
        "ax-000000000000I",
        "ax-000000000000l",
        "ax-00000000000A0",
        "ax-g000000000000", /* beyond 64 bits */
    };
    uint64_t id;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(entry_id_parse(span_text(texts[i]), &id));
    }
    assert_false(entry_id_parse(span_of("ax-000000000000\0", 16), &id));
}

static void test_id_time(void **state)
{
    const uint64_t time = UINT64_C(1772600767089) * NS_PER_MS;
    uint64_t id = entry_id_at(time + 999999), next;

    (void)state;
    assert_true(entry_id_time(id) == time);
    assert_int_equal(entry_id_at(0), 0);
    assert_true(entry_id_at(UINT64_MAX) >> 63 == 0);
    next = entry_id_next(id, time, 3);
    assert_true(entry_id_time(next) == time);
    assert_true(entry_id_next(next, 0, 3) == next + 1);
    /* another worker's id, and a sequence that is used up: the next millisecond */
    assert_true(entry_id_time(entry_id_next(next, 0, 2)) == time + NS_PER_MS);
    next |= (1U << ENTRY_ID_SEQUENCE_BITS) - 1;
    assert_true(entry_id_time(entry_id_next(next, time, 3)) == time + NS_PER_MS);
}

static const char *json_of(const struct entry *entry)
{
    static char memory[ENTRY_JSON_MAX];
    struct text text = text_over(memory, sizeof memory - 1);

    entry_json(entry, &text);
    assert_false(text.full);
    memory[text.len] = '\0';
    return memory;
}

#define STORE(field, text) text_store(entry.field, sizeof entry.field, SPAN(text))

static void test_json(void **state)
{
    struct entry entry = { .usage.reported_nanousd = -1 };

    (void)state;
    entry.id = entry_id_at(UINT64_C(1772600767089) * NS_PER_MS);
    entry.started_ns = UINT64_C(1772600767088123456);
    entry.duration_us = 1234560;
    entry.ttfb_us = 1000;
    entry.request_bytes = 12;
    entry.response_bytes = 34;
    entry.status = 200;
    entry.stream = 1;
    entry.priced = 1;
    entry.cost_nanousd = 42;
    entry.usage.source = USAGE_PARTIAL;
    entry.usage.flags = USAGE_ANOMALY | USAGE_TRUNCATED;
    usage_set(&entry.usage, TOKENS_INPUT, 0);
    usage_set(&entry.usage, TOKENS_CACHE_WRITE, 9);
    entry.usage.known_lifetimes = 1 << LIFETIME_1H;
    entry.usage.cache_write[LIFETIME_1H] = 9;
    entry.usage.known_modalities =
        1 << MODALITY_INPUT_TEXT | 1 << MODALITY_OUTPUT_AUDIO;
    entry.usage.modality[MODALITY_INPUT_TEXT] = 5;
    STORE(team, "red");
    STORE(caller, "a\"b\n");
    STORE(provider, "openai");
    STORE(request_model, "gpt-4o");
    STORE(tags, "ci,,a\"b,");
    entry.service = 1;
    entry.grade = GRADE_DECLARED;
    entry.turn = TURN_CLASS_TOOL;
    entry.input_text_bytes = 7;
    entry.local_output = 3;
    assert_string_equal(
        json_of(&entry),
        "{\"id\":\"ax-07z9tsye40000\",\"time\":\"2026-03-04T05:06:07.088Z\","
        "\"team\":\"red\",\"caller\":\"a\\\"b\\n\",\"key\":null,\"tool\":null,"
        "\"mode\":null,\"session\":null,\"provider\":\"openai\",\"dialect\":null,"
        "\"operation\":null,\"request_model\":\"gpt-4o\",\"response_model\":null,"
        "\"stream\":true,\"status\":200,\"outcome\":\"complete\","
        "\"usage_source\":\"partial\",\"tokens\":{\"input\":0,\"cache_read\":null,"
        "\"cache_write\":9,\"output\":null,\"reasoning\":null,\"cache_write_1h\":9},"
        "\"modality\":{\"input_text\":5,\"output_audio\":0},\"cost_nanousd\":42,"
        "\"priced\":true,\"duration_ms\":1234.56,\"ttfb_ms\":1,\"request_bytes\":12,"
        "\"response_bytes\":34,\"tool_version\":null,\"agent\":null,\"retry\":0,"
        "\"fault\":null,\"service_tier\":null,\"events\":0,\"free\":false,"
        "\"drained\":false,\"flags\":[\"anomaly\",\"truncated\"],\"ttft_ms\":null,"
        "\"overhead_ms\":null,\"max_output\":null,\"reserved_input\":null,"
        "\"reserved_output\":null,\"web_searches\":0,"
        "\"reported_nanousd\":null,\"tags\":[\"ci\",\"a\\\"b\"],\"service\":true,"
        "\"grade\":\"declared\",\"turn\":\"tool\",\"input_text_bytes\":7,"
        "\"output_text_bytes\":null,\"local_input\":null,\"local_output\":3,"
        "\"audio_ms\":null,\"billed_input\":null,\"billed_output\":null,"
        "\"lines\":[]}");
}

static void test_lines(void **state)
{
    struct entry entry = {
        .priced = 1, .cost_nanousd = 40, .line_count = 2, .lines = line_room()
    };
    struct usage own;

    (void)state;
    usage_set(&entry.usage, TOKENS_INPUT, 10);
    usage_set(&entry.usage, TOKENS_OUTPUT, 100);
    entry.lines[0] = (struct line){
        .kind = LINE_SUB_MODEL, .within = 1, .priced = 1, .cost_nanousd = 2
    };
    usage_set(&entry.lines[0].usage, TOKENS_OUTPUT, 60);
    entry.lines[1] = (struct line){ .kind = LINE_ADVISOR };
    usage_set(&entry.lines[1].usage, TOKENS_INPUT, 5);
    usage_set(&entry.lines[1].usage, TOKENS_REASONING, UINT64_MAX);
    STORE(lines[1].model, "opus");
    assert_int_equal(entry_input(&entry), 15);
    assert_true(entry_output(&entry) == UINT64_MAX);
    assert_int_equal(entry_cost(&entry), 42);
    assert_false(entry_priced(&entry));
    own = entry_own_usage(&entry);
    assert_int_equal(own.tokens[TOKENS_INPUT], 10);
    assert_int_equal(own.tokens[TOKENS_OUTPUT], 40);
    assert_non_null(strstr(json_of(&entry), "\"cost_nanousd\":42,\"priced\":false,"));
    assert_non_null(
        strstr(json_of(&entry),
               "\"lines\":[{\"kind\":\"sub_model\",\"model\":null,\"within\":true,"
               "\"tokens\":{\"input\":null,\"cache_read\":null,\"cache_write\":null,"
               "\"output\":60,\"reasoning\":null},\"modality\":{},\"cost_nanousd\":2,"
               "\"priced\":true},{\"kind\":\"advisor\",\"model\":\"opus\","));
}

static void test_json_unpriced(void **state)
{
    struct entry entry = { .outcome = OUTCOME_REFUSED, .fault = FAULT_NO_ROUTE };
    cJSON *json = cJSON_Parse(json_of(&entry));

    (void)state;
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "cost_nanousd")));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "priced")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "ttfb_ms")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "status")));
    assert_string_equal(cJSON_GetObjectItem(json, "fault")->valuestring,
                        fault_row(FAULT_NO_ROUTE)->name);
    assert_string_equal(cJSON_GetObjectItem(json, "time")->valuestring,
                        "1970-01-01T00:00:00.000Z");
    cJSON_Delete(json);
}

/* Any bytes at all, made legal, are one line of JSON that fits. */
static void test_json_of_anything(void **state)
{
    struct line lines[LINES_MAX];
    struct entry entry;

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        cJSON *json;

        memset(&entry, byte, sizeof entry);
        entry.lines = lines;
        memset(lines, byte, sizeof lines);
        entry_make_legal(&entry);
        json = cJSON_Parse(json_of(&entry));
        assert_non_null(json);
        assert_null(strchr(json_of(&entry), '\n'));
        cJSON_Delete(json);
    }
}

static void assert_date(uint64_t unix_s, const char *wanted)
{
    struct entry entry = { .started_ns = unix_s * NS_PER_S };

    assert_non_null(strstr(json_of(&entry), wanted));
}

static void test_dates(void **state)
{
    (void)state;
    assert_date(951782399, "2000-02-28T23:59:59.000Z");
    assert_date(951782400, "2000-02-29T00:00:00.000Z");
    assert_date(951868800, "2000-03-01T00:00:00.000Z");
    assert_date(1735689599, "2024-12-31T23:59:59.000Z");
    assert_date(1735689600, "2025-01-01T00:00:00.000Z");
    assert_date(4107542400, "2100-03-01T00:00:00.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_text),       cmocka_unit_test(test_id_parse_is_strict),
        cmocka_unit_test(test_id_time),       cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_unpriced), cmocka_unit_test(test_json_of_anything),
        cmocka_unit_test(test_dates),         cmocka_unit_test(test_lines),
    };

    return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
