#include "filters/frame/eventstream.h"
#include "tests/support/vectors.h"
#include "tests/unit/eventstream_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* What a stream said, in any split. */
struct told {
    unsigned begun, ended, exceptions, errors;
    size_t payload;
    uint32_t crc; /* of all payloads */
    bool sound, complete;
};

static void on_begin(void *self)
{
    struct told *told = self;

    told->begun++;
}

static void on_data(void *self, struct span piece)
{
    struct told *told = self;

    assert_true(piece.len > 0);
    told->payload += piece.len;
    told->crc = (uint32_t)crc32(told->crc, (const Bytef *)piece.at, (uInt)piece.len);
}

static void on_message(void *self, enum eventstream_kind kind)
{
    struct told *told = self;

    told->ended++;
    told->exceptions += kind == EVENTSTREAM_EXCEPTION;
    told->errors += kind == EVENTSTREAM_ERROR;
}

static struct told read_stream(struct span bytes, size_t first, size_t step)
{
    static const struct eventstream_sink sink = { on_begin, on_data, on_message };
    struct eventstream stream;
    struct told told = { .sound = true };
    size_t len = first;

    eventstream_init(&stream);
    while (bytes.len > 0) {
        len = len < bytes.len ? len : bytes.len;
        told.sound = eventstream_feed(&stream, span_of(bytes.at, len), &sink, &told) &&
                     told.sound;
        bytes = span_after(bytes, len);
        len = step;
    }
    told.complete = eventstream_end(&stream);
    assert_int_equal(stream.messages, told.ended);
    return told;
}

static void check_split(struct told whole, struct told split)
{
    assert_int_equal(whole.begun, split.begun);
    assert_int_equal(whole.ended, split.ended);
    assert_int_equal(whole.exceptions, split.exceptions);
    assert_int_equal(whole.errors, split.errors);
    assert_int_equal(whole.sound, split.sound);
    assert_int_equal(whole.complete, split.complete);
    if (whole
            .sound) { /* of a damaged message, more or less of its payload comes first */
        assert_int_equal(whole.payload, split.payload);
        assert_int_equal(whole.crc, split.crc);
    }
}

static void check_case(const char *want, struct span bytes)
{
    struct told whole = read_stream(bytes, SIZE_MAX, SIZE_MAX);

    if (strcmp(want, "decode") == 0 || strcmp(want, "decode2") == 0) {
        assert_true(whole.sound && whole.complete);
        assert_int_equal(whole.ended, want[6] == '2' ? 2 : 1);
    } else if (strcmp(want, "error") == 0) {
        assert_false(whole.sound);
        assert_int_equal(whole.ended, 0);
    } else {
        assert_string_equal(want, "incomplete");
        assert_true(whole.sound);
        assert_false(whole.complete && bytes.len > 0);
        assert_int_equal(whole.ended, 0);
    }
    for (size_t first = 1; first < bytes.len && first < 2000; first++) {
        check_split(whole, read_stream(bytes, first, SIZE_MAX));
    }
    check_split(whole, read_stream(bytes, 1, 1));
    check_split(whole, read_stream(bytes, 3, 3));
}

static void vectors_decode_at_every_split(void **state)
{
    struct vectors vectors;
    const cJSON *item;
    size_t count = 0;

    (void)state;
    if (!vectors_open(&vectors, "aws-eventstream/cases.jsonl")) {
        print_message("# ../shared is absent\n");
        skip();
    }
    while ((item = vectors_next(&vectors)) != NULL) {
        check_case(vectors_string(item, "want"), vectors_bytes(&vectors, item, "b64"));
        count++;
    }
    vectors_close(&vectors);
    print_message("# %zu cases\n", count);
    assert_int_equal(count, 679);
}

/* ---- streams made here ----------------------------------------------------------- */

static void kinds_are_told(void **state)
{
    struct maker maker = { .len = 0 };
    struct told told;

    (void)state;
    put_message(&maker, SPAN(":message-type"), SPAN("event"), SPAN("{}"));
    put_message(&maker, SPAN(":message-type"), SPAN("exception"),
                SPAN("{\"message\":1}"));
    put_message(&maker, SPAN(":message-type"), SPAN("error"), SPAN(""));
    put_message(&maker, SPAN("a-name-that-is-longer-than-what-is-kept-of-it"),
                SPAN("exception"), SPAN("x"));
    for (size_t step = 1; step <= maker.len; step++) {
        told = read_stream(made(&maker), step, step);
        assert_true(told.sound && told.complete);
        assert_int_equal(told.begun, 4);
        assert_int_equal(told.ended, 4);
        assert_int_equal(told.exceptions, 1);
        assert_int_equal(told.errors, 1);
        assert_int_equal(told.payload, 2 + 13 + 1);
    }
}

static void nothing_is_read_behind_damage(void **state)
{
    struct maker maker = { .len = 0 };
    size_t first;
    struct told told;

    (void)state;
    put_message(&maker, SPAN("n"), SPAN("v"), SPAN("payload"));
    first = maker.len;
    put_message(&maker, SPAN("n"), SPAN("v"), SPAN("payload"));
    maker.bytes[first - 6] ^= 1;
    told = read_stream(made(&maker), SIZE_MAX, SIZE_MAX);
    assert_false(told.sound);
    assert_int_equal(told.begun, 1);
    assert_int_equal(told.ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_decode_at_every_split),
        cmocka_unit_test(kinds_are_told),
        cmocka_unit_test(nothing_is_read_behind_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
