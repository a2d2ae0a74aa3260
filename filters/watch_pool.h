/* Where watches that are not in use are kept. Private to the watches. */
#ifndef ASSAY_FILTERS_WATCH_POOL_H
#define ASSAY_FILTERS_WATCH_POOL_H

#include "filters/watch.h"

enum { WATCH_POOL_IDLE_MAX = 256 }; /* of each kind; further ones are freed */

struct watch_pool {
    struct decode_limits limits;
    struct request_watch *requests;
    struct response_watch *responses;
    size_t request_count;
    size_t response_count;
};

/* Free the whole list of idle ones. */
void request_watch_drop(struct request_watch *watch);
void response_watch_drop(struct response_watch *watch);

#endif
