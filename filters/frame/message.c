#include "filters/frame/message.h"

#include "filters/content/zlib_memory.h"

enum {
    PLAIN_PIECE = 4 * 1024,       /* unmasked at once */
    TEXT_PIECE = 8 * 1024,        /* inflated at once */
    RATIO_FREE_BYTES = 64 * 1024, /* a short text may be as repetitive as it likes */
    WINDOW_RAW = -15              /* holds for streams of smaller windows, too */
};

struct message {
    struct decode_limits limits;
    enum decode_verdict verdict;
    bool keeps_context;
    bool inflating; /* z is in use */
    uint64_t taken; /* bytes of this message's payload */
    uint64_t made;  /* bytes of its text */
    z_stream z;
};

struct message *message_new(bool keeps_context, struct decode_limits limits)
{
    struct message *message = malloc(sizeof(*message));

    if (message != NULL) {
        message->limits = limits;
        message->verdict = DECODE_OK;
        message->keeps_context = keeps_context;
        message->inflating = false;
        message->taken = 0;
        message->made = 0;
    }
    return message;
}

struct message *message_free(struct message *message)
{
    if (message != NULL && message->inflating) {
        (void)inflateEnd(&message->z);
    }
    free(message);
    return NULL;
}

static bool begin_inflate(struct message *message)
{
    if (!message->inflating) {
        message->z = zlib_memory_stream();
        message->inflating = inflateInit2(&message->z, WINDOW_RAW) == Z_OK;
    }
    return message->inflating;
}

static bool is_bomb(const struct message *message)
{
    return message->made > message->limits.bytes ||
           (message->made > RATIO_FREE_BYTES &&
            message->made / message->limits.ratio > message->taken);
}

/* Inflates one piece of payload. A block that ends the stream (BFINAL) is legal; what
 * follows it begins anew (RFC 7692, section 7.2.3.4). */
static enum decode_verdict inflate_text(struct message *message, struct span piece,
                                        char text[static TEXT_PIECE],
                                        void (*out)(void *self, struct span text),
                                        void *self)
{
    z_stream *z = &message->z;
    int result = Z_OK;

    z->next_in = (z_const Bytef *)(uintptr_t)piece.at;
    z->avail_in = (uInt)piece.len;
    do {
        size_t made;

        z->next_out = (Bytef *)text;
        z->avail_out = TEXT_PIECE;
        result = inflate(z, Z_SYNC_FLUSH);
        made = TEXT_PIECE - z->avail_out;
        message->made += made;
        if (is_bomb(message)) {
            return DECODE_OVER_LIMIT;
        }
        if (result == Z_MEM_ERROR) {
            return DECODE_NO_MEMORY;
        }
        if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) {
            return DECODE_CORRUPT;
        }
        if (made > 0) {
            out(self, span_of(text, made));
        }
        if (result == Z_STREAM_END) {
            (void)inflateReset(z);
        }
    } while (z->avail_in > 0 || z->avail_out == 0);
    return DECODE_OK;
}

static enum decode_verdict inflate_piece(struct message *message, struct span piece,
                                         void (*out)(void *self, struct span text),
                                         void *self)
{
    SCRATCH char text[TEXT_PIECE];
    enum decode_verdict verdict = inflate_text(message, piece, text, out, self);

    explicit_bzero(text, sizeof(text));
    return verdict;
}

/* The sender left out what every flushed block ends with (section 7.2.1). */
static enum decode_verdict end_inflate(struct message *message,
                                       void (*out)(void *self, struct span text),
                                       void *self)
{
    enum decode_verdict verdict =
        inflate_piece(message, SPAN("\0\0\xff\xff"), out, self);

    if (!message->keeps_context) {
        (void)inflateReset(&message->z);
    }
    return verdict;
}

static enum decode_verdict feed_plain(struct message *message, struct span plain,
                                      bool compressed,
                                      void (*out)(void *self, struct span text),
                                      void *self)
{
    if (compressed) {
        return begin_inflate(message) ? inflate_piece(message, plain, out, self)
                                      : DECODE_NO_MEMORY;
    }
    message->made += plain.len;
    if (message->made > message->limits.bytes) {
        return DECODE_OVER_LIMIT;
    }
    out(self, plain);
    return DECODE_OK;
}

enum decode_verdict message_feed(struct message *message,
                                 const struct websocket_piece *piece,
                                 void (*out)(void *self, struct span text), void *self)
{
    SCRATCH char plain[PLAIN_PIECE];
    struct span payload = piece->payload;
    uint64_t at = piece->at;

    message->taken += payload.len;
    while (payload.len > 0 && message->verdict == DECODE_OK) {
        size_t len = payload.len < PLAIN_PIECE ? payload.len : PLAIN_PIECE;

        websocket_unmask(piece->mask, at, span_of(payload.at, len), plain);
        message->verdict =
            feed_plain(message, span_of(plain, len), piece->compressed, out, self);
        explicit_bzero(plain, len);
        payload = span_after(payload, len);
        at += len;
    }
    if (piece->ends) {
        if (piece->compressed && message->verdict == DECODE_OK) {
            message->verdict = begin_inflate(message) ? end_inflate(message, out, self)
                                                      : DECODE_NO_MEMORY;
        }
        message->taken = 0;
        message->made = 0;
    }
    return message->verdict;
}
