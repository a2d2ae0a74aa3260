/* JSON lines of arbitrary bytes: every split gives the same documents, and nothing but
 * white space is lost between them. */
#include "filters/frame/lines.h"
#include "proxy/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct digest {
    uint64_t sum;
    uint64_t data;
    uint64_t documents;
};

static void note_data(void *self, struct span piece)
{
    struct digest *digest = self;

    CHECK(piece.len > 0);
    digest->data += piece.len;
    for (size_t i = 0; i < piece.len; i++) {
        digest->sum = (digest->sum ^ (unsigned char)piece.at[i]) * 0x100000001b3;
    }
}

static void note_document(void *self)
{
    struct digest *digest = self;

    digest->sum = (digest->sum ^ digest->data) * 0x100000001b3;
    digest->documents++;
}

static struct digest read_stream(struct span stream, size_t step)
{
    static const struct lines_sink sink = { note_data, note_document };
    struct digest digest = { .sum = 0 };
    struct lines lines;

    lines_init(&lines);
    while (stream.len > 0) {
        size_t len = stream.len < step ? stream.len : step;

        lines_feed(&lines, span_of(stream.at, len), &sink, &digest);
        stream = span_after(stream, len);
    }
    digest.sum += lines_end(&lines, &sink, &digest);
    CHECK(digest.documents == lines.documents);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span stream = span_of((const char *)bytes, size);
    struct digest whole = read_stream(stream, SIZE_MAX);
    size_t spaces = 0;

    for (size_t i = 0; i < size; i++) {
        spaces += bytes[i] != 0 && strchr(" \t\r\n\x1e", bytes[i]) != NULL;
    }
    CHECK(whole.data <= size && whole.data + spaces >= size);
    for (size_t step = 1; step < 200; step = step * 3 + 1) {
        struct digest split = read_stream(stream, step);

        CHECK(split.sum == whole.sum && split.documents == whole.documents);
    }
    return 0;
}
