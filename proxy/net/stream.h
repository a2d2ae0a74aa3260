/* One peer: a socket, plain or TLS, with a queue of bytes that the socket did not take
 * yet. Edge-triggered: registered once, no further calls to the kernel to pause, resume
 * or wait for room.
 *
 * Reading: bytes arrive in the loop's shared buffer and are lent to readable().
 * Writing: what a callback sends is gathered and leaves in one system call when the
 * callback returns, or at stream_flush(). Nothing waits for a timer.
 *
 * Every callback may close its stream; memory is freed at the end of
 * the loop's turn. */
#ifndef ASSAY_NET_STREAM_H
#define ASSAY_NET_STREAM_H

#include "proxy/net/loop.h"

#include <openssl/ssl.h>

#include <sys/socket.h>

enum stream_end {
    STREAM_EOF,       /* the peer has sent all that it will */
    STREAM_TRUNCATED, /* TLS: the connection ended without close_notify */
    STREAM_RESET,     /* reset or broken: nothing can be sent any more */
    STREAM_REFUSED,   /* could not connect */
    STREAM_BAD_TLS,   /* handshake or record failed */
    STREAM_NO_MEMORY
};

struct stream_events {
    /* The connection stands, TLS included. */
    void (*ready)(void *owner);
    /* Bytes came. All of them are taken: pause to get no more. */
    void (*readable)(void *owner, struct span bytes);
    /* The queue fell to STREAM_LOW after it had been above STREAM_HIGH,
     * or to nothing. */
    void (*drained)(void *owner);
    /* Reading has ended (STREAM_EOF, STREAM_TRUNCATED: we may still send),
     * or the stream failed, which may also follow an end of reading. Not
     * called after stream_close(). */
    void (*ended)(void *owner, enum stream_end how);
};

enum {
    STREAM_HIGH = 256 * 1024, /* above: the source of these bytes should be paused */
    STREAM_LOW = 64 * 1024
};

struct stream {
    struct loop *loop;
    const struct stream_events *events;
    void *owner;
    SSL *ssl; /* NULL: plain */
    struct stream *next_dead;
    void (*freed)(void *owner);
    struct block_queue queue; /* bytes for the wire */
    struct deadline deadline; /* the owner's to use */
    struct loop_watch watch;
    struct stream *next_woken;
    uint64_t received, sent; /* bytes on the wire */
    size_t answers;          /* TLS: bytes of its own that joined a waiting queue */
    int fd;
    bool connecting;
    bool handshaking;
    bool paused;
    bool hung_up; /* the kernel saw the end or a reset: read on until it shows */
    bool woken;   /* on the loop's list */
    bool unread;  /* the kernel may hold bytes that were not asked for yet */
    bool was_high;
    bool read_ended;
    bool write_shut; /* no more to send after what is queued */
    bool failed;
    bool closed;
};

/* Takes over an accepted socket (made non-blocking, TCP_NODELAY) and, if TLS, the SSL.
 * The owner embeds the stream. false if the loop cannot watch it: the socket and the
 * SSL are then closed. */
bool stream_accept(struct stream *stream, struct loop *loop, int fd, SSL *ssl,
                   const struct stream_events *events, void *owner) MUST_CHECK;

/* Connects; ready() or ended() follows. `ssl` is taken over. false if it
 * fails at once. */
bool stream_connect(struct stream *stream, struct loop *loop,
                    const struct sockaddr *address, socklen_t length, SSL *ssl,
                    const struct stream_events *events, void *owner) MUST_CHECK;

/* Sends borrowed bytes, which must live until the callback returns or stream_flush().
 * Only after ready(); an accepted plain stream is ready at once. */
void stream_send(struct stream *stream, struct span bytes);

/* The same for bytes that do not live that long. */
void stream_send_copy(struct stream *stream, struct span bytes);

/* Sends what is gathered now, so that work after it delays no byte. */
void stream_flush(struct stream *stream);

/* Bytes that the socket has not taken yet. */
static inline size_t stream_queued(const struct stream *stream)
{
    return stream->queue.bytes;
}

/* No more readable() until stream_resume(). */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/* Ends our side of the conversation after what is queued (TLS: close_notify). */
void stream_shutdown(struct stream *stream);

/* What the peer shall see: the end of the conversation, or a broken connection. */
enum stream_closing { CLOSE_ORDERLY, CLOSE_RESET };

/* Closes at once. No callback comes after it; the deadline is cleared. At the end of the
 * turn `freed(owner)` is called: only then may the memory that embeds the stream go. */
void stream_close(struct stream *stream, enum stream_closing how,
                  void (*freed)(void *owner));

/* For the loop. */
void stream_serve_woken(struct loop *loop);
void stream_flush_gathered(struct loop *loop);

static inline void stream_deadline(struct stream *stream, uint64_t after_ns)
{
    deadline_set(&stream->loop->deadlines, &stream->deadline, stream->loop->now_ns,
                 after_ns);
}

/* The same with deadline_postpone(). */
static inline void stream_postpone(struct stream *stream, uint64_t after_ns)
{
    deadline_postpone(&stream->loop->deadlines, &stream->deadline, stream->loop->now_ns,
                      after_ns);
}

#endif
