/* Content codings undone on a copy, as the bytes pass: gzip, deflate (zlib or
 * raw), br and zstd, chained, across members and frames, with caps. The relay
 * never sees the result. */
#ifndef ASSAY_FILTERS_CONTENT_DECODE_H
#define ASSAY_FILTERS_CONTENT_DECODE_H

#include "proxy/base/check.h"
#include "proxy/base/span.h"

struct decode_limits {
    uint64_t bytes; /* decoded, in all */
    uint32_t ratio; /* decoded to encoded, beyond the first 64 KiB */
};

enum decode_verdict {
    DECODE_OK,
    DECODE_CORRUPT,    /* not that coding, or damaged */
    DECODE_OVER_LIMIT, /* a bomb */
    DECODE_NO_MEMORY
};

/* Does this build undo every coding of this Content-Encoding value? ("" and "identity"
 * need nothing undone and are known.) */
bool decode_known(struct span content_encoding);

/* Is there anything to undo? */
bool decode_needed(struct span content_encoding);

struct decode;

/* NULL without memory. `content_encoding` must be known. */
struct decode *decode_new(struct span content_encoding, struct decode_limits limits);
struct decode *decode_free(struct decode *decode);

/* Decodes the next piece; `out` gets all that can be decoded so far, in pieces of at
 * most 16 KiB. After a verdict other than DECODE_OK nothing more comes out. Bytes
 * behind the last member, frame or stream are DECODE_CORRUPT. */
enum decode_verdict decode_feed(struct decode *decode, struct span piece,
                                void (*out)(void *self, struct span piece), void *self);

/* The body has ended: DECODE_CORRUPT if a member or frame was cut short. A body without
 * a byte is whole. */
enum decode_verdict decode_end(struct decode *decode);

/* An Accept-Encoding value reduced to what this build can undo, in its order and with
 * its weights; "identity" if nothing is left. "*" becomes the codings that it stands
 * for here, unless it has weight 0. Adds to `out`. */
struct text;
void decode_accept(struct span accept_encoding, struct text *out);

#endif
