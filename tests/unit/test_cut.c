#include "filters/frame/eventstream.h"
#include "filters/frame/eventstream_write.h"
#include "proxy/engine/cut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ENDS_MAX = 16 };

struct ends {
    size_t at[ENDS_MAX];
    size_t count;
    bool inside;
};

static void take_all(struct cut *cut, struct span text, size_t offset,
                     struct ends *ends)
{
    while (text.len > 0) {
        offset += cut_take(cut, &text).len;
        if (!cut->inside) {
            assert_true(ends->count < ENDS_MAX);
            ends->at[ends->count++] = offset;
        }
    }
    ends->inside = cut->inside;
}

/* The same ends however the text comes. */
static void assert_ends(enum cut_framing framing, struct span text,
                        const size_t *expected, size_t count, bool inside)
{
    for (size_t split = 0; split <= text.len; split++) {
        struct cut cut = { .framing = framing };
        struct ends ends = { .count = 0 };

        take_all(&cut, span_of(text.at, split), 0, &ends);
        take_all(&cut, span_after(text, split), split, &ends);
        assert_int_equal(ends.count, count);
        assert_memory_equal(ends.at, expected, count * sizeof *expected);
        assert_int_equal(ends.inside, inside);
    }
}

static void events_end_with_an_empty_line(void **state)
{
    (void)state;
    assert_ends(CUT_EVENTS, SPAN("data: a\n\ndata: b\n"), (const size_t[]){ 9 }, 1,
                true);
    assert_ends(CUT_EVENTS, SPAN("data: a\n\ndata: b\n\n"), (const size_t[]){ 9, 18 },
                2, false);
    assert_ends(CUT_EVENTS, SPAN("e: x\r\nd:\r\n\r\nd"), (const size_t[]){ 11 }, 1,
                true);
    assert_ends(CUT_EVENTS, SPAN("data: a\r\rdata: b"), (const size_t[]){ 9 }, 1, true);
    assert_ends(CUT_EVENTS, SPAN("no end"), NULL, 0, true);
}

static void lines_end_with_lf(void **state)
{
    (void)state;
    assert_ends(CUT_LINES, SPAN("{}\n{\"a\":1}\r\n{"), (const size_t[]){ 3, 12 }, 2,
                true);
    assert_ends(CUT_LINES, SPAN("{}\n"), (const size_t[]){ 3 }, 1, false);
}

static void messages_end_where_they_say(void **state)
{
    char memory[1024];
    struct text text = text_over(memory, sizeof memory);
    size_t first;

    (void)state;
    eventstream_put_exception(&text, SPAN("a"), SPAN("{}"));
    first = text.len;
    eventstream_put_exception(&text, SPAN("throttlingException"), SPAN("{\"m\":1}"));
    assert_ends(CUT_MESSAGES, text_span(&text), (const size_t[]){ first, text.len }, 2,
                false);
    assert_ends(CUT_MESSAGES, SPAN("\0\0\0\2abcdefgh"), NULL, 0, true);
}

static void ignore_begin(void *self)
{
    (void)self;
}

static void ignore_data(void *self, struct span piece)
{
    (void)self;
    (void)piece;
}

static void note_kind(void *self, enum eventstream_kind kind)
{
    *(enum eventstream_kind *)self = kind;
}

static void exceptions_can_be_read(void **state)
{
    const struct eventstream_sink sink = { ignore_begin, ignore_data, note_kind };
    enum eventstream_kind kind = EVENTSTREAM_EVENT;
    struct eventstream stream;
    char memory[256];
    struct text text = text_over(memory, sizeof memory);
    struct text small = text_over(memory, 20);

    (void)state;
    eventstream_put_exception(&text, SPAN("throttlingException"), SPAN("{}"));
    eventstream_init(&stream);
    assert_true(eventstream_feed(&stream, text_span(&text), &sink, &kind));
    assert_true(eventstream_end(&stream));
    assert_int_equal(kind, EVENTSTREAM_EXCEPTION);
    eventstream_put_exception(&small, SPAN("throttlingException"), SPAN("{}"));
    assert_true(small.full && small.len == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_end_with_an_empty_line),
        cmocka_unit_test(lines_end_with_lf),
        cmocka_unit_test(messages_end_where_they_say),
        cmocka_unit_test(exceptions_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
