#include "proxy/engine/turn_pace.h"

#include "proxy/base/clock.h"

static const uint64_t call_ns = NS_PER_S / TURN_PACE_RATE;

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
        return false;
    }
    pace->places[at].due_ns = due_ns + call_ns;
    return true;
}
