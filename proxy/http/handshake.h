/* The opening handshake of a WebSocket (RFC 6455, section 4) and what is agreed
 * in it: subprotocols, and permessage-deflate (RFC 7692). Between the two sides
 * stands a relay, so the client's key goes through and the provider's answer to
 * it is verified. */
#ifndef ASSAY_HTTP_HANDSHAKE_H
#define ASSAY_HTTP_HANDSHAKE_H

#include "proxy/base/text.h"
#include "proxy/http/head.h"

enum {
    HANDSHAKE_ACCEPT = 28,        /* characters of Sec-WebSocket-Accept */
    HANDSHAKE_PROTOCOLS_MAX = 256 /* bytes of the subprotocols that are offered */
};

/* What a client asked for, as far as its answer has to be judged by it. */
struct handshake {
    char accept[HANDSHAKE_ACCEPT]; /* the one right answer to the client's key */
    bool deflate;                  /* permessage-deflate was offered */
    bool client_bits;              /* ... with client_max_window_bits */
    uint16_t protocols_len;
    char protocols[HANDSHAKE_PROTOCOLS_MAX]; /* offered, as "a, b" */
};

/* What both sides agreed on. */
struct handshake_terms {
    struct span protocol; /* borrowed from the response head; empty: none */
    bool deflate;
    bool server_keeps; /* the server's messages need earlier ones (context takeover) */
    uint8_t server_bits, client_bits; /* window sizes that were named; 0: not named */
};

/* Does this head ask to switch to WebSocket? An Upgrade field with another
 * word does not. */
bool handshake_asked(const struct head *head);

/* The credential that a browser can only send as a subprotocol:
 * "openai-insecure-api-key.KEY". Empty if there is none. */
struct span handshake_credential(const struct head *head);

/* Judges a request and notes what it asks for: GET, HTTP/1.1, Connection with
 * "upgrade", one key of 16 bytes, version 13. FAULT_HANDSHAKE if it is not what
 * RFC 6455 asks.
 *
 * Subprotocols that carry a credential or name an account are left out, unless `keep`
 * says that the caller's own go through. */
enum fault handshake_request(const struct head *head, bool keep,
                             struct handshake *handshake) MUST_CHECK;

/* Adds the lines of the request to the provider. The client's messages are
 * asked to be compressed each by itself, so that one can be refused and the
 * next still be understood. */
void handshake_put_request(const struct handshake *handshake, const struct head *head,
                           struct text *out);

/* Judges a 101 head: the right answer to the key, no extension and no subprotocol that
 * was not offered. */
bool handshake_response(const struct handshake *handshake, const struct head *head,
                        struct handshake_terms *terms) MUST_CHECK;

/* Adds the lines of the 101 to the client. */
void handshake_put_response(const struct handshake *handshake,
                            const struct handshake_terms *terms, struct text *out);

#endif
