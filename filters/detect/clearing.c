#include "filters/detect/clearing.h"

#include "filters/detect/reference.h"
#include "filters/detect/score.h"

/* Ordinary turns fall all over the places where those of people do. */
#define ORDINARY_SHARE .05F
enum { STRIDE = 7 };

static void pass(struct histogram_bet *bet, uint8_t *counts, const float *shares,
                 unsigned bins, unsigned turn)
{
    unsigned bin = turn * STRIDE % bins;

    while (shares[bin] < ORDINARY_SHARE) {
        bin = (bin + 1) % bins;
    }
    histogram_observe(bet, counts, bins, shares, bin);
}

/* Every other turn opens a conversation; bets look at one kind or the other. */
static void ordinary_turn(struct identity_state *state, unsigned turn)
{
    for (enum yes_no bet = 0; bet < YES_NO_BETS; bet++) {
        if (bet == BET_rest || turn % 2 != 0) {
            continue;
        }
        if (bet == BET_variety || bet == BET_place) {
            reference_bet_new(state, bet, state->distinct, 1);
        } else {
            reference_bet(state, bet, false, 1);
        }
    }
    for (unsigned i = 0; i < PHASES; i++) {
        pass(&state->phases[i], state->phase_counts[i], phase_uniform, PHASE_BINS,
             turn);
    }
    pass(&state->gap, state->gap_counts, gap_envelope, GAP_BINS, turn);
    pass(&state->length, state->length_counts, length_envelope, LENGTH_BINS, turn);
}

unsigned clearing_turns(const struct identity_state *state, float threshold)
{
    struct identity_state later = *state;
    unsigned turns = 0;

    while (turns < CLEARING_MAX && score_of(&later) >= threshold) {
        ordinary_turn(&later, turns++);
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
