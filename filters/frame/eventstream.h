/* Messages out of an AWS event stream (application/vnd.amazon.eventstream): a length,
 * typed headers, a payload and two CRC-32s, in any split. Nothing is gathered but what
 * a header says of the message; payloads go out as they come.
 *
 *   u32 total   u32 headers   u32 CRC of these   headers   payload   u32 CRC of all before
 *
 * Numbers are big-endian. A header is u8 length, name, u8 type, value. */
#ifndef ASSAY_FILTERS_FRAME_EVENTSTREAM_H
#define ASSAY_FILTERS_FRAME_EVENTSTREAM_H

#include "proxy/base/span.h"

enum {
    EVENTSTREAM_MESSAGE_MAX = 16 << 20, /* bytes of a message, as AWS caps them */
    EVENTSTREAM_HEADERS_MAX = 128 << 10,
    EVENTSTREAM_NAMES_MAX = 64, /* headers of one message */
    EVENTSTREAM_WORD_MAX = 24   /* bytes that are kept of a name or a value */
};

enum eventstream_kind { EVENTSTREAM_EVENT, EVENTSTREAM_EXCEPTION, EVENTSTREAM_ERROR };

/* At most 384 bytes; plain data. */
struct eventstream {
    uint64_t messages; /* ended so far, whole and sound */
    uint32_t total, headers;
    uint32_t at;   /* bytes of the message before the next one */
    uint32_t crc;  /* of them, as far as it goes */
    uint32_t word; /* the number that is being read */
    uint32_t left; /* bytes of a name or value that are to come */
    uint8_t state;
    uint8_t kind; /* of the message, as ":message-type" says */
    uint8_t type; /* of the value */
    uint8_t size; /* bytes of the number that have come */
    uint8_t name_len, value_len;
    uint8_t name_count;
    bool broken;
    char name[EVENTSTREAM_WORD_MAX], value[EVENTSTREAM_WORD_MAX];
    uint32_t names[EVENTSTREAM_NAMES_MAX]; /* hashes: a name may stand only once */
};

struct eventstream_sink {
    /* A message with a sound prelude begins. */
    void (*begin)(void *self);
    /* The next piece of its payload. */
    void (*data)(void *self, struct span piece);
    /* It has ended and its checksum is right. A message that was begun and does not
     * come here was damaged or cut: what its payload said is void. */
    void (*message)(void *self, enum eventstream_kind kind);
};

void eventstream_init(struct eventstream *stream);

/* False once the stream is damaged: where messages begin is lost, nothing
 * more is read. */
bool eventstream_feed(struct eventstream *stream, struct span piece,
                      const struct eventstream_sink *sink, void *self);

/* The stream has ended: between two messages, undamaged? */
bool eventstream_end(const struct eventstream *stream);

#endif
