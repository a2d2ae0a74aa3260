/* Where watches that are not in use are kept. Private to the watches. */
#ifndef ASSAY_FILTERS_WATCH_POOL_H
#define ASSAY_FILTERS_WATCH_POOL_H

#include "filters/json/shape.h"
#include "filters/registry.h"
#include "filters/turn/answer.h"
#include "filters/turn/fresh.h"
#include "filters/watch.h"

enum { WATCH_POOL_IDLE_MAX = 256 }; /* of each kind; further ones are freed */

struct watch_pool {
    struct decode_limits limits;
    const struct dialect *dialect; /* of the last call; its plans */
    const struct dialect_plans *plans;
    struct request_watch *requests;
    struct response_watch *responses;
    size_t request_count;
    size_t response_count;
    struct fresh *fresh; /* idle ones, as are the following */
    struct answer *answers;
    struct pooled_call *calls;
    struct text_reader *readers;
    struct shapes shapes; /* of what they read */
    struct tally before;  /* the tallier's, while a text is read at once */
    size_t fresh_count;
    size_t answer_count;
    size_t reader_count;
    size_t call_count;
};

/* As registry_plans(): most calls of a worker are of the dialect of the one before. */
static inline const struct dialect_plans *watch_pool_plans(
    struct watch_pool *pool, const struct dialect *dialect)
{
    if (pool->dialect != dialect) {
        pool->dialect = dialect;
        pool->plans = registry_plans(dialect);
    }
    return pool->plans;
}

/* NULL without memory. Given back, they are wiped. */
struct fresh *watch_pool_fresh(struct watch_pool *pool);
void watch_pool_fresh_back(struct watch_pool *pool, struct fresh *fresh);
struct answer *watch_pool_answer(struct watch_pool *pool);
void watch_pool_answer_back(struct watch_pool *pool, struct answer *answer);
struct call *watch_pool_call(struct watch_pool *pool);

/* What reads a response's JSON text. NULL without memory. Given back, it keeps nothing
 * of the text. */
struct text_reader *watch_pool_reader(struct watch_pool *pool);
void watch_pool_reader_back(struct watch_pool *pool, struct text_reader *reader);

/* Free the whole list of idle ones. */
void text_reader_drop(struct text_reader *reader);
void request_watch_drop(struct request_watch *watch);
void response_watch_drop(struct response_watch *watch);

#endif
