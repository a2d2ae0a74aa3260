/* Keys of AWS as its tools and services write them down. */
#ifndef ASSAY_CREDENTIAL_AWS_KEY_H
#define ASSAY_CREDENTIAL_AWS_KEY_H

#include "proxy/credential/credential.h"

/* A profile of a credentials file: "[default]" or "[profile x]", then lines "key =
 * value". NULL if it holds no whole key. */
struct credential *aws_key_of_profile(struct span file, const char *profile);

/* The answer of a metadata service: {"AccessKeyId", "SecretAccessKey", "Token",
 * "Expiration"}. NULL if it holds no whole key. */
struct credential *aws_key_of_json(struct span json);

#endif
