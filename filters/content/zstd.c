/* zstd (RFC 8878), any number of frames, skippable ones among them. */
#include "filters/content/coding.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* RFC 9659, section 3: a window of 8 MiB is the most that HTTP allows. */
enum { WINDOW_LOG_MAX = 23 };

struct zstd {
    ZSTD_DCtx *context;
    bool whole; /* a frame has just ended */
};

static void *open_zstd(void)
{
    struct zstd *zstd = calloc(1, sizeof(*zstd));

    if (zstd == NULL) {
        return NULL;
    }
    zstd->context = ZSTD_createDCtx();
    if (zstd->context == NULL) {
        free(zstd);
        return NULL;
    }
    (void)ZSTD_DCtx_setParameter(zstd->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return zstd;
}

static void close_zstd(void *state)
{
    struct zstd *zstd = state;

    (void)ZSTD_freeDCtx(zstd->context);
    free(zstd);
}

static enum decode_verdict failure(size_t result)
{
    ZSTD_ErrorCode code = ZSTD_getErrorCode(result);

    if (code == ZSTD_error_memory_allocation) {
        return DECODE_NO_MEMORY;
    }
    return code == ZSTD_error_frameParameter_windowTooLarge ? DECODE_OVER_LIMIT
                                                            : DECODE_CORRUPT;
}

static enum decode_verdict step_zstd(void *state, struct span *in, struct room *room)
{
    struct zstd *zstd = state;
    ZSTD_inBuffer input = { in->at, in->len, 0 };
    ZSTD_outBuffer output = { room->at, room->size, room->used };
    size_t result;

    /* Without input, a decoder between frames would begin to wait for the next one. */
    while (output.pos < output.size && (input.pos < input.size || !zstd->whole)) {
        size_t in_before = input.pos, out_before = output.pos;

        result = ZSTD_decompressStream(zstd->context, &output, &input);
        if (ZSTD_isError(result)) {
            return failure(result);
        }
        zstd->whole = result == 0;
        if (input.pos == in_before && output.pos == out_before) {
            break;
        }
    }
    *in = span_after(*in, input.pos);
    room->used = output.pos;
    return DECODE_OK;
}

static bool is_whole(const void *state)
{
    const struct zstd *zstd = state;

    return zstd->whole;
}

const struct coding coding_zstd = { "zstd",     NULL,      open_zstd,
                                    close_zstd, step_zstd, is_whole };
