/* Turns that keep to one place in the minute, in five minutes, a quarter or an hour. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

/* A burst counts once. */
static bool counts(const struct identity_state *state, unsigned phase, uint32_t now)
{
    uint32_t last = state->phase_counted[phase];

    return last == 0 || now - last >= 9 * phase_seconds[phase];
}

static void phase_observe(struct identity_state *state, const struct occasion *occasion)
{
    for (unsigned i = 0; i < PHASES; i++) {
        int64_t period_ms = (int64_t)phase_seconds[i] * 1000;
        int64_t at = occasion->turn->begin_ms % period_ms;

        if (counts(state, i, occasion->now)) {
            histogram_observe(&state->phases[i], state->phase_counts[i], PHASE_BINS,
                              phase_uniform, (unsigned)(at * PHASE_BINS / period_ms));
            state->phase_counted[i] = occasion->now;
        }
    }
}

static void phase_explain(const struct identity_state *state, struct evidence *evidence)
{
    for (unsigned i = 0; i < PHASES; i++) {
        const uint8_t *bins = state->phase_counts[i];
        unsigned bin = histogram_fullest(bins, PHASE_BINS);
        unsigned width = phase_seconds[i] / PHASE_BINS;

        evidence_add_histogram(evidence, "phase", &state->phases[i], bins[bin],
                               "%u of %u recent turns start between second %u and %u "
                               "of every %u s; "
                               "5%% by chance",
                               bins[bin], state->phases[i].total, bin * width,
                               (bin + 1) * width, phase_seconds[i]);
    }
}

const struct signal signal_phase = {
    .name = "phase",
    .observe = phase_observe,
    .explain = phase_explain,
};
