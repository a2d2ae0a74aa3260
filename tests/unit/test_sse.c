#include "filters/frame/sse.h"
#include "tests/support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TEXT_MAX = 4 << 20, SPLITS_ALL = 16384 };

/* What was dispatched: "DATA\n" per event, NUL as \1. Data that no event ended is
 * dropped, as a browser does. */
struct record {
    struct sse sse;
    char data[TEXT_MAX];
    size_t data_len;
    char text[TEXT_MAX];
    size_t len;
};

static void note_data(void *self, struct span piece)
{
    struct record *record = self;

    assert_true(piece.len > 0 && piece.len <= sizeof(record->data) - record->data_len);
    memcpy(record->data + record->data_len, piece.at, piece.len);
    record->data_len += piece.len;
}

/* Bytes that UTF-8 never has become U+FFFD, as a browser's decoder makes them. */
static void append(struct record *record, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];

        assert_true(record->len + 4 < sizeof(record->text));
        if (byte >= 0xf8) {
            memcpy(record->text + record->len, "\xef\xbf\xbd", 3);
            record->len += 3;
        } else {
            record->text[record->len++] = byte == 0 ? '\1' : bytes.at[i];
        }
    }
    record->text[record->len] = '\0';
}

static void note_event(void *self)
{
    struct record *record = self;

    append(record, span_of(record->data, record->data_len));
    append(record, SPAN("\n"));
    record->data_len = 0;
}

/* Takes data that is "known", where its line end is there. */
static size_t take_known(void *self, struct span rest)
{
    const struct span known = SPAN("known");

    if (!span_starts(rest, known) || rest.len == known.len ||
        strchr("\r\n", rest.at[known.len]) == NULL) {
        return 0;
    }
    note_data(self, known);
    return known.len;
}

static const struct sse_sink sink = { .take = take_known,
                                      .data = note_data,
                                      .event = note_event };

static void begin(struct record *record)
{
    memset(&record->sse, 0xa5,
           sizeof(record->sse)); /* sse_init() must set what counts */
    sse_init(&record->sse);
    record->data_len = 0;
    record->len = 0;
    record->text[0] = '\0';
}

/* A copy of its own, so that a sanitizer sees each step beyond it. */
static void feed_copy(struct record *record, const char *at, size_t len)
{
    char *copy = malloc(len);

    assert_true(copy != NULL || len == 0);
    if (len > 0) {
        memcpy(copy, at, len);
    }
    sse_feed(&record->sse, span_of(copy, len), &sink, record);
    free(copy);
}

/* Whole, byte by byte and in two at every place (long streams: at 64 places), up to but
 * without sse_end(). */
static void expect_stream(struct span stream, const char *events)
{
    static struct record record;
    size_t step = stream.len > SPLITS_ALL ? stream.len / 64 : 1;

    for (size_t split = 0; split <= stream.len; split += step) {
        begin(&record);
        feed_copy(&record, stream.at, split);
        feed_copy(&record, stream.at + split, stream.len - split);
        assert_string_equal(record.text, events);
    }
    begin(&record);
    for (size_t i = 0; i < stream.len; i++) {
        feed_copy(&record, stream.at + i, 1);
    }
    assert_string_equal(record.text, events);
}

/* Whether sse_end() finds an event, and which, at every split. */
static void expect_end(struct span stream, bool found, const char *events)
{
    static struct record record;

    for (size_t split = 0; split <= stream.len; split++) {
        begin(&record);
        feed_copy(&record, stream.at, split);
        feed_copy(&record, stream.at + split, stream.len - split);
        assert_int_equal(sse_end(&record.sse, &sink, &record), found);
        assert_string_equal(record.text, events);
        assert_false(sse_end(&record.sse, &sink, &record));
    }
}

static void lines_end_in_three_ways(void **state)
{
    (void)state;
    expect_stream(SPAN("data: a\n\ndata:b\r\n\r\ndata:  c\r\rdata\n\n"),
                  "a\nb\n c\n\n");
    expect_stream(SPAN("data: a\r\ndata: b\rdata\ndata:\n\n"), "a\nb\n\n\n");
    expect_stream(SPAN("\n\n\r\r\r\ndata: a\n\r"), "a\n");
}

static void taken_data_counts_like_any_other(void **state)
{
    (void)state;
    expect_stream(SPAN("data: known\n\ndata:known\r\n\r\ndata: known\r\r"),
                  "known\nknown\nknown\n");
    expect_stream(SPAN("event: a\ndata: known\ndata: known\nid: 1\n\n"),
                  "known\nknown\n");
    expect_stream(SPAN("data: x\ndata: known\n\ndata\ndata: known\n\n"),
                  "x\nknown\n\nknown\n");
    expect_stream(SPAN("data: knowns\n\ndata:  known\n\ndata: known\n"),
                  "knowns\n known\n");
    expect_end(SPAN("data: known\n"), true, "known\n");
    expect_end(SPAN("data: known"), true, "known\n");
}

static void names_and_ids_are_left_out(void **state)
{
    (void)state;
    expect_stream(SPAN("event: ping\ndata: {}\nid: 7\n\n"
                       "data: 2\n\nid\ndata: 3\n\nevent: a\nevent: b\ndata: 4\n\n"),
                  "{}\n2\n3\n4\n");
    expect_stream(SPAN("id: 1\0z\nid: 2\nid: \0\ndata: x\n\n"), "x\n");
    expect_stream(SPAN("event: lost\n\ndata: x\n\n"), "x\n");
}

static void other_fields_and_comments_are_dropped(void **state)
{
    (void)state;
    expect_stream(SPAN(": a comment\n:\nretry: 100\nDATA: no\n data: no\ndatas: no\n"
                       "dat: no\ndata : no\nverylongfieldname: no\n\ndata: yes\n\n"),
                  "yes\n");
}

static void byte_order_mark_is_dropped_once(void **state)
{
    (void)state;
    expect_stream(SPAN("\xef\xbb\xbf"
                       "data: 1\n\n\xef\xbb\xbf"
                       "data: 2\n\ndata: 3\n\n"),
                  "1\n3\n");
    expect_stream(SPAN("\xef\xbb"
                       "data: 1\n\ndata: 2\n\n"),
                  "2\n");
    expect_stream(SPAN("\xef\xbb\n\xef\n\ndata: 2\n\n"), "2\n");
}

static void end_dispatches_what_is_open(void **state)
{
    (void)state;
    expect_end(SPAN(""), false, "");
    expect_end(SPAN("data: 1\n\n"), false, "1\n");
    expect_end(SPAN("data: 1\n"), true, "1\n");
    expect_end(SPAN("event: e\ndata: 1"), true, "1\n");
    expect_end(SPAN("data"), true, "\n");
    expect_end(SPAN("event: e\n"), false, "");
    expect_end(SPAN("dat"), false, "");
}

/* cJSON ends a string at a NUL: \u0000 is written as \u0001, as the record has it. */
static cJSON *parse_with_nuls(char *line)
{
    char *escape = line;

    while ((escape = strstr(escape, "\\u0000")) != NULL) {
        escape[5] = '1';
    }
    return cJSON_Parse(line);
}

static void run_case(struct span stream, const cJSON *vector)
{
    static struct record want;
    const cJSON *event;

    begin(&want);
    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(vector, "events"))
    {
        append(&want, span_text(vectors_string(event, "data")));
        append(&want, SPAN("\n"));
    }
    expect_stream(stream, want.text);
}

static void agrees_with_the_web_platform_tests(void **state)
{
    struct vectors vectors;
    const cJSON *object;
    unsigned cases = 0;

    (void)state;
    if (!vectors_open(&vectors, "sse-wpt/cases.jsonl")) {
        skip();
    }
    while ((object = vectors_next(&vectors)) != NULL) {
        cJSON *vector = parse_with_nuls(vectors.line);

        assert_non_null(vector);
        print_message("# %s\n", vectors_string(object, "id"));
        run_case(vectors_bytes(&vectors, object, "b64"), vector);
        cJSON_Delete(vector);
        cases++;
    }
    vectors_close(&vectors);
    assert_int_equal(cases, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_three_ways),
        cmocka_unit_test(taken_data_counts_like_any_other),
        cmocka_unit_test(names_and_ids_are_left_out),
        cmocka_unit_test(other_fields_and_comments_are_dropped),
        cmocka_unit_test(byte_order_mark_is_dropped_once),
        cmocka_unit_test(end_dispatches_what_is_open),
        cmocka_unit_test(agrees_with_the_web_platform_tests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
