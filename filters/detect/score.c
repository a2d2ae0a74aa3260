#include "filters/detect/score.h"

#define TYPING_CAP  6.0F
#define ONESHOT_CAP 3.0F
#define LENGTH_CAP  4.0F
#define GAP_CAP     4.0F
/* ln 400: what chance makes of the best of four bets in a hundred turns is no evidence. */
#define PHASE_LOOKS 5.991F

static float lesser(float a, float b)
{
    return a < b ? a : b;
}

static float greater(float a, float b)
{
    return a > b ? a : b;
}

static float bet(const struct identity_state *state, enum yes_no which)
{
    return state->bets[which].nats;
}

static float greatest(const struct identity_state *state, enum yes_no a, enum yes_no b,
                      enum yes_no c)
{
    return greater(greater(bet(state, a), bet(state, b)), bet(state, c));
}

/* The bets on one stratum's texts look at the same thing in three ways; those on the
 * two strata do not. Variety sees the same prompts, but asks for something else. */
static float prompts(const struct identity_state *state)
{
    return greatest(state, BET_repeat_open, BET_near_open, BET_topic_open) +
           greatest(state, BET_repeat_mid, BET_near_mid, BET_topic_mid) +
           bet(state, BET_variety) + bet(state, BET_place);
}

static float content(const struct identity_state *state)
{
    return lesser(SCORE_MAX,
                  prompts(state) + lesser(LENGTH_CAP, .5F * state->length.nats));
}

static float timing(const struct identity_state *state)
{
    float phase = 0;

    for (unsigned i = 0; i < PHASES; i++) {
        phase = greater(phase, state->phases[i].nats);
    }
    phase = greater(0, phase - PHASE_LOOKS);
    return lesser(SCORE_MAX, phase + lesser(GAP_CAP, .4F * state->gap.nats));
}

float score_of(const struct identity_state *state)
{
    float families[] = {
        content(state), timing(state), lesser(SCORE_MAX, bet(state, BET_rest)),
        lesser(SCORE_MAX, greater(bet(state, BET_echo), bet(state, BET_echo_others)))
    };
    float sum = lesser(TYPING_CAP, bet(state, BET_typing)) +
                lesser(ONESHOT_CAP, bet(state, BET_oneshot));
    float strongest = 0;

    if (state->turns < SCORE_MIN_TURNS) {
        return 0;
    }
    for (unsigned i = 0; i < sizeof(families) / sizeof(*families); i++) {
        sum += families[i];
        strongest = greater(strongest, families[i]);
    }
    return lesser(sum, 2 * strongest + 1);
}

enum grade grade_of(const struct identity_state *state, float threshold)
{
    float score = score_of(state);

    if (state->turns < SCORE_MIN_TURNS) {
        return GRADE_UNRATED;
    }
    return score >= threshold     ? GRADE_FLAGGED
           : score >= SCORE_WATCH ? GRADE_WATCH
                                  : GRADE_CLEAR;
}
