/* Base64url without padding (RFC 7515, section 2), strictly: every text that is taken
 * has one reading, and every sequence of bytes one text. */
#ifndef ASSAY_IDENTITY_BASE64URL_H
#define ASSAY_IDENTITY_BASE64URL_H

#include "proxy/base/arena.h"

/* The bytes; `at` is NULL for padding, other characters, white space, a length that
 * none has, unused bits that are not 0, or without room in the arena. */
struct span base64url_read(struct span text, struct arena *arena) MUST_CHECK;

#endif
