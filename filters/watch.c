#include "filters/watch.h"

#include "filters/watch_pool.h"

#include <stdlib.h>

/* What is kept of each kind; a fresh input takes 64 KB. */
enum { FRESH_IDLE_MAX = 32 };

struct pooled_call {
    union {
        struct pooled_call *next; /* while it is idle */
        struct call call;
    };
};

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
    if (pool == NULL) {
        return NULL;
    }
    request_watch_drop(pool->requests);
    response_watch_drop(pool->responses);
    text_reader_drop(pool->readers);
    while (pool->fresh != NULL) {
        struct fresh *fresh = pool->fresh;

        pool->fresh = fresh->next;
        free(fresh);
    }
    while (pool->answers != NULL) {
        struct answer *answer = pool->answers;

        pool->answers = answer->next;
        free(answer);
    }
    while (pool->calls != NULL) {
        struct pooled_call *call = pool->calls;

        pool->calls = call->next;
        free(call);
    }
    free(pool);
    return NULL;
}

struct fresh *watch_pool_fresh(struct watch_pool *pool)
{
    struct fresh *fresh = pool->fresh;

    if (fresh == NULL) {
        return calloc(1, sizeof(*fresh));
    }
    pool->fresh = fresh->next;
    pool->fresh_count--;
    return fresh;
}

void watch_pool_fresh_back(struct watch_pool *pool, struct fresh *fresh)
{
    fresh_wipe(fresh);
    if (pool->fresh_count == FRESH_IDLE_MAX) {
        free(fresh);
        return;
    }
    fresh->next = pool->fresh;
    pool->fresh = fresh;
    pool->fresh_count++;
}

struct answer *watch_pool_answer(struct watch_pool *pool)
{
    struct answer *answer = pool->answers;

    if (answer == NULL) {
        return malloc(sizeof(*answer));
    }
    pool->answers = answer->next;
    pool->answer_count--;
    return answer;
}

void watch_pool_answer_back(struct watch_pool *pool, struct answer *answer)
{
    answer_wipe(answer);
    if (pool->answer_count == WATCH_POOL_IDLE_MAX) {
        free(answer);
        return;
    }
    answer->next = pool->answers;
    pool->answers = answer;
    pool->answer_count++;
}

struct call *watch_pool_call(struct watch_pool *pool)
{
    struct pooled_call *call = pool->calls;

    if (call == NULL) {
        call = malloc(sizeof(*call));
        if (call == NULL) {
            return NULL;
        }
    } else {
        pool->calls = call->next;
        pool->call_count--;
    }
    call->call = (struct call){ .messages = 0 };
    return &call->call;
}

void watch_pool_call_back(struct watch_pool *pool, struct call *call)
{
    struct pooled_call *pooled = (struct pooled_call *)call;

    if (pool->call_count == WATCH_POOL_IDLE_MAX) {
        free(pooled);
        return;
    }
    pooled->next = pool->calls;
    pool->calls = pooled;
    pool->call_count++;
}
