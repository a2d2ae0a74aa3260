/* One thread's event loop on epoll, and what its streams share: the read buffer,
 * the gathered output of the running turn, spare blocks, deadlines, and the dead
 * of the turn.
 *
 * Not libevent's: the data path needs the kernel's own event bits (a reset that
 * arrives behind data shows only there), and saves a call per event and a
 * structure per socket. */
#ifndef ASSAY_NET_LOOP_H
#define ASSAY_NET_LOOP_H

#include "proxy/net/block.h"
#include "proxy/net/deadline.h"

#include <sys/epoll.h>
#include <sys/uio.h>

enum {
    LOOP_EVENTS = 256,            /* served in one turn */
    LOOP_READ_BYTES = 128 * 1024, /* one recv */
    /* Decrypted: one recv, and the rest of a record that began before it. */
    LOOP_PLAIN_BYTES = LOOP_READ_BYTES + 32 * 1024,
    LOOP_GATHER_SPANS = 64,         /* of one send */
    LOOP_SCRATCH_BYTES = 96 * 1024, /* text of one send: heads, size lines */
    LOOP_RECORD_BYTES = 16 * 1024,  /* the most that one TLS record holds */
    LOOP_CIPHER_BYTES = 160 * 1024  /* encrypted output of one send */
};

struct stream;

/* Memory that all streams use in turn. Prompts go through it, so what was written in a turn
 * is wiped at its end. */
struct loop_buffer {
    char *bytes;
    size_t dirty; /* at the front */
};

/* Who is told of a descriptor's events; embedded by its owner. */
struct loop_watch {
    void (*happened)(void *owner, uint32_t events); /* EPOLLIN ... */
    void *owner;
};

struct loop {
    int epoll_fd;
    struct deadlines deadlines;
    struct block_pool blocks;
    uint64_t now_ns;       /* monotonic, of the running turn */
    struct stream *gather; /* whose output is being gathered; NULL: nobody's */
    struct stream *woken;  /* to be served again in the next turn */
    struct stream *waking; /* of them, those that this turn has still to serve */
    struct stream *dead;   /* closed in this turn, freed at its end */
    size_t gathered;
    size_t scratch_used;
    size_t cipher_used;
    struct span cipher_input;       /* bytes from the wire that TLS has not taken yet */
    size_t event_next, event_count; /* of the running turn */
    struct epoll_event events[LOOP_EVENTS];
    struct iovec spans[LOOP_GATHER_SPANS];
    struct loop_buffer received;  /* LOOP_READ_BYTES, from the wire */
    struct loop_buffer decrypted; /* LOOP_PLAIN_BYTES */
    struct loop_buffer scratch;   /* LOOP_SCRATCH_BYTES */
    struct loop_buffer record;    /* LOOP_RECORD_BYTES, before its encryption */
    char *cipher_buffer;          /* LOOP_CIPHER_BYTES */
};

/* NULL without memory. */
struct loop *loop_new(void);

/* Every stream must have been closed. Takes NULL; returns NULL. */
struct loop *loop_free(struct loop *loop);

/* Tells `watch` of these events of the descriptor, which must stay open until
 * loop_unwatch(). false if the kernel refuses. */
bool loop_watch(struct loop *loop, int fd, uint32_t events,
                struct loop_watch *watch) MUST_CHECK;

/* Its callback is not called any more, not even for events of this turn. To be called
 * before the descriptor is closed. */
void loop_unwatch(struct loop *loop, int fd, struct loop_watch *watch);

/* Has the watched descriptor become readable (bytes, or the end of the stream) without
 * its callback having been called for it yet? */
bool loop_input_waits(const struct loop *loop, const struct loop_watch *watch);

/* So many bytes of the buffer are written to in this turn. */
static inline void loop_dirties(struct loop_buffer *buffer, size_t bytes)
{
    buffer->dirty = bytes > buffer->dirty ? bytes : buffer->dirty;
}

/* Waits for events and deadlines, serves them, sends what was gathered, wipes the buffers,
 * frees the turn's dead. */
void loop_turn(struct loop *loop);

#endif
