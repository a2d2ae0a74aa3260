#include "proxy/engine/hold.h"

#include "proxy/engine/splice.h"
#include "proxy/engine/worker.h"

/* Brings the worker's account of held bytes up to date with this exchange's queues. */
static void hold_count(struct exchange *x)
{
    uint64_t held = x->held.bytes + x->decoded.bytes;

    if (held != x->held_counted) {
        x->worker->held_bytes += held - x->held_counted;
        metrics_add(x->worker->metrics, METRIC_HELD_BYTES,
                    (int64_t)(held - x->held_counted));
        x->held_counted = held;
    }
}

enum fault hold_put(struct exchange *x, struct span data)
{
    const struct config_limits *limits = &worker_config(x->worker)->limits;

    if (x->worker->held_bytes + data.len > limits->held_bytes) {
        return FAULT_OVERLOADED;
    }
    if (!block_put(&x->held, &x->worker->loop->blocks, data) || x->no_memory) {
        return FAULT_NO_MEMORY;
    }
    hold_count(x);
    return FAULT_NONE;
}

void hold_put_decoded(void *self, struct span piece)
{
    struct exchange *x = self;

    if (!block_put(&x->decoded, &x->worker->loop->blocks, piece)) {
        x->no_memory = true;
    }
    hold_count(x);
}

void hold_use_decoded(struct exchange *x)
{
    if (x->decoded.bytes > 0) {
        block_clear(&x->held, &x->worker->loop->blocks);
        x->held = x->decoded;
        x->decoded = (struct block_queue){ 0 };
        x->encoding = span_of(NULL, 0);
    }
}

bool hold_splice(struct exchange *x, const struct splice *splice)
{
    bool spliced = splice_apply(splice, &x->held, &x->worker->loop->blocks);

    hold_count(x);
    return spliced && !x->no_memory;
}

bool hold_inject_usage(struct exchange *x)
{
    struct splice splice = splice_plan(&x->facts);

    hold_use_decoded(x);
    x->injected = true;
    metrics_add(x->worker->metrics, METRIC_USAGE_INJECTED, 1);
    return hold_splice(x, &splice);
}

void hold_clear_decoded(struct exchange *x)
{
    block_clear(&x->decoded, &x->worker->loop->blocks);
    hold_count(x);
}

void hold_clear(struct exchange *x)
{
    block_clear(&x->held, &x->worker->loop->blocks);
    hold_clear_decoded(x);
}
