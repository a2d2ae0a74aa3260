/* Many different prompts that each come again: a pool to draw from. People who like a
 * prompt repeat that one, which counts here once and then against it; and who says
 * again what he opened a conversation with has not got through with it. What is known
 * from the other stratum alone is place's. What is new speaks against a pool the more,
 * the more of it would be known. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void variety_observe(struct identity_state *state,
                            const struct occasion *occasion)
{
    const struct likeness *likeness = &occasion->likeness;

    if (!occasion->content || occasion->again || likeness->elsewhere) {
        return;
    }
    if (likeness->shape == RECALLED_NEVER) {
        reference_bet_new(state, BET_variety, likeness->known, occasion->now);
    } else {
        reference_bet(state, BET_variety, likeness->shape == RECALLED_ONCE,
                      occasion->now);
    }
}

static void variety_explain(const struct identity_state *state,
                            struct evidence *evidence)
{
    evidence_add_content(evidence, state, BET_variety);
}

const struct signal signal_variety = {
    .name = "variety",
    .observe = variety_observe,
    .explain = variety_explain,
};
