/* Prompts that resemble those of other identities. Whoever shares a prompt now and then
 * is no ring, so this bet decides who belongs to one; it scores nothing by itself. */
#include "filters/detect/shared.h"

#include "filters/detect/reference.h"

/* An exercise that a class copies, a prompt that a team hands round: who sends it for
 * the first time, or again in one conversation, gives no evidence. */
static bool is_handed_round(const struct occasion *occasion)
{
    return occasion->company.copied &&
           (occasion->again || occasion->likeness.shape == RECALLED_NEVER);
}

bool shared_wins(const struct occasion *occasion)
{
    const struct circle *circle = occasion->company.circle;

    return circle != NULL && circle->count > 1 && !is_handed_round(occasion);
}

static void shared_observe(struct identity_state *state,
                           const struct occasion *occasion)
{
    if (occasion->content && occasion->company.circle != NULL &&
        !is_handed_round(occasion)) {
        reference_bet(state, BET_shared, shared_wins(occasion), occasion->now);
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
