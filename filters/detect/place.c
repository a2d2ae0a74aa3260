/* Prompts that open conversations and also come inside others. People have prompts to
 * begin with and prompts to go on with; a pool of prompts has none. Who opens a
 * conversation with what he said last starts over. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

/* Asks of what is new in its place whether it is known from the other. */
static void place_observe(struct identity_state *state, const struct occasion *occasion)
{
    const struct likeness *likeness = &occasion->likeness;

    if (!occasion->content || occasion->again || likeness->at_once) {
        return;
    }
    if (likeness->shape == RECALLED_NEVER) {
        reference_bet_new(state, BET_place, likeness->known, occasion->now);
    } else if (likeness->elsewhere) {
        reference_bet(state, BET_place, true, occasion->now);
    }
}

static void place_explain(const struct identity_state *state, struct evidence *evidence)
{
    evidence_add_content(evidence, state, BET_place);
}

const struct signal signal_place = {
    .name = "place",
    .observe = place_observe,
    .explain = place_explain,
};
