#include "filters/turn/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD "\"identity\":\"a\",\"session\":\"s\",\"kind\":\"cont\""

static struct record_reader *reader;
static struct record record;

static int make_reader(void **unused)
{
    (void)unused;
    reader = record_reader_new(1);
    return 0;
}

static int free_reader(void **unused)
{
    (void)unused;
    reader = record_reader_free(reader);
    return 0;
}

static const char *read_line(const char *line)
{
    return record_read(reader, span_text(line), &record);
}

static void a_turn_is_read_to_the_last_bit(void **unused)
{
    (void)unused;
    assert_null(read_line(
        "{\"ts\":1759450460.168,\"end\":1759450466.0914,\"identity\":\"p-1\",\"fam\":"
        "\"x\","
        "\"session\":\"bb42\",\"kind\":\"turn\",\"model\":null,\"agent\":\"api\","
        "\"input_tokens\":24063,\"output_tokens\":null,\"text\":{\"h\":"
        "\"52667132d1234733\","
        "\"tmpl\":\"e13370928664f25a\",\"sim\":\"83a194d8c609a5fb\",\"len\":237,"
        "\"bk\":[521438532866605177,18446744073709551615],\"hs\":[4294967295,2],"
        "\"bow\":null},\"out_sk\":[645249912],\"retry\":1,\"other\":{\"ts\":3}}\n"));
    assert_string_equal(record.identity, "p-1");
    assert_string_equal(record.session, "bb42");
    assert_true(record.turn.begin_ms == INT64_C(1759450460168));
    assert_true(record.turn.end_ms == INT64_C(1759450466091));
    assert_int_equal(record.turn.kind, TURN_PROMPT);
    assert_true(record.turn.retry && !record.turn.harness && record.turn.has_prompt);
    assert_int_equal(record.turn.input_tokens, 24063);
    assert_true(record.turn.prompt.whole == UINT64_C(0x52667132d1234733));
    assert_true(record.turn.prompt.shape == UINT64_C(0xe13370928664f25a));
    assert_int_equal(record.turn.prompt.bottom_count, 2);
    assert_true(record.turn.prompt.bottom[0] == UINT64_C(521438532866605177));
    assert_true(record.turn.prompt.bottom[1] == UINT64_MAX);
    assert_true(record.turn.prompt.samples[0] == UINT32_MAX);
    assert_false(record.turn.prompt.has_words);
    assert_int_equal(record.turn.response.count, 1);
}

static void an_end_before_the_begin_is_the_begin(void **unused)
{
    (void)unused;
    assert_null(read_line("{\"ts\":12.5,\"end\":3," HEAD ",\"out_sk\":[]}"));
    assert_int_equal(record.turn.end_ms, 12500);
    assert_int_equal(record.turn.kind, TURN_CONTINUATION);
}

static void names_decide_hashes(void **unused)
{
    uint64_t session;

    (void)unused;
    assert_null(read_line("{\"ts\":1,\"end\":3," HEAD "}"));
    session = record.turn.session;
    assert_null(read_line("{\"ts\":9,\"end\":9,\"harness\":1," HEAD "}"));
    assert_true(record.turn.session == session && record.turn.harness);
}

static void what_is_wrong_is_named(void **unused)
{
    static const struct {
        const char *line, *word;
    } wrong[] = {
        { "", "JSON" },
        { "{\"ts\":1", "JSON" },
        { "[]", "needed" },
        { "{\"ts\":1," HEAD "}", "needed" },
        { "{\"ts\":-1,\"end\":3," HEAD "}", "\"ts\"" },
        { "{\"ts\":1e9,\"end\":3," HEAD "}", "\"ts\"" },
        { "{\"ts\":1,\"end\":true," HEAD "}", "\"end\"" },
        { "{\"ts\":1,\"end\":2,\"input_tokens\":1.5," HEAD "}", "input_tokens" },
        { "{\"ts\":1,\"end\":2,\"out_sk\":[4294967296]," HEAD "}", "out_sk" },
        { "{\"ts\":1,\"end\":2,\"text\":{\"bk\":[2,1]}," HEAD "}", "bk" },
        { "{\"ts\":1,\"end\":2,\"text\":{\"h\":\"12\"}," HEAD "}", "\"h\"" },
        { "{\"ts\":1,\"end\":2,\"text\":{\"bow\":[1,2]}," HEAD "}", "bow" },
        { "{\"ts\":1,\"end\":2,\"text\":{\"bow\":[128]}," HEAD "}", "bow" },
        { "{\"ts\":1,\"end\":2,\"identity\":\"a\",\"session\":\"s\",\"kind\":\"x\"}",
          "kind" },
        { "{\"ts\":1,\"end\":2,\"identity\":\"a\",\"session\":\"s\",\"kind\":\"turn\"}",
          "text" },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        const char *said = read_line(wrong[i].line);

        if (said == NULL || strstr(said, wrong[i].word) == NULL) {
            fail_msg("%s: %s", wrong[i].line, said == NULL ? "read" : said);
        }
    }
}

static void long_lists_are_refused(void **unused)
{
    char line[1024];
    size_t len = (size_t)snprintf(line, sizeof(line),
                                  "{\"ts\":1,\"end\":2," HEAD ",\"out_sk\":[1");

    (void)unused;
    for (unsigned i = 0; i < SKETCH_RESPONSE; i++) {
        len += (size_t)snprintf(line + len, sizeof(line) - len, ",%u", i + 2);
    }
    (void)snprintf(line + len, sizeof(line) - len, "]}");
    assert_non_null(read_line(line));
}

static void what_is_written_is_read_again(void **unused)
{
    struct turn turn = { .identity = UINT64_C(0xfedcba9876543210),
                         .session = 7,
                         .begin_ms = INT64_C(1759450460008),
                         .end_ms = INT64_C(1759450466091),
                         .input_tokens = UINT64_MAX,
                         .output_tokens = 5,
                         .loop = UINT32_MAX,
                         .kind = TURN_PROMPT,
                         .retry = true,
                         .has_prompt = true,
                         .prompt = { .whole = UINT64_MAX,
                                     .shape = 1,
                                     .similar = UINT64_C(1) << 63,
                                     .bottom_count = SKETCH_BOTTOM,
                                     .sample_count = SKETCH_PROMPT,
                                     .characters = UINT32_MAX,
                                     .has_words = true },
                         .response.count = SKETCH_RESPONSE };
    char line[RECORD_LINE_MAX];
    struct text out = text_over(line, sizeof line);

    (void)unused;
    for (unsigned i = 0; i < SKETCH_BOTTOM; i++) {
        turn.prompt.bottom[i] = UINT64_MAX - SKETCH_BOTTOM + i;
    }
    for (unsigned i = 0; i < SKETCH_PROMPT; i++) {
        turn.prompt.samples[i] = UINT32_MAX - i;
    }
    for (unsigned i = 0; i < SKETCH_RESPONSE; i++) {
        turn.response.samples[i] = UINT32_MAX - i;
    }
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        turn.prompt.words[i] = (int8_t)(i % 2 == 0 ? -127 : 127);
    }
    record_write(&turn, turn.begin_ms + 9000, "", "", &out);
    assert_false(out.full);
    assert_null(record_read(reader, text_span(&out), &record));
    assert_memory_equal(&record.turn, &turn, sizeof turn);
    assert_true(record.at_ms == turn.begin_ms + 9000);
    turn = (struct turn){ .identity = 1,
                          .session = 2,
                          .kind = TURN_CONTINUATION,
                          .begin_ms = 1000,
                          .end_ms = 1000,
                          .harness = true };
    out.len = 0;
    record_write(&turn, 1000, "gpt \"x\"", "codex", &out);
    assert_null(record_read(reader, text_span(&out), &record));
    assert_memory_equal(&record.turn, &turn, sizeof turn);
    assert_true(record.at_ms == 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_is_read_to_the_last_bit),
        cmocka_unit_test(an_end_before_the_begin_is_the_begin),
        cmocka_unit_test(names_decide_hashes),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(long_lists_are_refused),
        cmocka_unit_test(what_is_written_is_read_again),
    };

    return cmocka_run_group_tests(tests, make_reader, free_reader);
}
