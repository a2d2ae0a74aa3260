/* One thread's event loop and what its streams share: the read buffer, the gathered
 * output of the running turn, spare blocks, deadlines, and the dead of the turn. */
#ifndef ASSAY_NET_LOOP_H
#define ASSAY_NET_LOOP_H

#include "proxy/net/block.h"
#include "proxy/net/deadline.h"

#include <event2/event.h>

#include <sys/uio.h>

enum {
    LOOP_READ_BYTES = 128 * 1024, /* one recv */
    LOOP_PLAIN_BYTES =
        LOOP_READ_BYTES + 32 * 1024, /* decrypted, with a record's rest */
    LOOP_GATHER_SPANS = 64,          /* of one send */
    LOOP_SCRATCH_BYTES =
        96 * 1024,                 /* short-lived text of one send: heads, size lines */
    LOOP_RECORD_BYTES = 16 * 1024, /* the most that one TLS record holds */
    LOOP_CIPHER_BYTES = 160 * 1024 /* encrypted output of one send */
};

struct stream;

struct loop {
    struct event_base *base;
    struct deadlines deadlines;
    struct block_pool blocks;
    uint64_t now_ns;       /* monotonic, of the running callback */
    struct stream *gather; /* whose output is being gathered; NULL: nobody's */
    struct stream *dead;   /* closed in this turn, freed at its end */
    size_t gathered;
    size_t scratch_used;
    size_t cipher_used;
    struct span cipher_input; /* bytes from the wire that TLS has not taken yet */
    struct iovec spans[LOOP_GATHER_SPANS];
    char *read_buffer;   /* LOOP_READ_BYTES, from the wire */
    char *plain_buffer;  /* LOOP_PLAIN_BYTES, decrypted */
    char *scratch;       /* LOOP_SCRATCH_BYTES */
    char *plain_out;     /* LOOP_RECORD_BYTES, a record before its encryption */
    char *cipher_buffer; /* LOOP_CIPHER_BYTES */
};

/* NULL without memory. */
struct loop *loop_new(void);

/* Every stream must have been closed. Takes NULL; returns NULL. */
struct loop *loop_free(struct loop *loop);

/* Waits for events, serves them, sends what was gathered, frees the turn's dead. */
void loop_turn(struct loop *loop);

#endif
