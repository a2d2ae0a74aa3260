/* Server-sent events out of a byte stream (WHATWG HTML, section 9.2.6): any split, LF, CR
 * or CRLF, byte order mark, comments; nothing is gathered, data goes out as it comes. */
#ifndef ASSAY_FILTERS_FRAME_SSE_H
#define ASSAY_FILTERS_FRAME_SSE_H

#include "proxy/base/span.h"

enum { SSE_NAME_MAX = 48 };

/* At most 192 bytes, of which sse_init() writes the few that count. */
struct sse {
    uint64_t events; /* dispatched so far */
    uint8_t state;
    uint8_t field; /* whose value is being read */
    bool after_cr; /* a LF that comes now belongs to the CR before it */
    bool has_data; /* the event being read has a data field */
    bool id_has_nul;
    uint8_t word_len;
    uint8_t name_len;
    uint8_t id_len;
    uint8_t next_id_len;
    char word[8];            /* a field name being read */
    char name[SSE_NAME_MAX]; /* of the event being read; longer ones are cut */
    char id[SSE_NAME_MAX];   /* the last event id */
    char next_id[SSE_NAME_MAX];
};

struct sse_sink {
    /* The next piece of the current event's data; lines are joined by "\n". */
    void (*data)(void *self, struct span piece);
    /* The event ended with a blank line. `name` is "" if it had none ("message"). Not
     * called for events without a data field. */
    void (*event)(void *self, struct span name);
};

void sse_init(struct sse *sse);
void sse_feed(struct sse *sse, struct span piece, const struct sse_sink *sink,
              void *self);

/* The stream has ended: an event that no blank line closed is dispatched, and true is
 * returned, since providers do cut the last blank line. (A browser would drop it.) */
bool sse_end(struct sse *sse, const struct sse_sink *sink, void *self);

#endif
