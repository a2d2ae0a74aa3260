#include "filters/count/bpe.h"

#include "filters/count/merge.h"
#include "filters/count/split.h"
#include "proxy/base/check.h"

#include <endian.h>
#include <stdlib.h>

enum { PIECES = 256, PENDING_MIN = 4096, CHARACTER_MAX = 4 };

static const struct ranks *encoding_ranks(enum encoding encoding)
{
    return ranks_of(encoding == ENCODING_CL100K_BASE ? RANKS_CL100K : RANKS_O200K);
}

static enum split_pattern encoding_pattern(enum encoding encoding)
{
    return encoding == ENCODING_CL100K_BASE ? SPLIT_CL100K : SPLIT_O200K;
}

/* 16 bytes, zeros from `limit` on. */
static inline struct wide_key load_wide(const char *at, const char *limit)
{
    struct wide_key key = { 0, 0 };
    size_t len = (size_t)(limit - at);

    if (len >= sizeof(key)) {
        memcpy(&key, at, sizeof(key));
    } else {
        memcpy(&key, at, len);
    }
    key.low = le64toh(key.low);
    key.high = le64toh(key.high);
    return key;
}

static inline bool is_token(const struct ranks *ranks, struct span piece,
                            const char *limit)
{
    struct wide_key key;
    uint64_t mark = (uint64_t)piece.len << 56;

    if (piece.len > WIDE_TOKEN_MAX) {
        return piece.len <= TOKEN_MAX && ranks_has_long(ranks, piece);
    }
    key = load_wide(piece.at, limit);
    if (piece.len <= SHORT_TOKEN_MAX) {
        key.low &= ~(UINT64_MAX << 8 * piece.len);
        return ranks_has_short(ranks, key.low | mark);
    }
    key.high &= ~(UINT64_MAX << 8 * (piece.len - 8));
    key.high |= mark;
    return ranks_has_wide(ranks, key);
}

/* The tokens of the pieces (at most PIECES) of a text. */
static uint64_t count_pieces(const struct ranks *ranks, struct span text,
                             const uint32_t *ends, size_t pieces)
{
    struct span others[PIECES] __attribute__((uninitialized));
    const char *limit = text.at + text.len;
    size_t begin = 0, other = 0;

    for (size_t i = 0; i < pieces; i++) {
        struct span piece = span_of(text.at + begin, ends[i] - begin);

        others[other] = piece;
        other += is_token(ranks, piece, limit) ? 0 : 1;
        begin = ends[i];
    }
    return pieces - other + merge_count(ranks, others, other);
}

/* Counts pieces off the front of a text and drops them from it, as many as have an end
 * within the next BPE_PIECE_MAX bytes. */
static uint64_t count_front(enum encoding encoding, struct span *text,
                            enum split_more more)
{
    const struct ranks *ranks = encoding_ranks(encoding);
    uint32_t ends[PIECES];
    uint64_t count = 0;
    size_t pieces;

    do {
        struct span front = *text;

        if (front.len > BPE_PIECE_MAX) {
            front.len = BPE_PIECE_MAX;
            pieces =
                split_text(encoding_pattern(encoding), front, SPLIT_MORE, ends, PIECES);
        } else {
            pieces = split_text(encoding_pattern(encoding), front, more, ends, PIECES);
        }
        if (pieces > 0) {
            count += count_pieces(ranks, front, ends, pieces);
            *text = span_after(*text, ends[pieces - 1]);
        }
    } while (pieces > 0);
    return count;
}

uint64_t bpe_count(enum encoding encoding, struct span text)
{
    struct bpe_stream stream;
    uint64_t count;

    if (encoding == ENCODING_UNKNOWN) {
        return 0;
    }
    count = count_front(encoding, &text, SPLIT_LAST);
    if (text.len > 0) { /* a piece that is too long, or bytes that are not UTF-8 */
        bpe_stream_init(&stream, encoding);
        bpe_stream_feed(&stream, text);
        count += bpe_stream_end(&stream);
    }
    return count;
}

/* How much of valid UTF-8 a piece may be: BPE_PIECE_MAX bytes in whole characters. */
static size_t piece_limit(const char *text, size_t len)
{
    size_t limit = BPE_PIECE_MAX;

    while (limit < len && ((unsigned char)text[limit] & 0xc0) == 0x80) {
        limit--;
    }
    return limit;
}

/* Counts what is pending, but for a last piece that what follows may change. */
static void stream_count(struct bpe_stream *stream, enum split_more more)
{
    struct span left = span_of(stream->pending, stream->pending_len);
    uint32_t end;

    stream->count += count_front(stream->encoding, &left, more);
    while (left.len >= BPE_PIECE_MAX) {
        struct span front = span_of(left.at, piece_limit(left.at, left.len));

        CHECK(split_text(encoding_pattern(stream->encoding), front, SPLIT_LAST, &end,
                         1) == 1);
        stream->count += count_pieces(encoding_ranks(stream->encoding), front, &end, 1);
        left = span_after(left, end);
        stream->count += count_front(stream->encoding, &left, more);
    }
    memmove(stream->pending, left.at, left.len);
    stream->pending_len = left.len;
}

/* Room for one more character. After that, at least half of the memory is free, so the
 * work is linear in the text; the memory is at most twice the longest piece. */
static void stream_make_room(struct bpe_stream *stream)
{
    if (stream->pending_len + CHARACTER_MAX <= stream->pending_cap) {
        return;
    }
    if (stream->pending_len > 0) {
        stream_count(stream, SPLIT_MORE);
    }
    if (stream->pending_len >= stream->pending_cap / 2) {
        stream->pending_cap =
            stream->pending_cap == 0 ? PENDING_MIN : 2 * stream->pending_cap;
        stream->pending = realloc(stream->pending, stream->pending_cap);
        CHECK(stream->pending != NULL);
    }
}

static void stream_put(struct bpe_stream *stream, const void *character, size_t len)
{
    stream_make_room(stream);
    memcpy(stream->pending + stream->pending_len, character, len);
    stream->pending_len += len;
}

static void stream_put_replacement(struct bpe_stream *stream)
{
    static const char replacement[] = "\xef\xbf\xbd";

    stream->partial_len = 0;
    stream_put(stream, replacement, 3);
}

/* How long the UTF-8 of a character is, by its first byte; 0 if none begins so. */
static unsigned character_width(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* May this byte follow those of the character so far (RFC 3629 section 4)? */
static bool suits_partial(const struct bpe_stream *stream, unsigned char byte)
{
    unsigned char first = stream->partial[0];
    unsigned lowest = 0x80, highest = 0xbf;

    if (stream->partial_len == 1) {
        lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    }
    return byte >= lowest && byte <= highest;
}

/* As the UTF-8 decoder of the Encoding Standard: U+FFFD for the longest begin of a
 * character that does not go on, or for a single byte. */
static void stream_put_byte(struct bpe_stream *stream, unsigned char byte)
{
    if (stream->partial_len > 0 && !suits_partial(stream, byte)) {
        stream_put_replacement(stream);
    }
    if (stream->partial_len == 0 && character_width(byte) == 0) {
        stream_put_replacement(stream);
        return;
    }
    stream->partial[stream->partial_len++] = byte;
    if (stream->partial_len == character_width(stream->partial[0])) {
        stream_put(stream, stream->partial, stream->partial_len);
        stream->partial_len = 0;
    }
}

void bpe_stream_init(struct bpe_stream *stream, enum encoding encoding)
{
    *stream = (struct bpe_stream){ .encoding = encoding };
}

void bpe_stream_feed(struct bpe_stream *stream, struct span text)
{
    if (stream->encoding == ENCODING_UNKNOWN) {
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        stream_put_byte(stream, (unsigned char)text.at[i]);
    }
}

uint64_t bpe_stream_end(struct bpe_stream *stream)
{
    uint64_t count;

    if (stream->partial_len > 0) {
        stream_put_replacement(stream);
    }
    if (stream->pending_len > 0) {
        stream_count(stream, SPLIT_LAST);
    }
    count = stream->count;
    free(stream->pending);
    bpe_stream_init(stream, stream->encoding);
    return count;
}
