/* One direction of an exchange: how its body is framed where it comes from and where it
 * goes, and how far it has come. */
#ifndef ASSAY_ENGINE_FLOW_H
#define ASSAY_ENGINE_FLOW_H

#include "proxy/http/chunked.h"
#include "proxy/http/head.h"
#include "proxy/net/stream.h"

struct flow {
    enum framing source; /* as it arrives */
    enum framing sink;   /* as it leaves */
    uint64_t left;       /* FRAMING_LENGTH: bytes still to come */
    uint64_t bytes;      /* of body that came, without framing */
    struct chunked chunked;
    bool ended; /* the whole body came */
};

/* `sink` may be changed until the first byte leaves. */
void flow_begin(struct flow *flow, const struct head *head, enum framing sink);

/* Takes the next piece of body off the front of *input. *data is empty when the
 * input is used up or the body has ended (flow->ended); what is left then
 * belongs to others. */
enum fault flow_next(struct flow *flow, struct span *input,
                     struct span *data) MUST_CHECK;

/* The source has ended its connection: is that a legal end of this body? */
bool flow_source_closed(struct flow *flow);

/* Sends a piece in the sink's framing; the bytes are borrowed as by stream_send(). */
void flow_send(const struct flow *flow, struct stream *sink, struct span data);

/* Sends several pieces as one: one chunk, one system call. */
void flow_send_spans(const struct flow *flow, struct stream *sink,
                     const struct span *spans, size_t count);

/* Sends what ends the body in the sink's framing. */
void flow_send_end(const struct flow *flow, struct stream *sink);

#endif
