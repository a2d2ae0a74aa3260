#include "filters/detect/detector.h"

#include <stdlib.h>

enum { SLOTS_MIN = 256 };

/* Identities by hash: open addressing, at most half full, NULL where free. */
struct detector {
    struct detector_options options;
    struct identity_state **slots;
    size_t count;
    size_t size; /* a power of two */
};

struct detector *detector_new(const struct detector_options *options)
{
    struct detector *detector = calloc(1, sizeof(*detector));

    CHECK(detector != NULL);
    detector->options = *options;
    detector->size = SLOTS_MIN;
    detector->slots = calloc(detector->size, sizeof(*detector->slots));
    CHECK(detector->slots != NULL);
    return detector;
}

struct detector *detector_free(struct detector *detector)
{
    if (detector != NULL) {
        for (size_t i = 0; i < detector->size; i++) {
            free(detector->slots[i]);
        }
        free(detector->slots);
        free(detector);
    }
    return NULL;
}

/* Where the identity is, or would be. */
static struct identity_state **slot_of(struct identity_state **slots, size_t size,
                                       uint64_t identity)
{
    size_t at = (size_t)identity & (size - 1);

    while (slots[at] != NULL && slots[at]->identity != identity) {
        at = (at + 1) & (size - 1);
    }
    return &slots[at];
}

static bool make_room(struct detector *detector)
{
    size_t size = detector->size * 2;
    struct identity_state **slots;

    if (detector->count < detector->size / 2) {
        return true;
    }
    slots = calloc(size, sizeof(struct identity_state *));
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < detector->size; i++) {
        if (detector->slots[i] != NULL) {
            *slot_of(slots, size, detector->slots[i]->identity) = detector->slots[i];
        }
    }
    free(detector->slots);
    detector->slots = slots;
    detector->size = size;
    return true;
}

static struct identity_state *state_for(struct detector *detector, uint64_t identity)
{
    struct identity_state **slot;

    if (!make_room(detector)) {
        return NULL;
    }
    slot = slot_of(detector->slots, detector->size, identity);
    if (*slot == NULL) {
        *slot = malloc(sizeof(**slot));
        if (*slot != NULL) {
            identity_state_init(*slot, identity);
            detector->count++;
        }
    }
    return *slot;
}

static void tell(const struct detector *detector, const struct identity_state *state,
                 const struct turn *turn, detector_found *found, void *self)
{
    struct finding finding = {
        .identity = state->identity,
        .at_ms = turn->begin_ms,
        .score = score_of(state),
        .grade = grade_of(state, detector->options.threshold),
    };

    finding.alarm = finding.grade == GRADE_FLAGGED;
    if (finding.alarm) {
        evidence_collect(state, &finding.evidence);
    }
    found(self, &finding);
}

bool detector_observe(struct detector *detector, const struct turn *turn,
                      detector_found *found, void *self)
{
    struct identity_state *state = state_for(detector, turn->identity);

    if (state == NULL) {
        return false;
    }
    identity_observe(state, turn, detector->options.without);
    if (turn->kind == TURN_PROMPT) {
        tell(detector, state, turn, found, self);
    }
    return true;
}

const struct identity_state *detector_state(const struct detector *detector,
                                            uint64_t identity)
{
    return *slot_of(detector->slots, detector->size, identity);
}
