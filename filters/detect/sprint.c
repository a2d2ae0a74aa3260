/* Much of a quota window's tokens in its last hours, more than in the windows before: a
 * target that is run at, or a deadline. Context only. Windows are weeks, in UTC, from
 * Monday; tokens are counted in thousands. */
#include "filters/detect/context.h"
#include "filters/detect/signal.h"

#include <string.h>

enum {
    MS_PER_HOUR = 3600 * 1000,
    WINDOW_HOURS = 7 * 24,
    MONDAY_HOURS = 4 * 24, /* 1970-01-05 */
    WINDOWS_MIN = 3,
    SHARE_MIN_PERCENT = 20,
    TIMES_MEDIAN = 3
};

/* The window has ended: keeps its total and its last hours'. */
static void close_window(struct sprint_state *sprint)
{
    memmove(&sprint->windows[1], &sprint->windows[0],
            (SPRINT_WINDOWS - 1) * sizeof(sprint->windows[0]));
    sprint->windows[0] = sprint->current;
    sprint->current = (struct sprint_window){ .total = 0 };
    sprint->kept += sprint->kept < SPRINT_WINDOWS;
}

static void sprint_call(struct identity_state *state, const struct turn *turn)
{
    struct sprint_state *sprint = &state->sprint;
    uint32_t hour = (uint32_t)(turn->begin_ms / MS_PER_HOUR) - MONDAY_HOURS;
    uint64_t thousands = (turn->input_tokens + turn->output_tokens + 500) / 1000;

    if (sprint->number != hour / WINDOW_HOURS) {
        if (sprint->number != 0) {
            close_window(sprint);
        }
        sprint->number = hour / WINDOW_HOURS;
    }
    sprint->current.total += (uint32_t)thousands;
    if (hour % WINDOW_HOURS >= WINDOW_HOURS - SPRINT_HOURS) {
        sprint->current.late += (uint32_t)thousands;
    }
}

static unsigned percent_late(const struct sprint_window *window)
{
    return window->total == 0
               ? 0
               : (unsigned)(UINT64_C(100) * window->late / window->total);
}

/* The median share of the windows before the last. */
static unsigned usual_percent(const struct sprint_state *sprint)
{
    unsigned sorted[SPRINT_WINDOWS], count = 0;

    for (unsigned i = 1; i < sprint->kept; i++, count++) {
        unsigned percent = percent_late(&sprint->windows[i]), at = count;

        for (; at > 0 && sorted[at - 1] > percent; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = percent;
    }
    return count == 0 ? 0 : sorted[count / 2];
}

void sprint_context(const struct identity_state *state, struct evidence *evidence)
{
    const struct sprint_state *sprint = &state->sprint;
    unsigned late = percent_late(&sprint->windows[0]);

    if (sprint->kept >= WINDOWS_MIN && late > SHARE_MIN_PERCENT &&
        late > TIMES_MEDIAN * usual_percent(sprint)) {
        evidence_add_context(evidence, "sprint",
                             "%u%% of last week's tokens were used in its last %u "
                             "hours, "
                             "usually %u%%; a deadline looks the same",
                             late, (unsigned)SPRINT_HOURS, usual_percent(sprint));
    }
}

const struct signal signal_sprint = { .name = "sprint", .call = sprint_call };
