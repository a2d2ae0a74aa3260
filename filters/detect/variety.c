/* Many different prompts that each come again: a pool to draw from. People who like a
 * prompt repeat that one, which counts here once and then against it; and who says
 * again what he opened a conversation with has not got through with it. What is known
 * from the other stratum alone is place's. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void variety_observe(struct identity_state *state,
                            const struct occasion *occasion)
{
    if (occasion->content && !occasion->again && !occasion->likeness.elsewhere) {
        reference_bet(state, BET_variety, occasion->likeness.shape == RECALLED_ONCE,
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
