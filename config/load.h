/* What stands behind a struct config: its memory, and where each value was written.
 * Shared by the files of this folder only. */
#ifndef ASSAY_CONFIG_LOAD_H
#define ASSAY_CONFIG_LOAD_H

#include "config/config.h"
#include "proxy/base/arena.h"

struct written {
    const void *member; /* the member a value was written for */
    struct error_place place;
};

struct loaded {
    struct config config; /* first: config_free() finds the rest by it */
    struct arena_pool pool;
    struct arena arena;
    struct written *written; /* by member, ascending */
    size_t written_count;
    size_t written_limit;
};

/* Where the value of a member stands; `otherwise` where its default is in force. */
struct error_place config_place(const struct config *config, const void *member,
                                struct error_place otherwise);

#endif
