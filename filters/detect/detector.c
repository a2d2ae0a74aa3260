#include "filters/detect/detector.h"

#include "filters/detect/company.h"
#include "filters/detect/context.h"
#include "filters/detect/reference.h"

#include <stdlib.h>

enum { SLOTS_MIN = 256, TELL_AGAIN = 24 * 3600 * STATE_TICKS /* a day */ };

/* Identities by hash: open addressing, at most half full, NULL where free. */
struct detector {
    struct detector_options options;
    struct company_table *company;
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
    detector->company = company_table_new(options->prompts_log2, options->samples_log2);
    CHECK(detector->slots != NULL && detector->company != NULL);
    return detector;
}

struct detector *detector_free(struct detector *detector)
{
    if (detector != NULL) {
        for (size_t i = 0; i < detector->size; i++) {
            free(detector->slots[i]);
        }
        company_table_free(detector->company);
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

const struct identity_state *detector_state(const struct detector *detector,
                                            uint64_t identity)
{
    return *slot_of(detector->slots, detector->size, identity);
}

/* ---- findings ----------------------------------------------------------------------- */

struct teller {
    detector_found *found;
    void *self;
};

/* Does the circle implicate this member? It must have sent such prompts more than once, and
 * not many others: whoever copies a person's prompts does not implicate him. */
static bool implicates(const struct detector *detector, const struct circle *circle,
                       unsigned member)
{
    const struct identity_state *state =
        member < circle->count ? detector_state(detector, circle->members[member])
                               : NULL;

    return state != NULL && circle->turns[member] > 1 &&
           (state->bets[BET_shared].nats >= RING_OWN ||
            RING_SHARE * circle->turns[member] >= state->turns);
}

/* What a circle's identities have together, if enough of them are implicated: weak signs on
 * several keys are worth more than on one. */
static float ring_nats(const struct detector *detector, const struct circle *circle)
{
    unsigned implicated = 0;

    for (unsigned i = 0; circle != NULL && i < circle->count; i++) {
        implicated += implicates(detector, circle, i);
    }
    return implicated >= RING_MIN ? circle->nats : 0;
}

/* `circle` if it implicates the identity, else NULL. */
static void tell(const struct detector *detector, const struct identity_state *state,
                 int64_t at_ms, const struct circle *circle,
                 const struct teller *teller)
{
    struct finding finding = {
        .identity = state->identity,
        .at_ms = at_ms,
        .score = score_of(state),
    };
    float ring = ring_nats(detector, circle);

    if (ring >= detector->options.threshold && ring > finding.score) {
        finding.score = ring < SCORE_MAX ? ring : SCORE_MAX;
    }
    finding.alarm = finding.score >= detector->options.threshold;
    finding.grade =
        finding.alarm ? GRADE_FLAGGED : grade_of(state, detector->options.threshold);
    if (finding.alarm) {
        evidence_collect(state, &finding.evidence);
        if (ring >= detector->options.threshold) {
            evidence_put_circle(&finding.evidence, circle);
        }
        context_collect(state, &finding.evidence);
    }
    teller->found(teller->self, &finding);
}

/* A ring implicates members that may have gone quiet: each is told once a day. */
static void tell_others(const struct detector *detector, const struct turn *turn,
                        const struct circle *circle, const struct teller *teller)
{
    uint32_t now = state_time(turn->begin_ms);

    for (unsigned i = 0; i < circle->count; i++) {
        struct identity_state *state =
            *slot_of(detector->slots, detector->size, circle->members[i]);

        if (state != NULL && i != circle->current && implicates(detector, circle, i) &&
            (state->told == 0 || now - state->told >= TELL_AGAIN)) {
            state->told = now;
            tell(detector, state, turn->begin_ms, circle, teller);
        }
    }
}

static void tell_turn(const struct detector *detector,
                      const struct identity_state *state, const struct turn *turn,
                      const struct circle *circle, const struct teller *teller)
{
    bool implicated = circle != NULL && implicates(detector, circle, circle->current);

    tell(detector, state, turn->begin_ms, implicated ? circle : NULL, teller);
    if (ring_nats(detector, circle) >= detector->options.threshold) {
        tell_others(detector, turn, circle, teller);
    }
}

bool detector_observe(struct detector *detector, const struct turn *turn,
                      detector_found *found, void *self)
{
    struct identity_state *state = state_for(detector, turn->identity);
    struct company company = { .circle = NULL };
    struct teller teller = { found, self };

    if (state == NULL) {
        return false;
    }
    if (turn->kind == TURN_PROMPT && !turn->retry && !detector->options.alone) {
        company = company_of(detector->company, turn);
    }
    identity_observe(state, turn, &company, detector->options.without);
    company_respond(detector->company, turn);
    if (turn->kind == TURN_PROMPT) {
        tell_turn(detector, state, turn, company.circle, &teller);
    }
    return true;
}
