#include "filters/frame/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The documents, "<...>" each. */
struct record {
    struct lines lines;
    char text[4096];
    size_t len;
    bool open;
};

static void append(struct record *record, struct span bytes)
{
    assert_true(bytes.len < sizeof(record->text) - record->len);
    memcpy(record->text + record->len, bytes.at, bytes.len);
    record->len += bytes.len;
    record->text[record->len] = '\0';
}

static void note_data(void *self, struct span piece)
{
    struct record *record = self;

    assert_true(piece.len > 0);
    if (!record->open) {
        append(record, SPAN("<"));
        record->open = true;
    }
    append(record, piece);
}

static void note_document(void *self)
{
    struct record *record = self;

    assert_true(record->open);
    append(record, SPAN(">"));
    record->open = false;
}

static const struct lines_sink sink = { note_data, note_document };

static void feed_copy(struct record *record, const char *at, size_t len)
{
    char *copy = malloc(len);

    assert_true(copy != NULL || len == 0);
    if (len > 0) {
        memcpy(copy, at, len);
    }
    lines_feed(&record->lines, span_of(copy, len), &sink, record);
    free(copy);
}

static void expect(struct span stream, bool unfinished, const char *documents)
{
    for (size_t first = 0; first <= stream.len; first++) {
        for (size_t second = first; second <= stream.len; second++) {
            struct record record = { .len = 0 };

            lines_init(&record.lines);
            feed_copy(&record, stream.at, first);
            feed_copy(&record, stream.at + first, second - first);
            feed_copy(&record, stream.at + second, stream.len - second);
            assert_int_equal(lines_end(&record.lines, &sink, &record), unfinished);
            assert_string_equal(record.text, documents);
            assert_false(lines_end(&record.lines, &sink, &record));
        }
    }
}

static void one_per_line(void **state)
{
    (void)state;
    expect(SPAN("{\"a\":1}\n{\"b\":[2,{}]}\r\n\n[3]\n"), false,
           "<{\"a\":1}><{\"b\":[2,{}]}><[3]>");
    expect(SPAN(""), false, "");
    expect(SPAN(" \n\t\n"), false, "");
}

static void concatenated(void **state)
{
    (void)state;
    expect(SPAN("{\"a\":\"}\\\"{\"}{}[[]] {\n \"x\": [\n1]}\x1e{}"), false,
           "<{\"a\":\"}\\\"{\"}><{}><[[]]><{\n \"x\": [\n1]}><{}>");
}

static void scalars(void **state)
{
    (void)state;
    expect(SPAN("1 \"a b\"\"c\\\\\"null\n-2.5{}true[]"), false,
           "<1><\"a b\"><\"c\\\\\"><null><-2.5><{}><true><[]>");
    expect(SPAN("1\n22"), true, "<1><22>");
    expect(SPAN("}\n{}"), false, "<}><{}>");
}

static void a_cut_line_does_not_take_the_next(void **state)
{
    (void)state;
    expect(SPAN("{\"a\":\"cu\n{\"b\":1}\n"), false, "<{\"a\":\"cu><{\"b\":1}>");
    expect(SPAN("{\"a\":\"cu\\\n{\"b\":1}\n"), false, "<{\"a\":\"cu\\><{\"b\":1}>");
    expect(SPAN("{\"a\":"), true, "<{\"a\":>");
    expect(SPAN("\"abc"), true, "<\"abc>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_per_line),
        cmocka_unit_test(concatenated),
        cmocka_unit_test(scalars),
        cmocka_unit_test(a_cut_line_does_not_take_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
