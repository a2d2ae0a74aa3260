#include "filters/frame/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

enum { ROOM = 1024 * 1024 };

static const struct decode_limits limits = { .bytes = ROOM, .ratio = 200 };

static char heard_memory[ROOM + 64];
static struct text heard;

static void hear(void *self, struct span text)
{
    assert_ptr_equal(self, &heard);
    assert_true(text.len > 0);
    text_put(&heard, text);
}

/* ---- a peer that compresses ------------------------------------------------------ */

struct peer {
    z_stream z;
    bool keeps;
    char memory[ROOM];
    struct text stream; /* what it has sent */
};

static struct peer *peer_new(bool keeps, int bits)
{
    struct peer *peer = calloc(1, sizeof *peer);

    assert_non_null(peer);
    peer->keeps = keeps;
    peer->stream = text_over(peer->memory, sizeof peer->memory);
    assert_int_equal(deflateInit2(&peer->z, 6, Z_DEFLATED, -bits, 8,
                                  Z_DEFAULT_STRATEGY),
                     Z_OK);
    return peer;
}

static void peer_free(struct peer *peer)
{
    (void)deflateEnd(&peer->z);
    free(peer);
}

/* A text message as RFC 7692 has it, in a masked frame. */
static void peer_says(struct peer *peer, struct span text)
{
    static const uint8_t mask[] = { 9, 8, 7, 6 };
    static unsigned char packed[ROOM];
    size_t begin = peer->stream.len;
    size_t len = 1;

    peer->z.next_in = (z_const Bytef *)(uintptr_t)text.at;
    peer->z.avail_in = (uInt)text.len;
    peer->z.next_out = packed;
    peer->z.avail_out = sizeof packed;
    packed[0] = 0; /* a message without text: section 7.2.3.6 */
    if (text.len > 0) {
        assert_int_equal(deflate(&peer->z, Z_SYNC_FLUSH), Z_OK);
        len = sizeof packed - peer->z.avail_out - 4;
    }
    websocket_put(&peer->stream, WEBSOCKET_TEXT, mask, span_of((char *)packed, len));
    assert_false(peer->stream.full);
    peer->memory[begin] = (char)(peer->memory[begin] | 0x40);
    if (!peer->keeps) {
        assert_int_equal(deflateReset(&peer->z), Z_OK);
    }
}

/* Reads a stream of masked frames in pieces of this size. */
static enum decode_verdict read_all(struct span stream, bool keeps,
                                    struct decode_limits caps, size_t step)
{
    struct message *message = message_new(keeps, caps);
    enum decode_verdict verdict = DECODE_OK;
    struct websocket_piece piece;
    struct websocket reader;

    assert_non_null(message);
    heard = text_over(heard_memory, sizeof heard_memory);
    websocket_init(&reader, true, true);
    while (stream.len > 0) {
        struct span input = span_of(stream.at, stream.len < step ? stream.len : step);

        stream = span_after(stream, input.len);
        while (websocket_next(&reader, &input, &piece)) {
            verdict = message_feed(message, &piece, hear, &heard);
        }
        assert_int_equal(reader.wrong, WEBSOCKET_SOUND);
    }
    message_free(message);
    return verdict;
}

static void check(struct peer *peer, bool keeps, struct span expected)
{
    for (size_t step = 1; step < 5000; step = step * 2 + 1) {
        assert_int_equal(read_all(text_span(&peer->stream), keeps, limits, step),
                         DECODE_OK);
        assert_true(span_equal(text_span(&heard), expected));
    }
}

/* ---- cases ----------------------------------------------------------------------- */

static void test_plain(void **state)
{
    static const uint8_t mask[] = { 1, 2, 3, 4 };
    static char long_text[40000];
    char *memory = malloc(ROOM);
    struct text stream = text_over(memory, ROOM);

    (void)state;
    assert_non_null(memory);
    memset(long_text, 'y', sizeof long_text);
    websocket_put(&stream, WEBSOCKET_TEXT, mask, SPAN("hello"));
    websocket_put(&stream, WEBSOCKET_TEXT, mask, span_of(long_text, sizeof long_text));
    for (size_t step = 1; step < 50000; step = step * 3 + 1) {
        assert_int_equal(read_all(text_span(&stream), false, limits, step), DECODE_OK);
        assert_int_equal(heard.len, 5 + sizeof long_text);
        assert_true(span_starts(text_span(&heard), SPAN("helloyyy")));
    }
    free(memory);
}

static void test_the_examples_of_the_rfc(void **state)
{
    /* RFC 7692, section 7.2.3: "Hello", shared window, no compression, BFINAL */
    static const struct span streams[] = {
        { "\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00", 13 },
        { "\x41\x83\0\0\0\0\xf2\x48\xcd\x80\x84\0\0\0\0\xc9\xc9\x07\x00", 19 },
        { "\xc1\x8b\0\0\0\0\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 17 },
        { "\xc1\x88\0\0\0\0\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 14 },
        { "\xc1\x8d\0\0\0\0\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 19 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        for (size_t step = 1; step < 20; step++) {
            assert_int_equal(read_all(streams[i], true, limits, step), DECODE_OK);
            assert_true(span_equal(text_span(&heard), SPAN("Hello")));
        }
    }
    assert_int_equal(read_all(SPAN("\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00"
                                   "\xc1\x85\0\0\0\0\xf2\x00\x11\x00\x00"),
                              true, limits, 64),
                     DECODE_OK);
    assert_true(span_equal(text_span(&heard), SPAN("HelloHello")));
}

static void test_messages_of_every_window(void **state)
{
    static const char text[] = "the same words, the same words, and again the same";

    (void)state;
    for (int bits = 9; bits <= 15; bits++) {
        for (int keeps = 0; keeps < 2; keeps++) {
            struct peer *peer = peer_new(keeps == 1, bits);
            char memory[sizeof text * 4];
            struct text expected = text_over(memory, sizeof memory);

            for (int i = 0; i < 4; i++) {
                peer_says(peer, span_text(text));
                text_put(&expected, span_text(text));
            }
            peer_says(peer, SPAN(""));
            check(peer, keeps == 1, text_span(&expected));
            peer_free(peer);
        }
    }
}

static void test_a_message_may_not_lean_on_another(void **state)
{
    struct peer *peer = peer_new(true, 15);

    (void)state;
    peer_says(peer, SPAN("words that come twice"));
    peer_says(peer, SPAN("words that come twice"));
    assert_int_equal(read_all(text_span(&peer->stream), false, limits, 4096),
                     DECODE_CORRUPT);
    assert_true(span_equal(text_span(&heard), SPAN("words that come twice")));
    peer_free(peer);
}

static void test_bombs(void **state)
{
    const struct decode_limits tight = { .bytes = 512 * 1024, .ratio = 1000000 };
    const struct decode_limits by_ratio = { .bytes = ROOM, .ratio = 100 };
    struct peer *peer = peer_new(true, 15);
    char *zeros = calloc(1, ROOM);

    (void)state;
    assert_non_null(zeros);
    peer_says(peer, span_of(zeros, ROOM));
    assert_int_equal(read_all(text_span(&peer->stream), true, tight, 64),
                     DECODE_OVER_LIMIT);
    assert_true(heard.len <= tight.bytes);
    assert_int_equal(read_all(text_span(&peer->stream), true, by_ratio, 64),
                     DECODE_OVER_LIMIT);
    assert_int_equal(read_all(text_span(&peer->stream), true,
                              (struct decode_limits){ ROOM, 1000000 }, 64),
                     DECODE_OK);
    /* a limit is for each message */
    peer_says(peer, SPAN("more"));
    assert_int_equal(read_all(text_span(&peer->stream), true,
                              (struct decode_limits){ ROOM, 1000000 }, 64),
                     DECODE_OK);
    free(zeros);
    peer_free(peer);
}

static void test_damage_stays(void **state)
{
    (void)state;
    assert_int_equal(read_all(SPAN("\xc1\x82\0\0\0\0\xff\xff"
                                   "\x81\x82\0\0\0\0hi"),
                              true, limits, 3),
                     DECODE_CORRUPT);
    assert_int_equal(heard.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_the_examples_of_the_rfc),
        cmocka_unit_test(test_messages_of_every_window),
        cmocka_unit_test(test_a_message_may_not_lean_on_another),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_damage_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
