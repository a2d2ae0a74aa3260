#include "filters/watch.h"

#include "filters/watch_pool.h"

#include <stdlib.h>

struct watch_pool *watch_pool_new(struct decode_limits limits)
{
    struct watch_pool *pool = calloc(1, sizeof(*pool));

    if (pool != NULL) {
        pool->limits = limits;
    }
    return pool;
}

struct watch_pool *watch_pool_free(struct watch_pool *pool)
{
    if (pool != NULL) {
        request_watch_drop(pool->requests);
        response_watch_drop(pool->responses);
        free(pool);
    }
    return NULL;
}
