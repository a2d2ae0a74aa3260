/* br (RFC 7932). */
#include "filters/content/coding.h"
#include "proxy/base/wipe.h"

#include <brotli/decode.h>
#include <stdlib.h>

static void *take(void *unused, size_t size)
{
    (void)unused;
    return malloc(size);
}

static void give_back(void *unused, void *memory)
{
    (void)unused;
    wipe_free(memory);
}

static void *open_br(void)
{
    return BrotliDecoderCreateInstance(take, give_back, NULL);
}

static void close_br(void *state)
{
    BrotliDecoderDestroyInstance(state);
}

static enum decode_verdict failure(const BrotliDecoderState *decoder)
{
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(decoder);

    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                   code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
               ? DECODE_NO_MEMORY
               : DECODE_CORRUPT;
}

static enum decode_verdict step_br(void *state, struct span *in, struct room *room)
{
    const uint8_t *next_in = (const uint8_t *)in->at;
    uint8_t *next_out = (uint8_t *)room->at + room->used;
    size_t avail_in = in->len;
    size_t avail_out = room->size - room->used;
    BrotliDecoderResult result;

    if (BrotliDecoderIsFinished(state)) {
        return in->len == 0 ? DECODE_OK : DECODE_CORRUPT;
    }
    result = BrotliDecoderDecompressStream(state, &avail_in, &next_in, &avail_out,
                                           &next_out, NULL);
    *in = span_after(*in, in->len - avail_in);
    room->used = room->size - avail_out;
    if (result == BROTLI_DECODER_RESULT_ERROR) {
        return failure(state);
    }
    return result == BROTLI_DECODER_RESULT_SUCCESS && in->len > 0 ? DECODE_CORRUPT
                                                                  : DECODE_OK;
}

static bool is_whole(const void *state)
{
    return BrotliDecoderIsFinished(state);
}

const struct coding coding_br = { "br", NULL, open_br, close_br, step_br, is_whole };
