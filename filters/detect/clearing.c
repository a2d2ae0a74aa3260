#include "filters/detect/clearing.h"

#include "filters/detect/reference.h"
#include "filters/detect/score.h"

/* An occasion on which nothing of note happens, at the emptiest place of each histogram. */
static unsigned emptiest(const uint8_t *counts, const float *shares, unsigned bins)
{
    unsigned best = 0;

    for (unsigned i = 1; i < bins; i++) {
        if ((float)counts[i] / shares[i] < (float)counts[best] / shares[best]) {
            best = i;
        }
    }
    return best;
}

static void pass(struct histogram_bet *bet, uint8_t *counts, const float *shares,
                 unsigned bins)
{
    histogram_observe(bet, counts, bins, shares, emptiest(counts, shares, bins));
}

/* The bets on openers and those inside conversations both meet one. */
static void ordinary_turn(struct identity_state *state)
{
    for (enum yes_no bet = 0; bet < YES_NO_BETS; bet++) {
        if (bet != BET_rest) {
            reference_bet(state, bet, false, 1);
        }
    }
    for (unsigned i = 0; i < PHASES; i++) {
        pass(&state->phases[i], state->phase_counts[i], phase_uniform, PHASE_BINS);
    }
    pass(&state->gap, state->gap_counts, gap_envelope, GAP_BINS);
    pass(&state->length, state->length_counts, length_envelope, LENGTH_BINS);
}

unsigned clearing_turns(const struct identity_state *state, float threshold)
{
    struct identity_state later = *state;
    unsigned turns = 0;

    while (turns < CLEARING_MAX && score_of(&later) >= threshold) {
        ordinary_turn(&later);
        turns++;
    }
    return turns;
}

void clearing_put(struct text *out, const struct identity_state *state, float threshold)
{
    unsigned turns = clearing_turns(state, threshold);

    if (turns == 0) {
        text_put(out,
                 SPAN("Prompts that other identities do not send: two days without "
                      "one weigh as much as one that is shared"));
    } else if (state->bets[BET_rest].nats >= threshold) {
        text_printf(out, "Days with a pause of more than %u hours between turns",
                    (unsigned)REST_HOURS);
    } else {
        text_printf(out,
                    "%s%u ordinary turns (openers of conversations and prompts within "
                    "them, not sent before, at times of their own) bring the score "
                    "below %.0f",
                    turns == CLEARING_MAX ? "More than " : "About ", turns,
                    (double)threshold);
    }
}
