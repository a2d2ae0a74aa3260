#include "proxy/http/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 256 * 1024 };

/* What a reader said of a stream: frames' kinds as letters, payloads unmasked, and
 * every byte that it lent. */
struct heard {
    char *raw, *text;
    struct text raws, texts, marks;
    char marks_memory[1024];
    enum websocket_code wrong;
    uint16_t code;
    bool between_frames, between_messages;
};

static void note(struct heard *heard, const struct websocket_piece *piece)
{
    static const char letters[] = "?tb?????cpo?????"; /* by opcode */
    char plain[8192];
    struct span payload = piece->payload;
    uint64_t at = piece->at;

    if (piece->begins) {
        text_put_char(&heard->marks, letters[piece->opcode]);
        if (piece->compressed) {
            text_put_char(&heard->marks, 'z');
        }
    }
    text_put(&heard->raws, piece->raw);
    while (payload.len > 0) {
        size_t len = payload.len < sizeof(plain) ? payload.len : sizeof(plain);

        websocket_unmask(piece->mask, at, span_of(payload.at, len), plain);
        text_put(&heard->texts, span_of(plain, len));
        payload = span_after(payload, len);
        at += len;
    }
    if (piece->ends) {
        text_put_char(&heard->marks, '.');
    }
}

static void hear_begin(struct heard *heard)
{
    static char raw[ROOM], text[ROOM];

    *heard = (struct heard){ .raw = raw, .text = text };
    heard->raws = text_over(raw, ROOM);
    heard->texts = text_over(text, ROOM);
    heard->marks = text_over(heard->marks_memory, sizeof(heard->marks_memory));
}

static void feed(struct websocket *reader, struct span bytes, struct heard *heard)
{
    struct websocket_piece piece;

    while (websocket_next(reader, &bytes, &piece)) {
        note(heard, &piece);
    }
    assert_true(bytes.len == 0 || reader->wrong != WEBSOCKET_SOUND);
}

/* Reads the stream in two pieces (at `split`), or by single bytes with SIZE_MAX. */
static void hear(struct span stream, bool masked, bool compressible, size_t split,
                 struct heard *heard)
{
    struct websocket reader;

    hear_begin(heard);
    websocket_init(&reader, masked, compressible);
    if (split == SIZE_MAX) {
        for (size_t i = 0; i < stream.len; i++) {
            feed(&reader, span_of(stream.at + i, 1), heard);
        }
    } else {
        feed(&reader, span_of(stream.at, split), heard);
        feed(&reader, span_after(stream, split), heard);
    }
    heard->wrong = reader.wrong;
    heard->code = reader.code;
    heard->between_frames = websocket_between_frames(&reader);
    heard->between_messages = websocket_between_messages(&reader);
}

struct expected {
    const char *marks;
    struct span text;
    enum websocket_code wrong;
    uint16_t code;
};

static void check_at(struct span stream, bool masked, bool compressible, size_t split,
                     const struct expected *expected)
{
    struct heard heard;

    hear(stream, masked, compressible, split, &heard);
    assert_int_equal(heard.wrong, expected->wrong);
    assert_int_equal(heard.code, expected->code);
    text_put_char(&heard.marks, '\0');
    assert_string_equal(heard.marks.at, expected->marks);
    assert_true(span_equal(text_span(&heard.texts), expected->text));
    if (expected->wrong == WEBSOCKET_SOUND) {
        assert_true(heard.between_messages);
        assert_true(span_equal(text_span(&heard.raws), stream));
    }
}

static void check(struct span stream, bool masked, bool compressible,
                  struct expected expected)
{
    for (size_t split = 0; split <= stream.len; split++) {
        check_at(stream, masked, compressible, split, &expected);
    }
    check_at(stream, masked, compressible, SIZE_MAX, &expected);
}

#define SERVER(literal, ...)                                                           \
    check(SPAN(literal), false, false, (struct expected){ __VA_ARGS__ })
#define CLIENT(literal, ...)                                                           \
    check(SPAN(literal), true, false, (struct expected){ __VA_ARGS__ })

/* ---- what is legal --------------------------------------------------------------- */

static void test_the_examples_of_the_rfc(void **state)
{
    (void)state;
    /* RFC 6455, section 5.7 */
    SERVER("\x81\x05Hello", .marks = "t.", .text = SPAN("Hello"));
    CLIENT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", .marks = "t.",
           .text = SPAN("Hello"));
    SERVER("\x01\x03Hel\x80\x02lo", .marks = "t.", .text = SPAN("Hello"));
    SERVER("\x89\x05Hello", .marks = "p.", .text = SPAN("Hello"));
    CLIENT("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", .marks = "o.",
           .text = SPAN("Hello"));
}

static void test_empty_frames_and_fragments(void **state)
{
    (void)state;
    SERVER("\x81\x00", .marks = "t.", .text = SPAN(""));
    SERVER("\x01\x00\x00\x00\x80\x00", .marks = "t.", .text = SPAN(""));
    SERVER("\x82\x01"
           "x\x81\x01"
           "y",
           .marks = "b.t.", .text = SPAN("xy"));
    CLIENT("\x89\x80"
           "abcd",
           .marks = "p.", .text = SPAN(""));
}

static void test_control_frames_within_a_message(void **state)
{
    (void)state;
    SERVER("\x01\x01"
           "a\x89\x01"
           "p\x00\x01"
           "b\x8a\x00\x80\x01"
           "c",
           .marks = "tp.o..", .text = SPAN("apbc"));
}

static void test_close_frames(void **state)
{
    (void)state;
    SERVER("\x88\x00", .marks = "c.", .text = SPAN(""), .code = WEBSOCKET_NO_CODE);
    SERVER("\x88\x02\x03\xe8", .marks = "c.", .text = SPAN("\x03\xe8"), .code = 1000);
    SERVER("\x88\x05\x0f\xa0"
           "\xe2\x82\xac",
           .marks = "c.", .text = SPAN("\x0f\xa0\xe2\x82\xac"), .code = 4000);
    /* masked: 1001 */
    CLIENT("\x88\x82\x01\x02\x03\x04\x02\xeb", .marks = "c.", .text = SPAN("\x03\xe9"),
           .code = 1001);
    /* within a message, which then never ends */
    {
        struct heard heard;

        hear(SPAN("\x01\x01"
                  "a\x88\x00"),
             false, false, 0, &heard);
        assert_int_equal(heard.code, WEBSOCKET_NO_CODE);
        assert_true(heard.between_frames && !heard.between_messages);
    }
}

static void test_compressed_messages(void **state)
{
    const struct expected expected = { .marks = "tz.t.", .text = SPAN("ab") };

    (void)state;
    check(SPAN("\xc1\x01"
               "a\x81\x01"
               "b"),
          false, true, expected);
    check(SPAN("\x41\x01"
               "a\x80\x00\x81\x01"
               "b"),
          false, true, expected);
}

static void test_every_length(void **state)
{
    static const size_t sizes[] = { 125, 126, 127, 65535, 65536, 70000 };
    const uint8_t mask[] = { 1, 2, 3, 0xff };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *memory = malloc(ROOM);
        char *payload = malloc(sizes[i]);

        assert_true(memory != NULL && payload != NULL);
        memset(payload, 'x', sizes[i]);
        for (int side = 0; side < 2; side++) {
            struct text frame = text_over(memory, ROOM);
            const struct expected expected = { .marks = "t.",
                                               .text = { payload, sizes[i] } };

            websocket_put(&frame, WEBSOCKET_TEXT, side == 0 ? NULL : mask,
                          span_of(payload, sizes[i]));
            for (size_t split = 0; split <= WEBSOCKET_HEADER_MAX + 2; split++) {
                check_at(text_span(&frame), side == 1, false, split, &expected);
            }
            check_at(text_span(&frame), side == 1, false, frame.len - 1, &expected);
            check_at(text_span(&frame), side == 1, false, SIZE_MAX, &expected);
        }
        free(payload);
        free(memory);
    }
}

/* ---- what is not ----------------------------------------------------------------- */

static void test_reserved_bits_and_opcodes(void **state)
{
    static const unsigned char reserved[] = { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 };

    (void)state;
    for (size_t i = 0; i < sizeof(reserved); i++) {
        const char frame[] = { (char)(0x80 | reserved[i]), 0 };

        check(span_of(frame, 2), false, true,
              (struct expected){ .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR });
    }
    SERVER("\xa1\x00", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    SERVER("\x91\x00", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    /* RSV1: not agreed on, on a continuation, on a control frame */
    SERVER("\xc1\x00", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    check(SPAN("\x41\x00\xc0\x00"), false, true,
          (struct expected){ .marks = "tz", .wrong = WEBSOCKET_PROTOCOL_ERROR });
    check(SPAN("\xc9\x00"), false, true,
          (struct expected){ .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR });
}

static void test_masks_of_the_wrong_side(void **state)
{
    (void)state;
    CLIENT("\x81\x00", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    SERVER("\x81\x80"
           "abcd",
           .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
}

static void test_lengths_that_are_too_long(void **state)
{
    (void)state;
    SERVER("\x81\x7e\x00\x7d", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    SERVER("\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", .marks = "",
           .wrong = WEBSOCKET_PROTOCOL_ERROR);
    SERVER("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", .marks = "",
           .wrong = WEBSOCKET_PROTOCOL_ERROR);
}

static void test_control_frames_that_are_none(void **state)
{
    (void)state;
    SERVER("\x09\x00", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    SERVER("\x89\x7e\x00\x7e", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
}

static void test_messages_out_of_order(void **state)
{
    (void)state;
    SERVER("\x80\x00", .marks = "", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    SERVER("\x01\x00\x81\x00", .marks = "t", .wrong = WEBSOCKET_PROTOCOL_ERROR);
    SERVER("\x81\x00\x00\x00", .marks = "t.", .wrong = WEBSOCKET_PROTOCOL_ERROR);
}

static void test_bad_close_frames(void **state)
{
    static const uint16_t codes[] = { 0,    999,  1004, 1005, 1006,
                                      1015, 1016, 2999, 5000, 65535 };
    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const char frame[] = { (char)0x88, 2, (char)(codes[i] >> 8), (char)codes[i] };
        struct heard heard;

        hear(span_of(frame, 4), false, false, 0, &heard);
        assert_int_equal(heard.wrong, WEBSOCKET_PROTOCOL_ERROR);
    }
    {
        struct heard heard;

        hear(SPAN("\x88\x01\x03"), false, false, 0, &heard);
        assert_int_equal(heard.wrong, WEBSOCKET_PROTOCOL_ERROR);
        hear(SPAN("\x88\x03\x03\xe8\xff"), false, false, 0, &heard);
        assert_int_equal(heard.wrong, WEBSOCKET_INVALID);
        hear(SPAN("\x88\x05\x03\xe8\xed\xa0\x80"), false, false, 0, &heard);
        assert_int_equal(heard.wrong, WEBSOCKET_INVALID);
        hear(SPAN("\x88\x00\x81\x00"), false, false, 0, &heard);
        assert_int_equal(heard.wrong, WEBSOCKET_PROTOCOL_ERROR);
    }
}

/* ---- frames of our own ----------------------------------------------------------- */

static void test_a_close_frame_is_cut_to_fit(void **state)
{
    char memory[200], reason[200];
    struct text frame = text_over(memory, sizeof(memory));
    struct heard heard;

    (void)state;
    for (size_t i = 0; i < sizeof(reason); i += 2) {
        memcpy(reason + i, "\xc3\xa4", 2);
    }
    websocket_put_close(&frame, WEBSOCKET_POLICY, NULL,
                        span_of(reason, sizeof(reason)));
    hear(text_span(&frame), false, false, 0, &heard);
    assert_int_equal(heard.wrong, WEBSOCKET_SOUND);
    assert_int_equal(heard.code, WEBSOCKET_POLICY);
    assert_int_equal(heard.texts.len, 2 + 122);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_the_rfc),
        cmocka_unit_test(test_empty_frames_and_fragments),
        cmocka_unit_test(test_control_frames_within_a_message),
        cmocka_unit_test(test_close_frames),
        cmocka_unit_test(test_compressed_messages),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_reserved_bits_and_opcodes),
        cmocka_unit_test(test_masks_of_the_wrong_side),
        cmocka_unit_test(test_lengths_that_are_too_long),
        cmocka_unit_test(test_control_frames_that_are_none),
        cmocka_unit_test(test_messages_out_of_order),
        cmocka_unit_test(test_bad_close_frames),
        cmocka_unit_test(test_a_close_frame_is_cut_to_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
