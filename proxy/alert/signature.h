/* Signatures of Standard Webhooks. */
#ifndef ASSAY_ALERT_SIGNATURE_H
#define ASSAY_ALERT_SIGNATURE_H

#include "proxy/base/check.h"
#include "proxy/base/secret.h"
#include "proxy/base/text.h"

/* "v1," and 44 characters of base64, with the final NUL. */
enum { SIGNATURE_SIZE = 3 + 44 + 1 };

/* Signs "id.timestamp.body". A secret "whsec_..." is base64 behind that, as receivers'
 * libraries have it; any other is taken as it stands. false if it is not base64. */
bool signature_make(const struct secret *secret, const char *id, int64_t timestamp_s,
                    struct span body, char signature[SIGNATURE_SIZE]) MUST_CHECK;

#endif
