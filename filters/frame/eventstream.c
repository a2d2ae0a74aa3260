#include "filters/frame/eventstream.h"

#include <zlib.h>

_Static_assert(sizeof(struct eventstream) <= 384, "an event stream outgrew its budget");

enum state {
    STREAM_TOTAL,
    STREAM_HEADERS,
    STREAM_PRELUDE_CRC,
    STREAM_NAME_LEN,
    STREAM_NAME,
    STREAM_TYPE,
    STREAM_VALUE_LEN,
    STREAM_VALUE,
    STREAM_PAYLOAD,
    STREAM_CRC
};

enum {
    PRELUDE = 12,
    OVERHEAD = 16, /* of a message without headers and payload */
    NUMBER = 4,
    TYPE_BYTES = 6, /* these two have a length of two bytes before them */
    TYPE_STRING = 7,
    TYPES = 10
};

/* One piece on its way through. Functions that read return how many bytes they took; 0
 * if the message is damaged. */
struct feed {
    struct eventstream *stream;
    const struct eventstream_sink *sink;
    void *self;
};

void eventstream_init(struct eventstream *stream)
{
    stream->messages = 0;
    stream->at = 0;
    stream->crc = 0;
    stream->size = 0;
    stream->state = STREAM_TOTAL;
    stream->broken = false;
}

/* ---- numbers --------------------------------------------------------------------- */

/* Takes the next byte of a number; is it whole with it? */
static bool number_byte(struct eventstream *stream, char c, unsigned size)
{
    if (stream->size == 0) {
        stream->word = 0;
    }
    stream->word = stream->word << 8 | (unsigned char)c;
    if (++stream->size < size) {
        return false;
    }
    stream->size = 0;
    return true;
}

/* ---- headers --------------------------------------------------------------------- */

/* Behind the prelude or a header: what comes next? */
static void header_next(struct eventstream *stream)
{
    uint32_t end = PRELUDE + stream->headers;

    if (stream->at < end) {
        stream->state = STREAM_NAME_LEN;
    } else {
        stream->state =
            stream->at < stream->total - NUMBER ? STREAM_PAYLOAD : STREAM_CRC;
    }
}

static bool name_is_new(struct eventstream *stream)
{
    for (unsigned i = 0; i < stream->name_count; i++) {
        if (stream->names[i] == stream->word) {
            return false;
        }
    }
    if (stream->name_count == EVENTSTREAM_NAMES_MAX) {
        return false;
    }
    stream->names[stream->name_count++] = stream->word;
    return true;
}

/* Keeps the front of a name or value. */
static void keep(char *kept, uint8_t *len, char c)
{
    if (*len < EVENTSTREAM_WORD_MAX) {
        kept[(*len)++] = c;
    }
}

static void header_done(struct eventstream *stream)
{
    struct span name = span_of(stream->name, stream->name_len);
    struct span value = span_of(stream->value, stream->value_len);

    if (stream->type == TYPE_STRING && span_equal(name, SPAN(":message-type"))) {
        if (span_equal(value, SPAN("exception"))) {
            stream->kind = EVENTSTREAM_EXCEPTION;
        } else if (span_equal(value, SPAN("error"))) {
            stream->kind = EVENTSTREAM_ERROR;
        }
    }
    header_next(stream);
}

/* A value of this many bytes follows, within the headers? */
static bool begin_value(struct eventstream *stream, uint32_t len)
{
    if (len > PRELUDE + stream->headers - stream->at) {
        return false;
    }
    stream->left = len;
    stream->value_len = 0;
    stream->state = STREAM_VALUE;
    if (len == 0) {
        header_done(stream);
    }
    return true;
}

static bool name_byte(struct eventstream *stream, char c)
{
    const uint32_t fnv_prime = 16777619;

    stream->word = (stream->word ^ (unsigned char)c) * fnv_prime;
    keep(stream->name, &stream->name_len, c);
    if (--stream->left > 0) {
        return true;
    }
    stream->state = STREAM_TYPE;
    return name_is_new(stream);
}

static bool type_byte(struct eventstream *stream, char c)
{
    static const uint8_t sizes[TYPES] = { 0, 0, 1, 2, 4, 8, 0, 0, 8, 16 };

    stream->type = (uint8_t)c;
    if (stream->type >= TYPES) {
        return false;
    }
    if (stream->type == TYPE_BYTES || stream->type == TYPE_STRING) {
        stream->state = STREAM_VALUE_LEN;
        return true;
    }
    return begin_value(stream, sizes[stream->type]);
}

static bool prelude_is_sound(const struct eventstream *stream)
{
    return stream->word == stream->left && stream->total >= OVERHEAD &&
           stream->total <= EVENTSTREAM_MESSAGE_MAX &&
           stream->headers <= EVENTSTREAM_HEADERS_MAX &&
           stream->headers <= stream->total - OVERHEAD;
}

/* A byte of the prelude's checksum; what it has to be waits in `left`. */
static bool prelude_byte(const struct feed *feed, char c)
{
    struct eventstream *stream = feed->stream;

    if (stream->size == 0) {
        stream->left = stream->crc;
    }
    if (!number_byte(stream, c, NUMBER)) {
        return true;
    }
    if (!prelude_is_sound(stream)) {
        return false;
    }
    stream->kind = EVENTSTREAM_EVENT;
    stream->name_count = 0;
    header_next(stream);
    feed->sink->begin(feed->self);
    return true;
}

/* A byte of the prelude or the headers. */
static bool head_byte(const struct feed *feed, char c)
{
    const uint32_t fnv_basis = 2166136261;
    struct eventstream *stream = feed->stream;

    switch ((enum state)stream->state) {
    case STREAM_TOTAL:
        if (number_byte(stream, c, NUMBER)) {
            stream->total = stream->word;
            stream->state = STREAM_HEADERS;
        }
        return true;
    case STREAM_HEADERS:
        if (number_byte(stream, c, NUMBER)) {
            stream->headers = stream->word;
            stream->state = STREAM_PRELUDE_CRC;
        }
        return true;
    case STREAM_PRELUDE_CRC:
        return prelude_byte(feed, c);
    case STREAM_NAME_LEN:
        stream->left = (unsigned char)c;
        stream->word = fnv_basis;
        stream->name_len = 0;
        stream->state = STREAM_NAME;
        return stream->left > 0 &&
               stream->left < PRELUDE + stream->headers - stream->at;
    case STREAM_NAME:
        return name_byte(stream, c);
    case STREAM_TYPE:
        return type_byte(stream, c);
    case STREAM_VALUE_LEN:
        return !number_byte(stream, c, 2) || begin_value(stream, stream->word);
    case STREAM_VALUE:
        keep(stream->value, &stream->value_len, c);
        if (--stream->left == 0) {
            header_done(stream);
        }
        return true;
    case STREAM_PAYLOAD:
    case STREAM_CRC:
    default:
        return false;
    }
}

/* ---- messages -------------------------------------------------------------------- */

static uint32_t crc_of(uint32_t crc, struct span bytes)
{
    return (uint32_t)crc32(crc, (const Bytef *)bytes.at, (uInt)bytes.len);
}

/* As far as prelude and headers go; the prelude's own checksum is of what
 * is before it. */
static size_t read_head(const struct feed *feed, struct span piece)
{
    struct eventstream *stream = feed->stream;
    size_t end = piece.len, len = 0;
    bool sound = true;

    if (stream->at < PRELUDE - NUMBER && end > PRELUDE - NUMBER - stream->at) {
        end = PRELUDE - NUMBER - stream->at;
    }
    while (sound && len < end && stream->state < STREAM_PAYLOAD) {
        stream->at++;
        sound = head_byte(feed, piece.at[len++]);
    }
    stream->crc = crc_of(stream->crc, span_of(piece.at, len));
    return sound ? len : 0;
}

static size_t read_payload(const struct feed *feed, struct span piece)
{
    struct eventstream *stream = feed->stream;
    size_t left = stream->total - NUMBER - stream->at;

    if (piece.len > left) {
        piece.len = left;
    }
    stream->crc = crc_of(stream->crc, piece);
    stream->at += (uint32_t)piece.len;
    if (piece.len == left) {
        stream->state = STREAM_CRC;
    }
    feed->sink->data(feed->self, piece);
    return piece.len;
}

static size_t read_crc(const struct feed *feed, struct span piece)
{
    struct eventstream *stream = feed->stream;

    if (!number_byte(stream, piece.at[0], NUMBER)) {
        return 1;
    }
    if (stream->word != stream->crc) {
        return 0;
    }
    stream->at = 0;
    stream->crc = 0;
    stream->state = STREAM_TOTAL;
    stream->messages++;
    feed->sink->message(feed->self, (enum eventstream_kind)stream->kind);
    return 1;
}

bool eventstream_feed(struct eventstream *stream, struct span piece,
                      const struct eventstream_sink *sink, void *self)
{
    const struct feed feed = { .stream = stream, .sink = sink, .self = self };

    while (piece.len > 0 && !stream->broken) {
        size_t taken;

        if (stream->state == STREAM_PAYLOAD) {
            taken = read_payload(&feed, piece);
        } else if (stream->state == STREAM_CRC) {
            taken = read_crc(&feed, piece);
        } else {
            taken = read_head(&feed, piece);
        }
        stream->broken = taken == 0;
        piece = span_after(piece, taken);
    }
    return !stream->broken;
}

bool eventstream_end(const struct eventstream *stream)
{
    return !stream->broken && stream->state == STREAM_TOTAL && stream->size == 0;
}
