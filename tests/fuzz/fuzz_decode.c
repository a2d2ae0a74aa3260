/* Encoded bodies of arbitrary bytes behind a byte that chooses the coding: bounded
 * pieces, a bounded sum, and what decodes whole decodes the same at every split. */
#include "filters/content/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { DECODED_MAX = 1 << 20, PIECE_MAX = 32 * 1024 };

static const char *const codings[] = { "gzip",
                                       "deflate",
                                       "br",
                                       "zstd",
                                       "gzip, br",
                                       "zstd, gzip",
                                       "deflate,deflate, x-gzip",
                                       "identity" };

struct digest {
    uint64_t sum;
    uint64_t len;
};

static void note(void *self, struct span piece)
{
    struct digest *digest = self;

    CHECK(piece.len > 0 && piece.len <= PIECE_MAX);
    digest->len += piece.len;
    for (size_t i = 0; i < piece.len; i++) {
        digest->sum = (digest->sum ^ (unsigned char)piece.at[i]) * 0x100000001b3;
    }
}

/* Without a cap on the ratio, which depends on how much has come so far. */
static enum decode_verdict decode_body(const char *coding, struct span body,
                                       size_t step, struct digest *digest)
{
    const struct decode_limits limits = { .bytes = DECODED_MAX, .ratio = UINT32_MAX };
    struct decode *decode = decode_new(span_text(coding), limits);
    enum decode_verdict verdict;

    CHECK(decode != NULL);
    *digest = (struct digest){ .sum = 0 };
    while (body.len > 0) {
        size_t len = body.len < step ? body.len : step;

        (void)decode_feed(decode, span_of(body.at, len), note, digest);
        body = span_after(body, len);
    }
    verdict = decode_end(decode);
    (void)decode_free(decode);
    CHECK(digest->len <= DECODED_MAX);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct digest whole, split;
    enum decode_verdict verdict;
    const char *coding;
    struct span body;

    if (size == 0) {
        return 0;
    }
    coding = codings[bytes[0] % (sizeof(codings) / sizeof(codings[0]))];
    body = span_of((const char *)bytes + 1, size - 1);
    verdict = decode_body(coding, body, SIZE_MAX, &whole);
    for (size_t step = 1; step < 100; step = step * 5 + 1) {
        enum decode_verdict other = decode_body(coding, body, step, &split);

        if (verdict == DECODE_OK) {
            CHECK(other == DECODE_OK && split.sum == whole.sum &&
                  split.len == whole.len);
        }
    }
    return 0;
}
