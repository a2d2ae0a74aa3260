/* Conversations of one turn. Trivially evaded: it only corroborates. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void oneshot_observe(struct identity_state *state,
                            const struct occasion *occasion)
{
    reference_bet(state, BET_oneshot, occasion->opener, occasion->now);
}

static void oneshot_explain(const struct identity_state *state,
                            struct evidence *evidence)
{
    evidence_add_yes_no(evidence, state, BET_oneshot);
}

const struct signal signal_oneshot = {
    .name = "oneshot",
    .observe = oneshot_observe,
    .explain = oneshot_explain,
};
