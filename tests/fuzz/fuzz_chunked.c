/* Chunked bodies of arbitrary bytes: every split gives the same data, the same end and
 * the same verdict. */
#include "proxy/http/chunked.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct decoded {
    enum fault fault;
    bool ended;
    size_t used;
    size_t len;
    char *data;
};

/* Takes all of one piece of input. */
static void feed(struct chunked *chunked, struct span piece, struct decoded *decoded)
{
    struct span data;

    while (piece.len > 0 && !decoded->ended && decoded->fault == FAULT_NONE) {
        size_t before = piece.len;

        decoded->fault = chunked_next(chunked, &piece, &data, &decoded->ended);
        decoded->used += before - piece.len;
        if (decoded->fault == FAULT_NONE && data.len > 0) {
            memcpy(decoded->data + decoded->len, data.at, data.len);
            decoded->len += data.len;
        }
    }
}

static struct decoded decode(struct span body, size_t step)
{
    struct decoded decoded = { .data = malloc(body.len + 1) };
    struct chunked chunked;

    CHECK(decoded.data != NULL);
    chunked_init(&chunked);
    while (body.len > 0 && !decoded.ended && decoded.fault == FAULT_NONE) {
        size_t len = body.len < step ? body.len : step;

        feed(&chunked, span_of(body.at, len), &decoded);
        body = span_after(body, len);
    }
    return decoded;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span body = span_of((const char *)bytes, size);
    struct decoded whole = decode(body, SIZE_MAX);

    for (size_t step = 1; step < 100; step = step * 3 + 1) {
        struct decoded split = decode(body, step);

        CHECK(split.fault == whole.fault && split.ended == whole.ended);
        CHECK(split.used == whole.used && split.len == whole.len);
        CHECK(memcmp(split.data, whole.data, whole.len) == 0);
        free(split.data);
    }
    free(whole.data);
    return 0;
}
