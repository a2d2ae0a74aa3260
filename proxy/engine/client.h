/* A downstream connection: exchanges in sequence. The next request is read only when
 * the response before it is done. */
#ifndef ASSAY_ENGINE_CLIENT_H
#define ASSAY_ENGINE_CLIENT_H

#include "proxy/engine/exchange.h"
#include "proxy/net/stream.h"

struct client {
    struct stream stream;
    struct worker *worker;
    struct client *next, *previous; /* all of the worker */
    struct exchange *exchange;      /* NULL: between exchanges */
    char *pending;                  /* bytes of a request that cannot be served yet */
    size_t pending_len, pending_cap;
    size_t scanned;     /* of pending, by head_find_end() */
    uint64_t head_hash; /* of the last head, by known_heads_find() */
    size_t listener;    /* number of the listener it came by */
    char *certificate;  /* the name in its certificate, once looked at; "": none */
    uint64_t lingered;  /* bytes read and dropped after a refusal */
    uint64_t sent;      /* of the stream's, when its queue was last looked at */
    bool head_begun;    /* a part of a head came: its time runs */
    bool feeding;       /* client_feed() is on the stack */
    bool half_closed;   /* it will send no more */
    bool closing;       /* no further exchange; closed when the queue is empty */
    bool lingering;     /* closed when it stops sending */
};

/* A connection was accepted on listener number `listener`; the socket is taken over. */
void client_accept(struct worker *worker, size_t listener, int fd);

/* The name in the client certificate that the handshake verified; empty:
 * there is none. */
struct span client_certificate(struct client *client);

/* The exchange is over and forgotten; `keep` the connection for another. */
void client_exchange_over(struct client *client, bool keep);

/* Its exchange takes bytes that came too early: serves them, and reads on. */
void client_serve_pending(struct client *client);

/* Reads on, unless its next request waits already. */
void client_resume(struct client *client);

/* To be called after sending: gives a client that does not read a deadline. */
void client_watch_queue(struct client *client);

/* Closes at once. */
void client_close(struct client *client, enum stream_closing how);

#endif
