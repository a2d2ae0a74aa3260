#include "proxy/engine/drift.h"

#include "filters/count/sample.h"
#include "proxy/engine/worker.h"

/* A byte takes 10 ns to count: one for each microsecond is a hundredth of the time. */
enum { NS_PER_BYTE = 1000, BYTES_MOST = 64 * 1024 };

static const char *model_of(const struct exchange *x)
{
    const char *answered = response_watch_model(x->answered);

    return answered[0] != '\0' ? answered : x->facts.model;
}

/* What is counted in the model's own encoding is exact already. */
static bool is_guess(const char *model)
{
    return bpe_encoding_for_model(span_text(model)) == ENCODING_UNKNOWN;
}

void drift_expect(struct exchange *x)
{
    const char *model = model_of(x);
    uint32_t error;

    x->facts.per_mille =
        is_guess(model) ? calibration_of(x->worker->calibration, model, &error) : 0;
}

static bool has_time(struct worker *worker, uint64_t bytes)
{
    uint64_t passed = (worker->loop->now_ns - worker->drift_ns) / NS_PER_BYTE;

    worker->drift_ns += passed * NS_PER_BYTE;
    worker->drift_bytes = passed < BYTES_MOST - worker->drift_bytes
                              ? worker->drift_bytes + passed
                              : BYTES_MOST;
    if (bytes > worker->drift_bytes) {
        return false;
    }
    worker->drift_bytes -= bytes;
    return true;
}

void drift_settle(struct exchange *x, struct entry *entry)
{
    uint64_t bytes = response_watch_text_bytes(x->answered);

    entry->input_text_bytes = x->input_text_bytes;
    entry->output_text_bytes = bytes;
    if (entry->usage.source != USAGE_REPORTED ||
        !has_time(x->worker, bytes < SAMPLE_MAX ? bytes : SAMPLE_MAX)) {
        return;
    }
    entry->local_output = response_watch_count(x->answered, entry);
    if (entry->local_output > 0) {
        calibration_learn(x->worker->calibration, model_of(x),
                          entry->usage.tokens[TOKENS_OUTPUT], entry->local_output);
    }
}
