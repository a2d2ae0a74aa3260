/* SHA-256 of a virtual key: what the store keeps and the table finds keys by. */
#ifndef ASSAY_IDENTITY_KEY_DIGEST_H
#define ASSAY_IDENTITY_KEY_DIGEST_H

#include "proxy/base/check.h"
#include "proxy/base/span.h"

enum { KEY_DIGEST_SIZE = 32 };

struct key_digest {
    unsigned char bytes[KEY_DIGEST_SIZE];
};

/* Hashes the whole text of a key. The algorithm is fetched once per process and its
 * state reused by each thread, so that a call allocates nothing after a thread's first.
 * False without memory. */
bool key_digest(struct span key, struct key_digest *digest) MUST_CHECK;

/* Takes time that does not depend on the bytes. */
bool key_digest_equal(const struct key_digest *a, const struct key_digest *b);

#endif
