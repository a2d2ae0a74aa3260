/* What client programs say by themselves, by the rows of config/harness.yaml: told by
 * how a text begins. */
#ifndef ASSAY_FILTERS_TURN_HARNESS_H
#define ASSAY_FILTERS_TURN_HARNESS_H

#include "proxy/base/error.h"
#include "proxy/base/span.h"

enum { HARNESS_FRONT = 128 }; /* characters of an entry, at most */

struct harness;

/* Immutable; shared by all threads. NULL and entries in *error on failure; `path`
 * outlives *error. A NULL path gives a table that knows no word. */
struct harness *harness_load(const char *path, struct error *error);
struct harness *harness_free(struct harness *harness);

enum harness_list {
    HARNESS_TEXT,     /* blocks of user messages */
    HARNESS_SYSTEM,   /* blocks of system prompts: the whole request is the client's */
    HARNESS_VOLATILE, /* blocks of system prompts that differ from call to call */
    HARNESS_LISTS
};

/* Does this front of a text, decoded, begin with an entry? HARNESS_FRONT bytes behind
 * its white space are enough. */
bool harness_knows(const struct harness *harness, enum harness_list list,
                   struct span front);

#endif
