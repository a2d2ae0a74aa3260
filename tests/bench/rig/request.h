/* The request that loadgen sends over and over: text like a coding agent's. */
#ifndef ASSAY_TESTS_BENCH_REQUEST_H
#define ASSAY_TESTS_BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct request_options {
    const char *path;   /* one that ends with /v1/messages gets Anthropic's shape */
    const char *params; /* of the provider, put into the model's name */
    const char *fields; /* header lines, each with its CRLF */
    size_t bytes;       /* of the body, about */
    int port;
    bool sse;
};

/* Head and body; the caller owns them. Never fails. */
char *request_build(const struct request_options *options, size_t *len);

#endif
