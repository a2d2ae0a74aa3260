/* Reads the sets of ../shared/vectors that are files of JSON lines. */
#ifndef ASSAY_TESTS_SUPPORT_VECTORS_H
#define ASSAY_TESTS_SUPPORT_VECTORS_H

#include "proxy/base/span.h"

#include <cjson/cJSON.h>

#include <stdio.h>

struct vectors {
    FILE *file;
    char *line;
    size_t size;
    cJSON *object;
    char *bytes;
};

/* Opens a file below ../shared/vectors; false if it is not there, and the test is to be
 * skipped. */
bool vectors_open(struct vectors *vectors, const char *name);
void vectors_close(struct vectors *vectors);

/* The next line's object; NULL at the end. It lives until the next call. */
const cJSON *vectors_next(struct vectors *vectors);

/* A member that is a string; "" if there is none of that name. */
const char *vectors_string(const cJSON *object, const char *name);

/* The bytes of a base64 member, until the next call; empty if there is none. */
struct span vectors_bytes(struct vectors *vectors, const cJSON *object,
                          const char *name);

#endif
