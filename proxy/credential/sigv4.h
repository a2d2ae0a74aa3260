/* AWS Signature Version 4, for requests whose whole body is known:
 * docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
#ifndef ASSAY_CREDENTIAL_SIGV4_H
#define ASSAY_CREDENTIAL_SIGV4_H

#include "proxy/base/check.h"
#include "proxy/base/text.h"

enum {
    SIGV4_DIGEST_SIZE = 32,
    SIGV4_DIGEST_HEX = 2 * SIGV4_DIGEST_SIZE,
    SIGV4_DATE_SIZE = 17,     /* "20150830T123600Z" with its NUL */
    SIGV4_PARAMETERS_MAX = 64 /* of a query */
};

struct sigv4_field {
    struct span name; /* in lower case */
    struct span value;
};

struct sigv4_request {
    struct span method;
    struct span path;  /* as it is sent; every service but S3 escapes it once more */
    struct span query; /* as it is sent, without the question mark */
    const struct sigv4_field *fields; /* to be signed, by ascending names */
    size_t field_count;
    struct span payload; /* the body's SHA-256 in hexadecimal */
};

struct sigv4_signer {
    struct span access_key_id;
    struct span secret_access_key;
    struct span region;
    struct span service;
    const char *date; /* of sigv4_date(), as in the field x-amz-date */
};

/* Unix seconds as x-amz-date wants them. */
void sigv4_date(uint64_t unix_s, char date[SIGV4_DATE_SIZE]);

/* A digest in hexadecimal; returns a span of `text`. */
struct span sigv4_hex(const unsigned char digest[SIGV4_DIGEST_SIZE],
                      char text[SIGV4_DIGEST_HEX]);

/* Writes the value of the Authorization field. False if it does not fit, the query has
 * more than SIGV4_PARAMETERS_MAX parameters, or there is no memory. */
bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_signer *signer,
                struct text *authorization) MUST_CHECK;

#endif
