#include "filters/detect/reference.h"

#include <math.h>

const struct reference_row reference[YES_NO_BETS] = {
#define YES_NO(name, p0, q, worst, what, worst_words)                                  \
    [BET_##name] = { #name, p0, q, worst, what, worst_words },
#include "filters/detect/reference.def"
#undef YES_NO
};

const uint32_t phase_seconds[PHASES] = { 60, 300, 900, 3600 };

const float gap_envelope[GAP_BINS] = {
    .0200F, .0204F, .0329F, .0204F, .0200F, .0764F, .0903F, .0871F,
    .1398F, .1686F, .1850F, .1776F, .1667F, .0855F, .0867F, .0520F,
    .0329F, .0433F, .0208F, .0200F, .0467F, .0833F, .0200F, .0347F,
};

const float length_envelope[LENGTH_BINS] = {
    .0200F, .0200F, .0200F, .0200F, .1703F, .3000F, .3546F, .3070F,
    .1679F, .0641F, .1007F, .2767F, .1957F, .0367F, .0200F, .0263F,
};

const float phase_uniform[PHASE_BINS] = {
    .05F, .05F, .05F, .05F, .05F, .05F, .05F, .05F, .05F, .05F,
    .05F, .05F, .05F, .05F, .05F, .05F, .05F, .05F, .05F, .05F,
};

void reference_bet(struct identity_state *state, enum yes_no bet, bool hit,
                   uint32_t now)
{
    yes_no_observe(&state->bets[bet], reference[bet].p0, reference[bet].q, hit, now);
}

void reference_bet_new(struct identity_state *state, enum yes_no bet, unsigned known,
                       uint32_t now)
{
    const struct reference_row *odds = &reference[bet];
    double q = fmin((double)known / POOL_PROMPTS, POOL_KNOWN_MAX);

    yes_no_observe(&state->bets[bet], odds->p0, fmax(q, odds->p0), false, now);
}
