#include "filters/content/decode.h"
#include "proxy/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define BOMBS "../shared/vectors/bombs/"

static const char *const events[] = {
    "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\" world\"}}]}\n\n",
    "data: [DONE]\n\n",
};

enum { EVENTS = sizeof(events) / sizeof(events[0]), FIXTURE_MAX = 4096 };

/* An event stream in a coding, flushed after every event. */
struct fixture {
    const char *coding;
    unsigned char bytes[FIXTURE_MAX];
    size_t len;
    size_t flushed[EVENTS]; /* where the bytes of each event end */
};

/* What libbrotlienc makes of the events (window 2^18), flushed at 54, 72 and 90. */
static const unsigned char br_bytes[] = {
    0x03, 0x19, 0x00, 0x60, 0x1d, 0x87, 0xb1, 0xf3, 0xa4, 0x49, 0x1b, 0x45, 0x91,
    0xe6, 0xef, 0x94, 0x5a, 0x64, 0x6f, 0x4b, 0x67, 0x2b, 0xe8, 0x74, 0xf5, 0x09,
    0x10, 0xd8, 0x80, 0x03, 0xf6, 0x44, 0xe3, 0x68, 0x1b, 0x36, 0xe0, 0xc4, 0xe2,
    0xb4, 0x75, 0x68, 0x99, 0xdb, 0xf8, 0xd4, 0x1c, 0xe3, 0xa4, 0xbf, 0xbb, 0xfb,
    0x06, 0x03, 0x98, 0x01, 0x80, 0x5f, 0x0a, 0x84, 0x2c, 0x0b, 0x59, 0xc4, 0x99,
    0x2c, 0x40, 0x08, 0x37, 0x86, 0x65, 0x0c, 0x68, 0x00, 0x80, 0x5f, 0x52, 0x61,
    0xab, 0x2b, 0x09, 0x50, 0x44, 0x93, 0x58, 0x49, 0x5d, 0xf8, 0x31, 0x00, 0x03,
};

/* 1 MiB of zeros. */
static const unsigned char br_bomb[] = { 0x5b, 0xff, 0xff, 0x8f, 0x7f, 0x02, 0x20,
                                         0x1e, 0x0b, 0x04, 0x72, 0xef, 0x1f, 0x00 };

static const struct decode_limits no_limits = { UINT64_MAX, UINT32_MAX };

/* ---- encoding -------------------------------------------------------------------- */

static void deflate_some(z_stream *z, struct fixture *fixture, const char *text,
                         int flush)
{
    unsigned char copy[256];

    assert_true(strlen(text) < sizeof(copy));
    memcpy(copy, text, strlen(text));
    z->next_in = copy;
    z->avail_in = (uInt)strlen(text);
    z->next_out = fixture->bytes + fixture->len;
    z->avail_out = (uInt)(FIXTURE_MAX - fixture->len);
    assert_int_equal(deflate(z, flush), flush == Z_FINISH ? Z_STREAM_END : Z_OK);
    fixture->len = FIXTURE_MAX - z->avail_out;
}

static struct fixture deflated(const char *coding, int window)
{
    struct fixture fixture = { .coding = coding };
    z_stream z = { .avail_in = 0 };

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    for (size_t i = 0; i < EVENTS; i++) {
        deflate_some(&z, &fixture, events[i], Z_SYNC_FLUSH);
        fixture.flushed[i] = fixture.len;
    }
    deflate_some(&z, &fixture, "", Z_FINISH);
    assert_int_equal(deflateEnd(&z), Z_OK);
    return fixture;
}

static struct fixture zstd_compressed(void)
{
    struct fixture fixture = { .coding = "zstd" };
    ZSTD_CStream *stream = ZSTD_createCStream();
    ZSTD_outBuffer out = { fixture.bytes, FIXTURE_MAX, 0 };
    ZSTD_inBuffer none = { NULL, 0, 0 };

    assert_non_null(stream);
    for (size_t i = 0; i < EVENTS; i++) {
        ZSTD_inBuffer in = { events[i], strlen(events[i]), 0 };

        assert_int_equal(ZSTD_compressStream2(stream, &out, &in, ZSTD_e_flush), 0);
        fixture.flushed[i] = out.pos;
    }
    assert_int_equal(ZSTD_compressStream2(stream, &out, &none, ZSTD_e_end), 0);
    fixture.len = out.pos;
    (void)ZSTD_freeCStream(stream);
    return fixture;
}

static struct fixture brotli_compressed(void)
{
    struct fixture fixture = { .coding = "br",
                               .len = sizeof(br_bytes),
                               .flushed = { 54, 72, 90 } };

    memcpy(fixture.bytes, br_bytes, sizeof(br_bytes));
    return fixture;
}

/* Encodes bytes once more. */
static size_t gzip_whole(struct span text, unsigned char *out, size_t size)
{
    z_stream z = { .avail_in = 0 };
    unsigned char *copy = malloc(text.len);

    assert_non_null(copy);
    memcpy(copy, text.at, text.len);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = copy;
    z.avail_in = (uInt)text.len;
    z.next_out = out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(deflateEnd(&z), Z_OK);
    free(copy);
    return size - z.avail_out;
}

/* ---- decoding -------------------------------------------------------------------- */

/* The front of what came out, and how much it was. */
struct record {
    char text[1024];
    size_t len;
    size_t longest;
};

static void note(void *self, struct span piece)
{
    struct record *record = self;

    assert_true(piece.len > 0);
    if (record->len + piece.len <= sizeof(record->text)) {
        memcpy(record->text + record->len, piece.at, piece.len);
    }
    record->len += piece.len;
    record->longest = piece.len > record->longest ? piece.len : record->longest;
}

static enum decode_verdict feed_copy(struct decode *decode, struct span bytes,
                                     struct record *record)
{
    char *copy = malloc(bytes.len);
    enum decode_verdict verdict;

    assert_true(copy != NULL || bytes.len == 0);
    if (bytes.len > 0) {
        memcpy(copy, bytes.at, bytes.len);
    }
    verdict = decode_feed(decode, span_of(copy, bytes.len), note, record);
    free(copy);
    return verdict;
}

static enum decode_verdict decode_in_two(const char *coding, struct span bytes,
                                         size_t split, struct record *record)
{
    struct decode *decode = decode_new(span_text(coding), no_limits);
    enum decode_verdict verdict;

    assert_non_null(decode);
    *record = (struct record){ .len = 0 };
    (void)feed_copy(decode, span_of(bytes.at, split), record);
    (void)feed_copy(decode, span_after(bytes, split), record);
    verdict = decode_end(decode);
    (void)decode_free(decode);
    return verdict;
}

static struct span plain_text(void)
{
    static char text[512];

    (void)snprintf(text, sizeof(text), "%s%s%s", events[0], events[1], events[2]);
    return span_text(text);
}

/* The bytes decode to `times` copies of the events, at every split. */
static void expect_events(const char *coding, struct span bytes, unsigned times)
{
    struct span text = plain_text();

    for (size_t split = 0; split <= bytes.len; split++) {
        struct record record;

        assert_int_equal(decode_in_two(coding, bytes, split, &record), DECODE_OK);
        assert_int_equal(record.len, times * text.len);
        for (unsigned i = 0; i < times; i++) {
            assert_memory_equal(record.text + i * text.len, text.at, text.len);
        }
    }
}

static void expect_corrupt(const char *coding, struct span bytes)
{
    for (size_t split = 0; split <= bytes.len; split++) {
        struct record record;

        assert_int_equal(decode_in_two(coding, bytes, split, &record), DECODE_CORRUPT);
    }
}

static struct span fixture_span(const struct fixture *fixture)
{
    return span_of((const char *)fixture->bytes, fixture->len);
}

static void fixtures(struct fixture all[5])
{
    all[0] = deflated("gzip", 31);
    all[1] = deflated("deflate", 15);
    all[2] = deflated("deflate", -15);
    all[3] = brotli_compressed();
    all[4] = zstd_compressed();
}

static void every_coding_at_every_split(void **state)
{
    struct fixture all[5];

    (void)state;
    fixtures(all);
    for (size_t i = 0; i < 5; i++) {
        expect_events(all[i].coding, fixture_span(&all[i]), 1);
    }
    expect_events("X-GZip", fixture_span(&all[0]), 1);
    expect_events("", plain_text(), 1);
    expect_events("identity", plain_text(), 1);
}

/* Byte by byte: an event is out as soon as its bytes are in. */
static void events_are_not_held_back(void **state)
{
    struct fixture all[5];

    (void)state;
    fixtures(all);
    for (size_t i = 0; i < 5; i++) {
        struct decode *decode = decode_new(span_text(all[i].coding), no_limits);
        struct record record = { .len = 0 };
        size_t next = 0, plain = 0;

        for (size_t at = 0; at < all[i].len; at++) {
            struct span byte = span_of((const char *)all[i].bytes + at, 1);

            assert_int_equal(feed_copy(decode, byte, &record), DECODE_OK);
            if (next < EVENTS && at + 1 == all[i].flushed[next]) {
                plain += strlen(events[next++]);
                assert_int_equal(record.len, plain);
            }
        }
        assert_int_equal(next, EVENTS);
        assert_int_equal(decode_end(decode), DECODE_OK);
        (void)decode_free(decode);
    }
}

static void members_and_frames_follow_each_other(void **state)
{
    static const char skippable[] = "\x50\x2a\x4d\x18\x03\x00\x00\x00xyz";
    struct fixture gzip = deflated("gzip", 31);
    struct fixture zstd = zstd_compressed();
    char twice[2 * FIXTURE_MAX];
    size_t len = gzip.len;

    (void)state;
    memcpy(twice, gzip.bytes, len);
    memcpy(twice + len, gzip.bytes, len);
    expect_events("gzip", span_of(twice, 2 * len), 2);

    len = 0;
    for (int i = 0; i < 2; i++) {
        memcpy(twice + len, skippable, sizeof(skippable) - 1);
        len += sizeof(skippable) - 1;
        memcpy(twice + len, zstd.bytes, zstd.len);
        len += zstd.len;
    }
    memcpy(twice + len, skippable, sizeof(skippable) - 1);
    expect_events("zstd", span_of(twice, len + sizeof(skippable) - 1), 2);
}

static void chains_are_undone_from_the_right(void **state)
{
    struct fixture br = brotli_compressed();
    unsigned char once[FIXTURE_MAX], twice[FIXTURE_MAX];
    size_t once_len = gzip_whole(fixture_span(&br), once, sizeof(once));
    struct span once_span = span_of((const char *)once, once_len);
    size_t twice_len = gzip_whole(once_span, twice, sizeof(twice));

    (void)state;
    expect_events("br, gzip", once_span, 1);
    expect_events("identity,br,,gzip,", once_span, 1);
    expect_events("br,gzip , x-gzip", span_of((const char *)twice, twice_len), 1);
    expect_corrupt("gzip, br", once_span);
}

static void damage_is_noticed(void **state)
{
    struct fixture all[5];

    (void)state;
    fixtures(all);
    for (size_t i = 0; i < 5; i++) {
        struct span bytes = fixture_span(&all[i]);
        char longer[FIXTURE_MAX + 1];
        struct record record;

        for (size_t len = 1; len < bytes.len; len++) {
            assert_int_equal(decode_in_two(all[i].coding, span_of(bytes.at, len),
                                           len / 2, &record),
                             DECODE_CORRUPT);
        }
        memcpy(longer, bytes.at, bytes.len);
        longer[bytes.len] = 'x';
        expect_corrupt(all[i].coding, span_of(longer, bytes.len + 1));
        expect_corrupt(all[i].coding, SPAN("plain text in place of it"));
        assert_int_equal(decode_in_two(all[i].coding, SPAN(""), 0, &record), DECODE_OK);
    }
}

static void nothing_comes_after_a_verdict(void **state)
{
    struct decode *decode = decode_new(SPAN("gzip"), no_limits);
    struct fixture gzip = deflated("gzip", 31);
    struct record record = { .len = 0 };

    (void)state;
    assert_int_equal(feed_copy(decode, SPAN("no gzip"), &record), DECODE_CORRUPT);
    assert_int_equal(feed_copy(decode, fixture_span(&gzip), &record), DECODE_CORRUPT);
    assert_int_equal(decode_end(decode), DECODE_CORRUPT);
    assert_int_equal(record.len, 0);
    (void)decode_free(decode);
}

static void brotli_bomb_is_stopped(void **state)
{
    const struct span bomb = span_of((const char *)br_bomb, sizeof(br_bomb));
    struct record record = { .len = 0 };
    struct decode *decode =
        decode_new(SPAN("br"),
                   (struct decode_limits){ .bytes = 1 << 26, .ratio = 200 });

    (void)state;
    assert_int_equal(feed_copy(decode, bomb, &record), DECODE_OVER_LIMIT);
    assert_in_range(record.len, 1, 65536);
    (void)decode_free(decode);
    assert_int_equal(decode_in_two("br", bomb, 3, &record), DECODE_OK);
    assert_int_equal(record.len, 1 << 20);
    assert_in_range(record.longest, 1, 32768);
}

/* RFC 9659: the frame asks for a window of 2^24. */
static void zstd_window_is_bounded(void **state)
{
    struct record record;

    (void)state;
    assert_int_equal(decode_in_two("zstd", SPAN("\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00"),
                                   4, &record),
                     DECODE_OVER_LIMIT);
    assert_int_equal(decode_in_two("zstd", SPAN("\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00"),
                                   4, &record),
                     DECODE_OK);
}

/* ---- the shared bombs ------------------------------------------------------------ */

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void bombs_are_stopped(void **state)
{
    static const struct {
        const char *name, *coding;
        struct decode_limits limits;
        enum decode_verdict verdict;
        size_t least, most; /* decoded bytes */
    } bombs[] = {
        { "zeros-1GiB.gz",
          "gzip",
          { 64 << 20, 200 },
          DECODE_OVER_LIMIT,
          65536,
          64 << 20 },
        { "zeros-1GiB.gz",
          "gzip",
          { 64 << 20, 2000 },
          DECODE_OVER_LIMIT,
          60 << 20,
          64 << 20 },
        { "nested2-1GiB.gz.gz",
          "gzip, gzip",
          { 64 << 20, 200 },
          DECODE_OVER_LIMIT,
          0,
          400000 },
        { "multi-member-1000x1MiB.gz",
          "gzip",
          { 64 << 20, 200 },
          DECODE_OVER_LIMIT,
          65536,
          64 << 20 },
        { "multi-member-1000x1MiB.gz",
          "gzip",
          { UINT64_MAX, 2000 },
          DECODE_OK,
          1000 << 20,
          1000 << 20 },
        { "zeros-10MiB.gz", "gzip", { 64 << 20, 2000 }, DECODE_OK, 10 << 20, 10 << 20 },
        { "zeros-10MiB.zlib",
          "deflate",
          { 64 << 20, 2000 },
          DECODE_OK,
          10 << 20,
          10 << 20 },
        { "zeros-10MiB.rawdeflate",
          "deflate",
          { 64 << 20, 2000 },
          DECODE_OK,
          10 << 20,
          10 << 20 },
        { "badcrc.gz", "gzip", { 64 << 20, 2000 }, DECODE_CORRUPT, 10 << 20, 10 << 20 },
        { "trunc.gz", "gzip", { 64 << 20, 2000 }, DECODE_CORRUPT, 1, 10 << 20 },
        { "trailing-garbage.gz", "gzip", { 64 << 20, 2000 }, DECODE_CORRUPT, 2, 2 },
    };
    static char piece[16384];

    (void)state;
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        struct record record = { .len = 0 };
        enum decode_verdict verdict = DECODE_OK;
        struct decode *decode;
        double begin = cpu_seconds();
        char path[256];
        FILE *file;
        size_t len;

        (void)snprintf(path, sizeof(path), "%s%s", BOMBS, bombs[i].name);
        file = fopen(path, "rb");
        if (file == NULL) {
            print_message("skipped: no %s\n", path);
            skip();
        }
        decode = decode_new(span_text(bombs[i].coding), bombs[i].limits);
        while (verdict == DECODE_OK &&
               (len = fread(piece, 1, sizeof(piece), file)) > 0) {
            verdict = decode_feed(decode, span_of(piece, len), note, &record);
        }
        print_message("# %s: %zu bytes in %.3f s\n", bombs[i].name, record.len,
                      cpu_seconds() - begin);
        assert_int_equal(decode_end(decode), bombs[i].verdict);
        assert_in_range(record.len, bombs[i].least, bombs[i].most);
        assert_in_range(record.longest, 1, 32768);
        (void)decode_free(decode);
        (void)fclose(file);
    }
}

/* ---- names ----------------------------------------------------------------------- */

static void codings_are_known_by_name(void **state)
{
    (void)state;
    assert_true(decode_known(SPAN("")));
    assert_true(decode_known(SPAN("identity")));
    assert_true(decode_known(SPAN(" GZIP ,\tbr,zstd")));
    assert_false(decode_known(SPAN("gzip, compress")));
    assert_false(decode_known(SPAN("gzip,gzip,gzip,gzip")));
    assert_false(decode_known(SPAN("gzip;q=1")));
    assert_false(decode_needed(SPAN("")));
    assert_false(decode_needed(SPAN("identity, identity")));
    assert_true(decode_needed(SPAN("br")));
    assert_true(decode_needed(SPAN("aws-chunked")));
}

static void expect_accept(const char *value, const char *reduced)
{
    char memory[256];
    struct text out = text_over(memory, sizeof(memory));

    text_put(&out, SPAN("front "));
    decode_accept(span_text(value), &out);
    assert_false(out.full);
    text_put_char(&out, '\0');
    assert_string_equal(memory + 6, reduced);
}

static void accept_encoding_is_reduced(void **state)
{
    (void)state;
    expect_accept("gzip, deflate, br, zstd", "gzip, deflate, br, zstd");
    expect_accept("gzip;q=1.0 , compress, br ;q=0.5", "gzip;q=1.0, br;q=0.5");
    expect_accept("", "identity");
    expect_accept("compress, dcb", "identity");
    expect_accept("identity", "identity");
    expect_accept("dcz, identity;q=0", "identity;q=0");
    expect_accept("gzip, *;q=0", "gzip, *;q=0");
    expect_accept("*", "gzip, deflate, br, zstd");
    expect_accept("br, x-gzip;q=0, *;q=0.1",
                  "br, x-gzip;q=0, deflate;q=0.1, zstd;q=0.1");
    expect_accept(",, ,GZIP", "GZIP");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_coding_at_every_split),
        cmocka_unit_test(events_are_not_held_back),
        cmocka_unit_test(members_and_frames_follow_each_other),
        cmocka_unit_test(chains_are_undone_from_the_right),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(nothing_comes_after_a_verdict),
        cmocka_unit_test(brotli_bomb_is_stopped),
        cmocka_unit_test(zstd_window_is_bounded),
        cmocka_unit_test(bombs_are_stopped),
        cmocka_unit_test(codings_are_known_by_name),
        cmocka_unit_test(accept_encoding_is_reduced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
