/* How many of a caller's calls detection reads. Reading a turn costs tens of
 * microseconds, which is nothing at the pace of people and of their agents, and would
 * be most of the work at that of a load test. So a caller has TURN_PACE_BURST calls at
 * once and TURN_PACE_RATE per second; of what comes faster, which is relayed and
 * metered like everything, one call in TURN_PACE_SAMPLE is read, nobody can tell which:
 * a flood hides nothing behind it. */
#ifndef ASSAY_ENGINE_TURN_PACE_H
#define ASSAY_ENGINE_TURN_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TURN_PACE_BURST = 256,
    TURN_PACE_RATE = 16,
    TURN_PACE_SAMPLE = 256,
    TURN_PACE_PLACES = 1024
};

/* Of one worker; all zero at first. A caller whose place another one has is not held to
 * the pace. */
struct turn_pace {
    struct {
        uint64_t identity;
        uint64_t due_ns; /* when the caller's burst would be whole again */
    } places[TURN_PACE_PLACES];
    uint64_t beyond; /* calls that came faster */
};

/* May a call of this identity be read now? If so, it counts. `now_ns` is monotonic. */
bool turn_pace_take(struct turn_pace *pace, uint64_t identity, uint64_t now_ns);

#endif
