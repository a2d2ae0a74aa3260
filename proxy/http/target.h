/* The one reading of a request target: everything that decides by path (route, dialect,
 * quota, log) reads what this makes. A target that two readers could take for different
 * paths is refused, so that the raw target, which is what gets forwarded, means the
 * same to any provider. */
#ifndef ASSAY_HTTP_TARGET_H
#define ASSAY_HTTP_TARGET_H

#include "proxy/base/check.h"
#include "proxy/base/fault.h"
#include "proxy/base/span.h"

enum {
    /* %2F may stand in the segment after one that is "model" (Bedrock: a model id that
     * is an ARN). It stays "%2F" in the canonical path: no new segment begins there. */
    TARGET_ALLOW_ENCODED_SLASH = 1
};

struct target {
    struct span path;  /* canonical: escapes decoded, no slash at its end but "/" */
    struct span query; /* as it came, without its question mark; empty: none */
};

/* Reads an origin-form target. The canonical path is written to buffer, of `size`
 * bytes; it is never longer than the raw one, and its segments are those of the raw
 * one, one for one. The query is borrowed from `raw`.
 *
 * FAULT_BAD_TARGET: an empty segment (so also a slash at the end of anything but "/"),
 * a segment that is or ends in a dot, a semicolon, a space, a backslash, a broken
 * escape; an escaped slash, backslash, semicolon, question mark, number sign, percent
 * sign, space at an end, control character or anything beyond ASCII. Case is kept.
 * FAULT_NO_ROUTE: the target "*". FAULT_TARGET_TOO_LONG: buffer is too small. */
enum fault target_parse(struct span raw, unsigned flags, char *buffer, size_t size,
                        struct target *target) MUST_CHECK;

#endif
