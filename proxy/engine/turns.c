#include "proxy/engine/turns.h"

#include "proxy/base/clock.h"
#include "proxy/engine/worker.h"

static bool keeps_pace(struct exchange *x)
{
    struct worker *worker = x->worker;

    if (turn_pace_take(&worker->turn_pace, analyst_identity(worker->analyst, x->entry),
                       worker->loop->now_ns)) {
        return true;
    }
    metrics_add(worker->metrics, METRIC_TURNS_UNREAD, 1);
    return false;
}

void turns_begin(struct exchange *x)
{
    const struct snapshot *snapshot = x->view->snapshot;

    if (snapshot->config->detection.mode != DETECTION_OFF && keeps_pace(x)) {
        (void)!request_watch_turns(x->asked, analyst_key(x->worker->analyst),
                                   snapshot->harness);
    }
}

void turns_asked(struct exchange *x)
{
    x->call = request_watch_call(x->asked);
}

void turns_answer(struct exchange *x)
{
    if (x->call != NULL) {
        (void)!response_watch_turns(x->answered, analyst_key(x->worker->analyst),
                                    x->call);
    }
}

/* What no provider saw was no call. */
static bool was_called(const struct exchange *x)
{
    return x->entry != NULL && !x->refused;
}

void turns_settle(struct exchange *x, const struct entry *entry)
{
    struct analyst_ring *analyst = x->worker->analyst;
    struct call *call = x->call;

    if (call == NULL) {
        return;
    }
    if (was_called(x)) {
        struct turn *turn = &call->turn;

        turn->identity = analyst_identity(analyst, entry);
        turn->begin_ms = (int64_t)(entry->started_ns / NS_PER_MS);
        turn->end_ms = turn->begin_ms + (int64_t)(entry->duration_us / 1000);
        turn->input_tokens = usage_input(&entry->usage);
        turn->output_tokens = usage_output(&entry->usage);
        call->ttfb_ms = (uint32_t)(entry->ttfb_us / 1000);
        call->failed = entry->outcome != OUTCOME_COMPLETE || entry->status >= 400 ||
                       (entry->usage.flags & USAGE_ERROR) != 0;
        analyst_hand_over(analyst, call, entry);
    }
    watch_pool_call_back(x->worker->watches, call);
    x->call = NULL;
}
