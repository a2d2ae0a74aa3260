/* The small text parts of a form (multipart/form-data: RFC 7578, RFC 2046 section 5.1)
 * as it streams past, in constant memory and any split. Files are passed over. */
#ifndef ASSAY_FILTERS_FRAME_MULTIPART_H
#define ASSAY_FILTERS_FRAME_MULTIPART_H

#include "proxy/base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046, section 5.1.1 */
    MULTIPART_NAME_MAX = 48,
    MULTIPART_VALUE_MAX = 160, /* bytes of a value that are delivered */
    MULTIPART_LINE_MAX = 256   /* bytes of a header line that are read */
};

/* Plain data, no ownership. */
struct multipart {
    uint64_t bytes; /* of the value that is being read */
    uint8_t state;
    uint8_t delimiter_len;
    uint8_t matched; /* bytes of the delimiter that have come */
    uint8_t name_len;
    uint8_t value_len;
    uint16_t line_len;
    bool file; /* the part is a file, or nameless */
    char delimiter[MULTIPART_BOUNDARY_MAX + 4];
    char name[MULTIPART_NAME_MAX];
    char value[MULTIPART_VALUE_MAX];
    char line[MULTIPART_LINE_MAX];
};

struct multipart_part {
    struct span name; /* of at most MULTIPART_NAME_MAX bytes; longer ones are no part */
    struct span value; /* its front */
    uint64_t bytes;    /* of the whole value */
};

typedef void multipart_seen(void *self, const struct multipart_part *part);

/* From the value of Content-Type. False if it names no legal boundary. */
bool multipart_init(struct multipart *multipart, struct span content_type);

/* Reads the next piece and calls `seen` for every text part that ends in it. */
void multipart_feed(struct multipart *multipart, struct span piece,
                    multipart_seen *seen, void *self);

#endif
