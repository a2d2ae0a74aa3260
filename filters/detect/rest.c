/* Days without a pause of more than REST_HOURS between turns. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

enum { DAY_HOURS = 24, MS_PER_HOUR = 3600 * 1000 };

/* The longest run of hours without a turn within the last day, this hour included. */
static unsigned longest_pause(uint32_t hours)
{
    unsigned longest = 0, run = 0;

    for (unsigned n = 0; n <= DAY_HOURS; n++) {
        run = hours >> n & 1 ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void enter_hour(struct identity_state *state, uint32_t hour)
{
    uint32_t passed = hour - state->rest_hour;

    state->rest_hours = passed > DAY_HOURS ? 0 : state->rest_hours << passed;
    state->rest_hours = (state->rest_hours | 1) & ((2U << DAY_HOURS) - 1);
    state->rest_hour = hour;
}

static void rest_observe(struct identity_state *state, const struct occasion *occasion)
{
    uint32_t hour = (uint32_t)(occasion->turn->begin_ms / MS_PER_HOUR);

    enter_hour(state, hour);
    if (state->rest_next == 0) {
        state->rest_next = hour + DAY_HOURS;
    } else if (hour >= state->rest_next) {
        reference_bet(state, BET_rest, longest_pause(state->rest_hours) <= REST_HOURS,
                      occasion->now);
        state->rest_next = hour + DAY_HOURS;
    }
}

static void rest_explain(const struct identity_state *state, struct evidence *evidence)
{
    evidence_add_yes_no(evidence, state, BET_rest);
}

const struct signal signal_rest = {
    .name = "rest",
    .observe = rest_observe,
    .explain = rest_explain,
};
