/* One content coding (RFC 9110, section 8.4.1), as decode.c chains them. Private to the
 * decoder. */
#ifndef ASSAY_FILTERS_CONTENT_CODING_H
#define ASSAY_FILTERS_CONTENT_CODING_H

#include "filters/content/decode.h"

/* What a step may write. */
struct room {
    char *at;
    size_t size;
    size_t used;
};

struct coding {
    const char *name;
    const char *alias; /* another name for it, or NULL */

    /* A decoder's state; NULL without memory. */
    void *(*open)(void);
    void (*close)(void *state);

    /* Decodes from the front of *in until it is empty or the room is full. A full room
     * means that there may be more, even without further input. */
    enum decode_verdict (*step)(void *state, struct span *in, struct room *room);

    /* May the body end here? Asked only if there was a byte of it. */
    bool (*whole)(const void *state);
};

extern const struct coding coding_gzip;
extern const struct coding coding_deflate;
extern const struct coding coding_br;
extern const struct coding coding_zstd;

#endif
