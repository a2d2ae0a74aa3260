#include "filters/count/bpe.h"

#include "filters/count/merge.h"
#include "filters/count/split.h"
#include "proxy/base/check.h"

#include <endian.h>
#include <stdlib.h>

enum { PIECES = 256, PENDING_MIN = 4096, CHARACTER_MAX = 4 };

/* Pieces that are no token wait for others, see merge_count(). */
struct counter {
    const struct ranks *ranks;
    enum split_pattern pattern;
    uint64_t count;
    size_t waiting;
    struct span others[2 * PIECES];
};

/* 16 bytes, zeros from `limit` on. */
static inline struct token_key load_key(const char *at, const char *limit)
{
    struct token_key key = { 0, 0 };
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

/* The key of a piece; that of no token for one too long to be found by its key. */
static inline struct token_key piece_key(struct span piece, const char *limit)
{
    /* By the number of bytes. */
    static const uint64_t kept[] = {
        0,          0xff,         0xffff,         0xffffff,
        0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
        UINT64_MAX
    };
    struct token_key key = load_key(piece.at, limit);
    size_t len = piece.len <= KEY_TOKEN_MAX ? piece.len : KEY_TOKEN_MAX + 1;

    key.low &= kept[len < 8 ? len : 8];
    key.high = (key.high & kept[len < 8 ? 0 : len - 8]) | (uint64_t)len << 56;
    return key;
}

/* The keys of all pieces, for which the table's lines are on their way then. */
static void expect_pieces(const struct ranks *ranks, struct span text,
                          const uint32_t *ends, size_t pieces, struct token_key *keys)
{
    const char *limit = text.at + text.len;
    size_t begin = 0;

    for (size_t i = 0; i < pieces; i++) {
        keys[i] = piece_key(span_of(text.at + begin, ends[i] - begin), limit);
        ranks_expect_key(ranks, keys[i]);
        begin = ends[i];
    }
}

static inline bool is_token(const struct ranks *ranks, struct span piece,
                            struct token_key key)
{
    if (piece.len > KEY_TOKEN_MAX) {
        /* Few long tokens are not ASCII; not to find one costs time only. */
        return piece.len <= TOKEN_MAX && (piece.at[0] & 0x80) == 0 &&
               ranks_has_long(ranks, piece);
    }
    return ranks_has_key(ranks, key);
}

static void count_waiting(struct counter *counter)
{
    counter->count += merge_count(counter->ranks, counter->others, counter->waiting);
    counter->waiting = 0;
}

/* At most PIECES pieces of a text. */
static void count_pieces(struct counter *counter, struct span text,
                         const uint32_t *ends, size_t pieces)
{
    struct token_key keys[PIECES] __attribute__((uninitialized));
    size_t begin = 0, other = counter->waiting;

    expect_pieces(counter->ranks, text, ends, pieces, keys);
    for (size_t i = 0; i < pieces; i++) {
        struct span piece = span_of(text.at + begin, ends[i] - begin);

        counter->others[other] = piece;
        other += is_token(counter->ranks, piece, keys[i]) ? 0 : 1;
        begin = ends[i];
    }
    counter->count += pieces - (other - counter->waiting);
    counter->waiting = other;
    if (other > PIECES) {
        count_waiting(counter);
    }
}

/* Counts pieces off the front of a text and drops them from it, as many as have an end
 * within the next BPE_PIECE_MAX bytes. */
static void count_front(struct counter *counter, struct span *text,
                        enum split_more more)
{
    uint32_t ends[PIECES] __attribute__((uninitialized));
    size_t pieces;

    do {
        struct span front = *text;

        if (front.len > BPE_PIECE_MAX) {
            front.len = BPE_PIECE_MAX;
            pieces = split_text(counter->pattern, front, SPLIT_MORE, ends, PIECES);
        } else {
            pieces = split_text(counter->pattern, front, more, ends, PIECES);
        }
        if (pieces > 0) {
            count_pieces(counter, front, ends, pieces);
            *text = span_after(*text, ends[pieces - 1]);
        }
    } while (pieces > 0);
}

static void counter_init(struct counter *counter, enum encoding encoding)
{
    bool is_cl100k = encoding == ENCODING_CL100K_BASE;

    counter->ranks = ranks_of(is_cl100k ? RANKS_CL100K : RANKS_O200K);
    counter->pattern = is_cl100k ? SPLIT_CL100K : SPLIT_O200K;
    counter->count = 0;
    counter->waiting = 0;
}

static enum ranks_name ranks_for(enum encoding encoding)
{
    return encoding == ENCODING_CL100K_BASE ? RANKS_CL100K : RANKS_O200K;
}

bool bpe_ready(enum encoding encoding)
{
    return encoding != ENCODING_UNKNOWN && ranks_ready(ranks_for(encoding));
}

bool bpe_loaded(enum encoding encoding)
{
    return encoding != ENCODING_UNKNOWN && ranks_loaded(ranks_for(encoding));
}

uint64_t bpe_count(enum encoding encoding, struct span text)
{
    struct counter counter __attribute__((uninitialized));
    struct bpe_stream stream;

    if (encoding == ENCODING_UNKNOWN) {
        return 0;
    }
    counter_init(&counter, encoding);
    count_front(&counter, &text, SPLIT_LAST);
    count_waiting(&counter);
    if (text.len > 0) { /* a piece that is too long, or bytes that are not UTF-8 */
        bpe_stream_init(&stream, encoding);
        bpe_stream_feed(&stream, text);
        counter.count += bpe_stream_end(&stream);
    }
    return counter.count;
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
    struct counter counter __attribute__((uninitialized));
    struct span left = span_of(stream->pending, stream->pending_len);
    uint32_t end;

    counter_init(&counter, stream->encoding);
    count_front(&counter, &left, more);
    while (left.len >= BPE_PIECE_MAX) {
        struct span front = span_of(left.at, piece_limit(left.at, left.len));

        CHECK(split_text(counter.pattern, front, SPLIT_LAST, &end, 1) == 1);
        count_pieces(&counter, front, &end, 1);
        left = span_after(left, end);
        count_front(&counter, &left, more);
    }
    count_waiting(&counter);
    stream->count += counter.count;
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
