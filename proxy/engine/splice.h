/* Changes to what is relayed. One that assay makes by itself: a chat stream that does
 * not ask for its usage gets "stream_options":{"include_usage":true} spliced into its
 * request, and the chunk that this provokes is taken out of the response. */
#ifndef ASSAY_ENGINE_SPLICE_H
#define ASSAY_ENGINE_SPLICE_H

#include "filters/facts.h"
#include "proxy/base/arena.h"
#include "proxy/net/block.h"

struct splice {
    uint64_t at;        /* offset in the body */
    uint64_t remove;    /* bytes from there that go */
    struct span insert; /* bytes that come; borrowed until it is applied */
};

/* Where include_usage goes into a body with these facts. */
struct splice splice_plan(const struct facts *facts);

/* Applies it to a queue that holds the body at least up to its end.
 * false without memory. */
bool splice_apply(const struct splice *splice, struct block_queue *body,
                  struct block_pool *pool) MUST_CHECK;

/* Takes the extra usage chunk out of a stream of server-sent events. A complete event
 * is never held back; only the front of an incomplete one is. */
struct strip;

/* NULL without memory. */
struct strip *strip_new(void);
struct strip *strip_free(struct strip *strip);

/* `out` gets what the client shall see, whole events wherever they came whole; its
 * bytes are borrowed from the piece or from the strip until the next call. */
void strip_feed(struct strip *strip, struct span piece,
                void (*out)(void *self, struct span bytes), void *self);

/* The body has ended: what is held back comes out. */
void strip_end(struct strip *strip, void (*out)(void *self, struct span bytes),
               void *self);

#endif
