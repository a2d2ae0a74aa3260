/* The strict decoder of Transfer-Encoding: chunked (RFC 9112, section 7.1): any split
 * of the bytes gives the same data. Extensions are bounded and dropped, trailers are
 * dropped; forbidden trailer names and every deviation from the grammar are faults. */
#ifndef ASSAY_HTTP_CHUNKED_H
#define ASSAY_HTTP_CHUNKED_H

#include "proxy/base/check.h"
#include "proxy/base/fault.h"
#include "proxy/base/span.h"

struct chunked {
    uint64_t left;      /* data bytes of the current chunk still to come */
    uint32_t extension; /* bytes of extensions seen in the whole body */
    uint16_t trailer;   /* bytes of trailer lines seen */
    uint8_t digits;     /* of the current size line */
    uint8_t state;
    uint8_t name_len; /* of the trailer name being read */
    char name[24];    /* its first bytes, lower case */
};

void chunked_init(struct chunked *chunked);

/* Takes bytes off the front of *input until one piece of data is found (*data,
 * borrowed from the input), the input is used up (*data is empty), or the body has
 * ended (*ended; what is left in *input belongs to the next message).
 * FAULT_BAD_FRAMING on deviation. */
enum fault chunked_next(struct chunked *chunked, struct span *input, struct span *data,
                        bool *ended) MUST_CHECK;

/* Space for chunked_size_line(): 16 hex digits, CRLF. */
enum { CHUNKED_LINE_MAX = 18 };

/* Writes the line that precedes a chunk of `size` bytes (not 0); returns its length. */
size_t chunked_size_line(char line[CHUNKED_LINE_MAX], size_t size);

#endif
