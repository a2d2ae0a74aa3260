/* Prompts that share a quarter of their phrases with an earlier one. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void near_observe(struct identity_state *state, const struct occasion *occasion)
{
    if (occasion->content) {
        reference_bet(state, BET_near, occasion->resemblance >= NEAR_RESEMBLANCE,
                      occasion->now);
    }
}

static void near_explain(const struct identity_state *state, struct evidence *evidence)
{
    evidence_add_content(evidence, state, BET_near);
}

const struct signal signal_near = { "near", near_observe, near_explain };
