/* Prompts whose lengths keep to one octave. */
#include "filters/detect/length.h"

#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

unsigned length_octave(uint32_t characters)
{
    unsigned octave = characters < 2 ? 0 : 31 - (unsigned)__builtin_clz(characters);

    return octave < LENGTH_BINS ? octave : LENGTH_BINS - 1;
}

static void length_observe(struct identity_state *state,
                           const struct occasion *occasion)
{
    if (occasion->fresh && occasion->long_enough) {
        histogram_observe(&state->length, state->length_counts, LENGTH_BINS,
                          length_envelope,
                          length_octave(occasion->turn->prompt.characters));
    }
}

static void length_explain(const struct identity_state *state,
                           struct evidence *evidence)
{
    unsigned bin = histogram_fullest(state->length_counts, LENGTH_BINS);

    evidence_add_histogram(evidence, "length", &state->length,
                           state->length_counts[bin],
                           "%u of %u recent prompts have %u to %u characters; at most "
                           "%.0f%% for any person of the reference",
                           state->length_counts[bin], state->length.total, 1U << bin,
                           (2U << bin) - 1, 100 * (double)length_envelope[bin]);
}

const struct signal signal_length = {
    .name = "length",
    .observe = length_observe,
    .explain = length_explain,
};
