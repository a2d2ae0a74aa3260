/* A value that must never be printed: it has no formatter and wipes itself. */
#ifndef ASSAY_BASE_SECRET_H
#define ASSAY_BASE_SECRET_H

#include "proxy/base/error.h"
#include "proxy/base/span.h"

struct secret; /* opaque on purpose: %s cannot reach it */

/* A locked copy of `value`; the caller wipes its own. NULL without memory. */
struct secret *secret_new(struct span value);

/* Resolves "env:NAME" or "file:/path" (a final newline is dropped; a file that
 * group or others can read is refused; one in $CREDENTIALS_DIRECTORY, which systemd
 * guards, only if others can). An empty value is a mistake. NULL and an entry in
 * *error on failure. */
struct secret *secret_read(struct span source, struct error_place place,
                           struct error *error);

/* Wipes and frees; takes NULL; returns NULL. */
struct secret *secret_free(struct secret *secret);

/* The bytes, for handing to a peer or a digest; borrowed. */
struct span secret_reveal(const struct secret *secret);

/* Compares in time that depends on the lengths only. */
bool secret_equal(const struct secret *secret, struct span value);

#endif
