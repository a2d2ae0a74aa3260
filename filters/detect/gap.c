/* Pauses between turns that no person of the reference keeps to. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

#include <math.h>

#define BIN_OCTAVES .75

static unsigned gap_bin(int64_t ms)
{
    double seconds = ms > 1000 ? (double)ms / 1000 : 1;
    unsigned bin = (unsigned)(log2(seconds) / BIN_OCTAVES);

    return bin < GAP_BINS ? bin : GAP_BINS - 1;
}

static void gap_observe(struct identity_state *state, const struct occasion *occasion)
{
    int64_t gap = occasion->turn->begin_ms - state->last_turn_ms;

    if (!occasion->first && gap > 0) {
        histogram_observe(&state->gap, state->gap_counts, GAP_BINS, gap_envelope,
                          gap_bin(gap));
    }
}

static void gap_explain(const struct identity_state *state, struct evidence *evidence)
{
    unsigned bin = histogram_fullest(state->gap_counts, GAP_BINS);

    evidence_add_histogram(evidence, "gap", &state->gap, state->gap_counts[bin],
                           "%u of %u recent turns came %.0f to %.0f s after the one "
                           "before; at most %.0f%% for any person of the reference",
                           state->gap_counts[bin], state->gap.total,
                           bin == 0 ? 0 : exp2(bin * BIN_OCTAVES),
                           exp2((bin + 1) * BIN_OCTAVES),
                           100 * (double)gap_envelope[bin]);
}

const struct signal signal_gap = {
    .name = "gap",
    .observe = gap_observe,
    .explain = gap_explain,
};
