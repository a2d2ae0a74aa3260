/* JSON documents out of a byte stream: one per line (NDJSON, JSON Lines), or
 * concatenated, with or without white space (or RFC 7464's record separators) between
 * them. Any split; nothing is gathered, data goes out as it comes.
 *
 * A document ends with its last bracket, or the quote or white space behind a scalar.
 * A line end within brackets is white space, so that pretty-printed documents stay
 * whole; one within a string is an error that ends the document, so that a line that
 * was cut does not take the next ones with it. What a document says is for the JSON
 * scan to judge. */
#ifndef ASSAY_FILTERS_FRAME_LINES_H
#define ASSAY_FILTERS_FRAME_LINES_H

#include "proxy/base/span.h"

#include <stdbool.h>

struct lines {
    uint64_t documents; /* ended so far */
    uint64_t depth;     /* open brackets */
    uint8_t state;
    bool array; /* the documents are the objects of an array, between commas */
};

struct lines_sink {
    /* The next piece of the current document. */
    void (*data)(void *self, struct span piece);
    /* The document ended. */
    void (*document)(void *self);
};

void lines_init(struct lines *lines);

/* For one array that streams past, as Gemini's: its objects are the documents. */
void lines_init_array(struct lines *lines);

void lines_feed(struct lines *lines, struct span piece, const struct lines_sink *sink,
                void *self);

/* The stream has ended: a document that is still open, cut or a scalar, is ended and
 * true is returned. */
bool lines_end(struct lines *lines, const struct lines_sink *sink, void *self);

#endif
