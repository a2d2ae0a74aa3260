/* Prompts whose template was seen before, openers of conversations and others apart. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void repeat_observe(struct identity_state *state,
                           const struct occasion *occasion)
{
    if (occasion->content && !occasion->excused) {
        reference_bet(state, occasion->opener ? BET_repeat_open : BET_repeat_mid,
                      occasion->likeness.shape != RECALLED_NEVER, occasion->now);
    }
}

static void repeat_explain(const struct identity_state *state,
                           struct evidence *evidence)
{
    evidence_add_content(evidence, state, BET_repeat_open);
    evidence_add_content(evidence, state, BET_repeat_mid);
}

const struct signal signal_repeat = {
    .name = "repeat",
    .observe = repeat_observe,
    .explain = repeat_explain,
};
