/* What a host name of AWS says: "bedrock-runtime.eu-west-1.amazonaws.com". */
#ifndef ASSAY_CONFIG_AWS_HOST_H
#define ASSAY_CONFIG_AWS_HOST_H

#include "proxy/base/span.h"

/* The region among its labels, such as "eu-west-1"; empty if there is none. */
struct span aws_host_region(const char *host);

/* The service that signatures are for: "bedrock-mantle" where a label is that, else
 * "bedrock", which all its other hosts share. */
struct span aws_host_service(const char *host);

#endif
