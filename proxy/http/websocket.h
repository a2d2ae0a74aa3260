/* The grammar of WebSocket frames (RFC 6455, section 5): one direction of a
 * connection, read as it passes, in any split. Nothing is gathered but a frame's
 * header and what a close frame says; bytes are lent as they stand on the wire, so
 * that a relay is exact. */
#ifndef ASSAY_HTTP_WEBSOCKET_H
#define ASSAY_HTTP_WEBSOCKET_H

#include "proxy/base/text.h"

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0x0,
    WEBSOCKET_TEXT = 0x1,
    WEBSOCKET_BINARY = 0x2,
    WEBSOCKET_CLOSE = 0x8,
    WEBSOCKET_PING = 0x9,
    WEBSOCKET_PONG = 0xa
};

/* Why a connection ends (RFC 6455, section 7.4.1); 0 says that nothing is wrong. */
enum websocket_code {
    WEBSOCKET_SOUND = 0,
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNSUPPORTED = 1003,
    WEBSOCKET_NO_CODE = 1005, /* never on the wire: a close frame without a code */
    WEBSOCKET_INVALID = 1007,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_INTERNAL = 1011
};

enum {
    WEBSOCKET_HEADER_MAX = 14,
    WEBSOCKET_CONTROL_MAX = 125, /* payload bytes of a control frame */
    WEBSOCKET_MASK = 4,
    WEBSOCKET_REASON_MAX = WEBSOCKET_CONTROL_MAX - 2
};

/* The reader of one direction. */
struct websocket {
    uint64_t left;             /* payload bytes of this frame that are to come */
    uint64_t at;               /* ... that have come */
    enum websocket_code wrong; /* the first rule that was broken */
    uint16_t code;             /* of the close frame, or WEBSOCKET_NO_CODE */
    bool masked;       /* frames are masked: from a client; none is from a server */
    bool compressible; /* permessage-deflate is in force: RSV1 may be set */
    bool in_payload;   /* of a frame */
    bool in_message;   /* a message has begun and not ended */
    bool final;        /* the frame is the message's last */
    bool compressed;   /* the message is */
    bool closed;       /* a close frame came whole: no further frame may */
    uint8_t opcode;    /* of the frame */
    uint8_t message;   /* of the message: text or binary */
    uint8_t header_len, split_len, control_len;
    uint8_t mask[WEBSOCKET_MASK];
    char header[WEBSOCKET_HEADER_MAX];   /* that is being gathered */
    char split[WEBSOCKET_HEADER_MAX];    /* that came in several pieces */
    char control[WEBSOCKET_CONTROL_MAX]; /* payload of a close frame, unmasked */
};

/* Some bytes of one frame, in the order of the wire. */
struct websocket_piece {
    struct span raw;     /* as they are; header bytes may stand in front */
    struct span payload; /* the payload among them, masked as it came */
    uint64_t at;         /* of the payload's first byte in its frame: for the mask */
    uint8_t mask[WEBSOCKET_MASK];
    uint8_t opcode; /* of a data frame: its message's, text or binary */
    bool control;
    bool compressed; /* the message is, by permessage-deflate */
    bool begins;     /* a message, or a control frame */
    bool ends;       /* the same */
};

void websocket_init(struct websocket *reader, bool masked, bool compressible);

/* Takes the next piece off the front of *input. False when the input is used up (a
 * piece of a header is kept) or a rule is broken: then reader->wrong says which, and
 * nothing is read any more. Spans point into the input, or into the reader where a
 * header came in several inputs: then they live until the next input. */
bool websocket_next(struct websocket *reader, struct span *input,
                    struct websocket_piece *piece);

/* May a frame of our own be put in here: is no frame under way? */
bool websocket_between_frames(const struct websocket *reader);

/* ... and a message? */
bool websocket_between_messages(const struct websocket *reader);

/* Undoes the mask over `payload`, whose first byte stands at `at` in its frame. `out`
 * has as much room; it may be the payload itself. */
void websocket_unmask(const uint8_t mask[WEBSOCKET_MASK], uint64_t at,
                      struct span payload, char *out);

/* Adds a whole frame. `mask` is NULL for a server's. */
void websocket_put(struct text *out, enum websocket_opcode opcode, const uint8_t *mask,
                   struct span payload);

/* Adds a close frame; the reason is cut to what fits. */
void websocket_put_close(struct text *out, enum websocket_code code,
                         const uint8_t *mask, struct span reason);

#endif
