/* gzip (RFC 1952), and what HTTP calls deflate: zlib (RFC 1950), or raw deflate (RFC
 * 1951) as some senders misread it. */
#include "filters/content/coding.h"
#include "filters/content/zlib_memory.h"

enum {
    WINDOW_ZLIB = 15,
    WINDOW_GZIP = 15 + 16,
    WINDOW_RAW = -15,
    WINDOW_UNKNOWN = 0,
    FEED_MAX = 1 << 30, /* zlib counts with 32 bits */
    ZLIB_HEADER = 2
};

struct inflater {
    z_stream z;
    int window; /* which of the formats */
    bool ended; /* a member or stream has ended */
    uint8_t head_len;
    unsigned char head[ZLIB_HEADER]; /* held until the format is known */
};

static void *open_with(int window)
{
    struct inflater *inflater = calloc(1, sizeof(*inflater));

    if (inflater == NULL) {
        return NULL;
    }
    inflater->window = window;
    inflater->z = zlib_memory_stream();
    if (inflateInit2(&inflater->z, window == WINDOW_UNKNOWN ? WINDOW_ZLIB : window) !=
        Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

static void *open_gzip(void)
{
    return open_with(WINDOW_GZIP);
}

static void *open_deflate(void)
{
    return open_with(WINDOW_UNKNOWN);
}

static void close_inflate(void *state)
{
    struct inflater *inflater = state;

    (void)inflateEnd(&inflater->z);
    free(inflater);
}

static enum decode_verdict run(struct inflater *inflater, struct span *in,
                               struct room *room)
{
    z_stream *z = &inflater->z;
    size_t len = in->len < FEED_MAX ? in->len : FEED_MAX;
    int result;

    z->next_in = (z_const Bytef *)(uintptr_t)in->at;
    z->avail_in = (uInt)len;
    z->next_out = (Bytef *)room->at + room->used;
    z->avail_out = (uInt)(room->size - room->used);
    result = inflate(z, Z_SYNC_FLUSH);
    *in = span_after(*in, len - z->avail_in);
    room->used = room->size - z->avail_out;
    switch (result) {
    case Z_STREAM_END:
        inflater->ended = true;
        return DECODE_OK;
    case Z_OK:
    case Z_BUF_ERROR: /* no input or no room: not an error */
        return DECODE_OK;
    case Z_MEM_ERROR:
        return DECODE_NO_MEMORY;
    default:
        return DECODE_CORRUPT;
    }
}

static bool is_full(const struct room *room)
{
    return room->used == room->size;
}

static enum decode_verdict step_gzip(void *state, struct span *in, struct room *room)
{
    struct inflater *inflater = state;
    enum decode_verdict verdict = DECODE_OK;

    while (verdict == DECODE_OK && !is_full(room)) {
        if (inflater->ended) {
            if (in->len == 0) {
                break;
            }
            (void)inflateReset(&inflater->z);
            inflater->ended = false;
        }
        verdict = run(inflater, in, room);
        if (in->len == 0 && !inflater->ended) {
            break;
        }
    }
    return verdict;
}

/* RFC 1950, section 2.2. Raw deflate begins so only if a stored block has padding that
 * is not zero, which no encoder writes. */
static bool is_zlib_header(const unsigned char *head)
{
    return (head[0] & 0x0f) == 8 && head[0] >> 4 <= 7 &&
           (head[0] << 8 | head[1]) % 31 == 0;
}

/* Takes the bytes that tell zlib from raw deflate, then decodes them. */
static enum decode_verdict begin_deflate(struct inflater *inflater, struct span *in,
                                         struct room *room)
{
    struct span head;

    while (inflater->head_len < ZLIB_HEADER && in->len > 0) {
        inflater->head[inflater->head_len++] = (unsigned char)in->at[0];
        *in = span_after(*in, 1);
    }
    if (inflater->head_len < ZLIB_HEADER) {
        return DECODE_OK;
    }
    inflater->window = is_zlib_header(inflater->head) ? WINDOW_ZLIB : WINDOW_RAW;
    (void)inflateReset2(&inflater->z, inflater->window);
    head = span_of((const char *)inflater->head, ZLIB_HEADER);
    return run(inflater, &head, room);
}

static enum decode_verdict step_deflate(void *state, struct span *in, struct room *room)
{
    struct inflater *inflater = state;
    enum decode_verdict verdict = DECODE_OK;

    if (inflater->window == WINDOW_UNKNOWN) {
        verdict = begin_deflate(inflater, in, room);
    }
    if (inflater->ended) {
        return in->len == 0 ? verdict : DECODE_CORRUPT;
    }
    if (verdict == DECODE_OK && inflater->window != WINDOW_UNKNOWN) {
        verdict = run(inflater, in, room);
    }
    if (verdict == DECODE_OK && inflater->ended && in->len > 0) {
        verdict = DECODE_CORRUPT;
    }
    return verdict;
}

static bool is_whole(const void *state)
{
    const struct inflater *inflater = state;

    return inflater->ended;
}

const struct coding coding_gzip = { "gzip",        "x-gzip",  open_gzip,
                                    close_inflate, step_gzip, is_whole };

const struct coding coding_deflate = { "deflate",     NULL,         open_deflate,
                                       close_inflate, step_deflate, is_whole };
