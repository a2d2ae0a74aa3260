/* The text of a WebSocket's messages, one direction: payloads unmasked and, with
 * permessage-deflate (RFC 7692), inflated on a copy. Any split; nothing is gathered. */
#ifndef ASSAY_FILTERS_FRAME_MESSAGE_H
#define ASSAY_FILTERS_FRAME_MESSAGE_H

#include "filters/content/decode.h"
#include "proxy/http/websocket.h"

struct message;

/* `keeps_context`: messages lean on earlier ones, as far as they were compressed. The
 * limits hold for each message. NULL without memory. */
struct message *message_new(bool keeps_context, struct decode_limits limits);
struct message *message_free(struct message *message);

/* The next piece of a text or binary message; `out` gets its text in pieces of at most
 * 8 KiB. After a verdict other than DECODE_OK nothing more comes out, ever: what
 * follows cannot be understood. */
enum decode_verdict message_feed(struct message *message,
                                 const struct websocket_piece *piece,
                                 void (*out)(void *self, struct span text), void *self);

#endif
