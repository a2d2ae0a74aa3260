/* AWS event streams of arbitrary bytes: every split gives the same messages and
 * verdict, and nothing is delivered behind damage. */
#include "filters/frame/eventstream.h"
#include "proxy/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct digest {
    uint64_t sum; /* of payloads of messages that ended */
    uint64_t open;
    uint64_t begun, ended;
};

static void on_begin(void *self)
{
    struct digest *digest = self;

    CHECK(digest->begun == digest->ended);
    digest->begun++;
    digest->open = 0;
}

static void on_data(void *self, struct span piece)
{
    struct digest *digest = self;

    CHECK(piece.len > 0 && digest->begun == digest->ended + 1);
    for (size_t i = 0; i < piece.len; i++) {
        digest->open = (digest->open ^ (unsigned char)piece.at[i]) * 0x100000001b3;
    }
}

static void on_message(void *self, enum eventstream_kind kind)
{
    struct digest *digest = self;

    digest->ended++;
    digest->sum = (digest->sum ^ digest->open ^ (uint64_t)kind) * 0x100000001b3;
}

static struct digest read_stream(struct span stream, size_t step, bool *complete)
{
    static const struct eventstream_sink sink = { on_begin, on_data, on_message };
    struct eventstream parser;
    struct digest digest = { .sum = 0 };

    eventstream_init(&parser);
    while (stream.len > 0) {
        size_t len = stream.len < step ? stream.len : step;

        (void)eventstream_feed(&parser, span_of(stream.at, len), &sink, &digest);
        stream = span_after(stream, len);
    }
    *complete = eventstream_end(&parser);
    CHECK(parser.messages == digest.ended);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span stream = span_of((const char *)bytes, size);
    bool complete, split_complete;
    struct digest whole = read_stream(stream, SIZE_MAX, &complete);

    for (size_t step = 1; step < 200; step = step * 3 + 1) {
        struct digest split = read_stream(stream, step, &split_complete);

        CHECK(split.sum == whole.sum && split.ended == whole.ended);
        CHECK(split.begun == whole.begun && split_complete == complete);
    }
    return 0;
}
