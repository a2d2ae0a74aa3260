#include "proxy/engine/turn_pace.h"

#include "proxy/base/clock.h"

static const uint64_t call_ns = NS_PER_S / TURN_PACE_RATE;

/* One call in TURN_PACE_SAMPLE, by the clock's nanoseconds: no client
 * can foresee which. */
static bool is_sampled(struct turn_pace *pace, uint64_t now_ns)
{
    uint64_t mixed = (now_ns + pace->beyond++) * UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xff51afd7ed558ccd);
    return (mixed >> 32) % TURN_PACE_SAMPLE == 0;
}

bool turn_pace_take(struct turn_pace *pace, uint64_t identity, uint64_t now_ns)
{
    unsigned at = (unsigned)(identity % TURN_PACE_PLACES);
    uint64_t due_ns = pace->places[at].due_ns;

    if (due_ns <= now_ns) {
        pace->places[at].identity = identity;
        due_ns = now_ns;
    } else if (pace->places[at].identity != identity) {
        return true;
    }
    if (due_ns - now_ns > (TURN_PACE_BURST - 1) * call_ns) {
        return is_sampled(pace, now_ns);
    }
    pace->places[at].due_ns = due_ns + call_ns;
    return true;
}
