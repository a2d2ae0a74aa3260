/* Prompts put together from phrases that were seen before: slots, spintax, edits. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void near_observe(struct identity_state *state, const struct occasion *occasion)
{
    if (occasion->content && !occasion->excused) {
        reference_bet(state, occasion->opener ? BET_near_open : BET_near_mid,
                      is_near(&occasion->likeness), occasion->now);
    }
}

static void near_explain(const struct identity_state *state, struct evidence *evidence)
{
    evidence_add_content(evidence, state, BET_near_open);
    evidence_add_content(evidence, state, BET_near_mid);
}

const struct signal signal_near = {
    .name = "near",
    .observe = near_observe,
    .explain = near_explain,
};
