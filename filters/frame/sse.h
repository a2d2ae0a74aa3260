/* Server-sent events out of a byte stream (WHATWG HTML, section 9.2.6): any
 * split, LF, CR or CRLF, byte order mark, comments; nothing is gathered, data
 * goes out as it comes. */
#ifndef ASSAY_FILTERS_FRAME_SSE_H
#define ASSAY_FILTERS_FRAME_SSE_H

#include "proxy/base/span.h"

#include <stdbool.h>

/* Names and ids of events are not kept: a JSON text tells its type itself. At most 24
 * bytes. */
struct sse {
    uint64_t events; /* dispatched so far */
    uint8_t state;
    bool in_data;  /* the line being read is of a data field */
    bool after_cr; /* a LF that comes now belongs to the CR before it */
    bool has_data; /* the event being read has a data field */
    uint8_t word_len;
    char word[5]; /* a field name being read */
};

struct sse_sink {
    /* The first data of an event stands at the front of `rest`, up to a line end that
     * need not be there. A sink that knows it by its look takes it, if the line end is
     * there, and returns its length; else 0, and the data comes in pieces. NULL: it
     * takes none. */
    size_t (*take)(void *self, struct span rest);
    /* The next piece of the current event's data; lines are joined by "\n". */
    void (*data)(void *self, struct span piece);
    /* The event ended with a blank line. Not called for events without a data field. */
    void (*event)(void *self);
};

/* Where the first LF or CR stands; text.len if nowhere. */
size_t sse_line_end(struct span text);

void sse_init(struct sse *sse);
void sse_feed(struct sse *sse, struct span piece, const struct sse_sink *sink,
              void *self);

/* The stream has ended: an event that no blank line closed is dispatched, and true is
 * returned, since providers do cut the last blank line. (A browser would drop it.) */
bool sse_end(struct sse *sse, const struct sse_sink *sink, void *self);

#endif
