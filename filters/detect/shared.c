/* Prompts that resemble those of other identities. Whoever shares a prompt now and then is
 * no ring, so this bet decides who belongs to one; it scores nothing by itself. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

static void shared_observe(struct identity_state *state,
                           const struct occasion *occasion)
{
    const struct circle *circle = occasion->company.circle;

    if (occasion->content && circle != NULL) {
        reference_bet(state, BET_shared, circle->count > 1, occasion->now);
    }
}

static void shared_explain(const struct identity_state *state,
                           struct evidence *evidence)
{
    evidence_add_content(evidence, state, BET_shared);
}

const struct signal signal_shared = {
    .name = "shared",
    .observe = shared_observe,
    .explain = shared_explain,
};
