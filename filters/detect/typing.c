/* Prompts that come faster than anybody types. Pasting and dictation do too, so it only
 * corroborates. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void typing_observe(struct identity_state *state,
                           const struct occasion *occasion)
{
    double seconds = ((double)occasion->now - occasion->answered) / (double)STATE_TICKS;
    double typed = occasion->turn->prompt.characters;

    if (occasion->first || !occasion->fresh || !occasion->long_enough ||
        occasion->answered == 0) {
        return;
    }
    reference_bet(state, BET_typing,
                  seconds >= -.5 &&
                      typed > (double)TYPING_SPEED * (seconds > .1 ? seconds : .1),
                  occasion->now);
}

static void typing_explain(const struct identity_state *state,
                           struct evidence *evidence)
{
    evidence_add_yes_no(evidence, state, BET_typing);
}

const struct signal signal_typing = {
    .name = "typing",
    .observe = typing_observe,
    .explain = typing_explain,
};
