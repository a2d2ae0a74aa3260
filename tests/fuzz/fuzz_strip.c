/* Streams of arbitrary bytes through the removal of the usage chunk: every
 * split gives the same output, which is the input without at most one event
 * that speaks of usage. */
#include "proxy/base/check.h"
#include "proxy/engine/splice.h"

#include <stdlib.h>

enum { STREAM_MAX = 16 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct output {
    size_t len;
    char bytes[STREAM_MAX];
};

static void output_add(void *self, struct span piece)
{
    struct output *output = self;

    CHECK(piece.len > 0 && piece.len <= STREAM_MAX - output->len);
    memcpy(output->bytes + output->len, piece.at, piece.len);
    output->len += piece.len;
}

static void strip_stream(struct span stream, size_t step, struct output *output)
{
    struct strip *strip = strip_new();

    CHECK(strip != NULL);
    output->len = 0;
    while (stream.len > 0) {
        size_t len = stream.len < step ? stream.len : step;

        strip_feed(strip, span_of(stream.at, len), output_add, output);
        stream = span_after(stream, len);
    }
    strip_end(strip, output_add, output);
    strip_free(strip);
}

/* Two bytes at a line's end: one line, or the blank line that ends an event. */
static bool ends_event(struct span event)
{
    struct span before = span_of(event.at, event.len - 1);

    return span_ends(before, SPAN("\n")) || span_ends(before, SPAN("\r"));
}

static void check_removed(struct span stream, struct span kept)
{
    struct span removed;
    size_t front = 0;

    CHECK(kept.len <= stream.len);
    while (front < kept.len && stream.at[front] == kept.at[front]) {
        front++;
    }
    /* The same bytes may stand on both sides of the hole: any place of it will do. */
    removed = span_of(stream.at + front, stream.len - kept.len);
    CHECK(span_equal(span_after(stream, front + removed.len), span_after(kept, front)));
    if (removed.len == 0) {
        return;
    }
    CHECK(memmem(stream.at, stream.len, "\"usage\"", 7) != NULL);
    for (size_t back = 0; !span_starts(removed, SPAN("data:")); back++) {
        CHECK(back < front);
        removed.at--;
        CHECK(removed.at[0] == removed.at[removed.len]);
    }
    CHECK(ends_event(removed) || removed.at + removed.len == stream.at + stream.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct output whole, split;
    struct span stream = span_of((const char *)bytes, size);

    if (size > STREAM_MAX) {
        return 0;
    }
    strip_stream(stream, SIZE_MAX, &whole);
    check_removed(stream, span_of(whole.bytes, whole.len));
    for (size_t step = 1; step < 200; step = step * 3 + 1) {
        strip_stream(stream, step, &split);
        CHECK(span_equal(span_of(split.bytes, split.len),
                         span_of(whole.bytes, whole.len)));
    }
    return 0;
}
