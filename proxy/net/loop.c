#include "proxy/net/loop.h"

#include "proxy/base/clock.h"
#include "proxy/net/stream.h"

#include <stdlib.h>

/* Spare blocks kept per loop: 64 of 16 KiB. */
enum { IDLE_BLOCKS = 64 };

static bool loop_init(struct loop *loop)
{
    struct event_config *settings = event_config_new();

    if (settings == NULL) {
        return false;
    }
    event_config_require_features(settings, EV_FEATURE_ET);
    event_config_set_flag(settings, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(settings);
    event_config_free(settings);
    if (loop->base == NULL || !deadlines_init(&loop->deadlines, loop->base)) {
        return false;
    }
    block_pool_init(&loop->blocks, IDLE_BLOCKS);
    loop->read_buffer = malloc(LOOP_READ_BYTES);
    loop->plain_buffer = malloc(LOOP_PLAIN_BYTES);
    loop->scratch = malloc(LOOP_SCRATCH_BYTES);
    loop->plain_out = malloc(LOOP_RECORD_BYTES);
    loop->cipher_buffer = malloc(LOOP_CIPHER_BYTES);
    loop->now_ns = clock_monotonic_ns();
    return loop->read_buffer != NULL && loop->plain_buffer != NULL &&
           loop->scratch != NULL && loop->plain_out != NULL &&
           loop->cipher_buffer != NULL;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop != NULL && !loop_init(loop)) {
        return loop_free(loop);
    }
    return loop;
}

static void loop_bury(struct loop *loop)
{
    while (loop->dead != NULL) {
        struct stream *stream = loop->dead;

        loop->dead = stream->next_dead;
        if (stream->freed != NULL) {
            stream->freed(stream->owner);
        }
    }
}

struct loop *loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return NULL;
    }
    loop_bury(loop);
    if (loop->base != NULL) {
        deadlines_done(&loop->deadlines);
        event_base_free(loop->base);
    }
    block_pool_done(&loop->blocks);
    free(loop->read_buffer);
    free(loop->plain_buffer);
    free(loop->scratch);
    free(loop->plain_out);
    free(loop->cipher_buffer);
    free(loop);
    return NULL;
}

void loop_turn(struct loop *loop)
{
    event_base_loop(loop->base, EVLOOP_ONCE);
    if (loop->gather != NULL) {
        stream_flush(loop->gather);
    }
    loop_bury(loop);
}
