/* Event streams of arbitrary bytes: every split gives the same data and events. */
#include "filters/frame/sse.h"
#include "proxy/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct digest {
    uint64_t sum;
    uint64_t data; /* bytes of the event being read */
    uint64_t events;
};

static void add(struct digest *digest, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        digest->sum = (digest->sum ^ (unsigned char)bytes.at[i]) * 0x100000001b3;
    }
}

static void note_data(void *self, struct span piece)
{
    struct digest *digest = self;

    CHECK(piece.len > 0);
    digest->data += piece.len;
    add(digest, piece);
}

static void note_event(void *self)
{
    struct digest *digest = self;

    add(digest, SPAN("|"));
    add(digest, span_of((const char *)&digest->data, sizeof(digest->data)));
    digest->data = 0;
    digest->events++;
}

/* Takes what looks like an object, up to its line end. */
static size_t take_object(void *self, struct span rest)
{
    size_t len = sse_line_end(rest);

    if (len == rest.len || rest.at[0] != '{') {
        return 0;
    }
    note_data(self, span_of(rest.at, len));
    return len;
}

static struct digest read_stream(struct span stream, size_t step)
{
    static const struct sse_sink sink = { .take = take_object,
                                          .data = note_data,
                                          .event = note_event };
    struct digest digest = { .sum = 0 };
    struct sse sse;

    sse_init(&sse);
    while (stream.len > 0) {
        size_t len = stream.len < step ? stream.len : step;

        sse_feed(&sse, span_of(stream.at, len), &sink, &digest);
        stream = span_after(stream, len);
    }
    add(&digest, sse_end(&sse, &sink, &digest) ? SPAN("open") : SPAN("closed"));
    CHECK(digest.events == sse.events && digest.data == 0);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span stream = span_of((const char *)bytes, size);
    struct digest whole = read_stream(stream, SIZE_MAX);

    for (size_t step = 1; step < 200; step = step * 3 + 1) {
        struct digest split = read_stream(stream, step);

        CHECK(split.sum == whole.sum && split.events == whole.events);
    }
    return 0;
}
