/* Base64 (RFC 4648, section 4) undone in pieces of any size. */
#ifndef ASSAY_FILTERS_CONTENT_BASE64_H
#define ASSAY_FILTERS_CONTENT_BASE64_H

#include "proxy/base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* All zero at the beginning of a text. */
struct base64 {
    uint32_t bits;
    uint8_t count; /* of bits that are waiting: 0, 2, 4 or 6 of them mean something */
    bool ended;    /* padding came */
    bool bad;      /* a character that has no place here */
};

/* Decodes the next piece into `out`, which has room for three bytes per four characters
 * and two more. Returns how many bytes there are; what is bad is left out. */
size_t base64_feed(struct base64 *base64, struct span piece, char *out);

#endif
