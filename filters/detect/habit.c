/* People have habits: "run the tests and fix what fails" after every change, one and
 * the same prompt to open most conversations. What tells them from a script is that
 * they also say what was never said. So a conversation in which somebody does has
 * excuses for what came before, and what its opener won is taken back and lost instead.
 * Habits have their place: a prompt that is known only from the other stratum is none.
 * This never adds to a score. */
#include "filters/detect/habit.h"

#include "filters/detect/reference.h"
#include "filters/detect/shared.h"

#include <math.h>

enum {
    EXCUSES = 2, /* that a new prompt makes: of three, two may have come before */
    EXCUSES_MAX = 4,
    WHOLE_BITS = 15
};

/* Bets on openers that depend on how the conversation goes on. */
static const enum yes_no bets[] = { BET_repeat_open, BET_near_open, BET_topic_open,
                                    BET_shared };

static bool is_new(const struct likeness *likeness)
{
    return likeness->shape == RECALLED_NEVER && likeness->recycled < NEW_RECYCLED;
}

bool habit_excuses(const struct occasion *occasion)
{
    const struct likeness *likeness = &occasion->likeness;
    struct session_state *session = occasion->session;
    bool known = is_near(likeness) || likeness->topical;

    if (is_new(likeness)) {
        unsigned excuses = session->excuses + EXCUSES;

        session->excuses = (excuses < EXCUSES_MAX ? excuses : EXCUSES_MAX) & 7;
        return false;
    }
    if (occasion->again && !session->said_again &&
        session->opener_whole == (occasion->turn->prompt.whole & WHOLE_BITS)) {
        session->said_again = true;
        return true;
    }
    if (occasion->opener || !known || likeness->elsewhere || session->excuses == 0) {
        return false;
    }
    session->excuses--;
    return true;
}

static uint16_t bit(enum yes_no bet)
{
    return (uint16_t)(1U << bet);
}

/* Which bets an opener won. */
static uint16_t won_by(const struct occasion *occasion)
{
    const struct likeness *likeness = &occasion->likeness;
    const struct {
        enum yes_no bet;
        bool won;
    } rows[] = {
        { BET_repeat_open, !likeness->elsewhere && likeness->shape != RECALLED_NEVER },
        { BET_near_open, !likeness->elsewhere && is_near(likeness) },
        { BET_topic_open, !likeness->elsewhere && likeness->topical },
        { BET_shared, shared_wins(occasion) },
    };
    uint16_t won = 0;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        won = (uint16_t)(won | (rows[i].won ? bit(rows[i].bet) : 0));
    }
    return won;
}

/* As if the opener had been no occasion; a bet that began anew since does not have
 * it. */
static void take_back(struct yes_no_bet *bet, const struct reference_row *odds,
                      uint32_t opened)
{
    float nats = bet->nats - (float)log(odds->q / odds->p0);

    if (bet->nats > 0 && bet->since <= opened) {
        bet->nats = nats > 0 ? nats : 0;
        bet->n = (uint16_t)(bet->n - (bet->n > 0));
        bet->k = (uint16_t)(bet->k - (bet->k > 0));
    }
}

static void take_all_back(struct identity_state *state, struct session_state *session)
{
    for (unsigned i = 0; i < sizeof(bets) / sizeof(*bets); i++) {
        if ((session->won & bit(bets[i])) != 0) {
            take_back(&state->bets[bets[i]], &reference[bets[i]], session->opened);
            reference_bet(state, bets[i], false, session->opened);
        }
    }
    session->won = 0;
}

static void habit_observe(struct identity_state *state, const struct occasion *occasion)
{
    struct session_state *session = occasion->session;

    if (!occasion->content) {
        return;
    }
    if (occasion->opener) {
        session->opened = occasion->now;
        session->won = won_by(occasion);
        session->opener = (uint8_t)occasion->turn->prompt.shape;
        session->opener_whole = occasion->turn->prompt.whole & WHOLE_BITS;
    } else if (is_new(&occasion->likeness)) {
        take_all_back(state, session);
    }
}

const struct signal signal_habit = {
    .name = "habit",
    .observe = habit_observe,
};
