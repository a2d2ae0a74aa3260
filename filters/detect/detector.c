#include "filters/detect/detector.h"

#include "filters/detect/company.h"
#include "filters/detect/context.h"
#include "filters/detect/reference.h"
#include "filters/detect/state_table.h"

#include <stdlib.h>

enum {
    TELL_AGAIN = 24 * 3600 * STATE_TICKS, /* a day */
    SAVE_SLOTS = 1024                     /* places looked at in one go */
};

struct detector {
    struct detector_options options;
    struct company_table *company;
    struct state_table *states;
    uint64_t number; /* of the last call */
    struct open_state open;
    struct finding finding; /* that is being told: too large to be cleared every time */
};

struct detector *detector_new(const struct detector_options *options)
{
    struct detector *detector = calloc(1, sizeof(*detector));

    CHECK(detector != NULL);
    detector->options = *options;
    detector->states = state_table_new(options->memory, &options->keeper);
    detector->company = company_table_new(options->prompts_log2, options->samples_log2);
    CHECK(detector->states != NULL && detector->company != NULL);
    return detector;
}

struct detector *detector_free(struct detector *detector)
{
    if (detector != NULL) {
        state_table_free(detector->states);
        company_table_free(detector->company);
        free(detector);
    }
    return NULL;
}

void detector_threshold(struct detector *detector, float threshold)
{
    detector->options.threshold = threshold;
}

const struct identity_state *detector_state(struct detector *detector,
                                            uint64_t identity)
{
    return state_table_open(detector->states, identity, false, &detector->open)
               ? detector->open.state
               : NULL;
}

uint64_t detector_number(const struct detector *detector)
{
    return detector->number;
}

void detector_begin_after(struct detector *detector, uint64_t number)
{
    detector->number = number;
}

bool detector_save_some(struct detector *detector)
{
    return state_table_save(detector->states, SAVE_SLOTS);
}

struct company_table *detector_company(struct detector *detector)
{
    return detector->company;
}

size_t detector_identities(const struct detector *detector)
{
    return state_table_count(detector->states);
}

/* ---- findings ----------------------------------------------------------------------- */

struct teller {
    detector_found *found;
    void *self;
};

/* Does the circle implicate this member? It must have sent such prompts several times, and
 * not many others lately: neither whoever copies a person's prompts implicates him, nor a
 * team its members by a prompt that all of them use. */
static bool implicates(struct detector *detector, const struct circle *circle,
                       unsigned member)
{
    const struct identity_state *state =
        member < circle->count ? detector_state(detector, circle->members[member])
                               : NULL;
    unsigned shared, all;

    if (state == NULL) {
        return false;
    }
    shared = lately_in(circle->turns[member], state->prompts.week);
    all = lately_in(state->prompts, state->prompts.week);
    return shared >= RING_TURNS && 100 * shared >= RING_PERCENT * all &&
           state->bets[BET_shared].nats >= RING_OWN;
}

/* What a circle's identities have together, if enough of them are implicated: weak signs on
 * several keys are worth more than on one. */
static float ring_nats(struct detector *detector, const struct circle *circle)
{
    unsigned implicated = 0;

    if (circle == NULL || circle->count < RING_MIN) {
        return 0;
    }
    for (unsigned i = 0; i < circle->count; i++) {
        implicated += implicates(detector, circle, i);
    }
    return implicated >= RING_MIN ? circle->nats : 0;
}

/* `ring`: what a circle that implicates the identity has; its row comes first. */
static void tell(struct detector *detector, uint64_t identity, int64_t at_ms,
                 const struct circle *circle, float ring, const struct teller *teller)
{
    const struct identity_state *state = detector_state(detector, identity);
    float threshold = detector->options.threshold;
    struct finding *finding = &detector->finding;

    if (state == NULL) {
        return; /* for want of memory */
    }
    finding->identity = identity;
    finding->at_ms = at_ms;
    finding->turns = state->turns;
    finding->score = score_of(state);
    if (ring >= threshold && ring > finding->score) {
        finding->score = ring < SCORE_MAX ? ring : SCORE_MAX;
    }
    finding->alarm = finding->score >= threshold;
    finding->grade = finding->alarm ? GRADE_FLAGGED : grade_of(state, threshold);
    if (finding->alarm) {
        evidence_collect(state, &finding->evidence);
        if (ring >= threshold) {
            evidence_put_circle(&finding->evidence, circle);
        }
        context_collect(state, &finding->evidence);
    }
    teller->found(teller->self, finding);
}

/* Is it to be told of now? Once a day. */
static bool tell_again(struct detector *detector, uint64_t identity, uint32_t now)
{
    struct open_state *open = &detector->open;
    bool again;

    if (!state_table_open(detector->states, identity, false, open)) {
        return false;
    }
    again = open->state->told == 0 || now - open->state->told >= TELL_AGAIN;
    if (again) {
        open->state->told = now;
        state_table_close(detector->states, open,
                          state_table_number(detector->states, open));
    }
    return again;
}

/* A ring implicates members that may have gone quiet. */
static void tell_others(struct detector *detector, const struct turn *turn,
                        const struct circle *circle, float ring,
                        const struct teller *teller)
{
    uint32_t now = state_time(turn->begin_ms);

    for (unsigned i = 0; i < circle->count; i++) {
        uint64_t member = circle->members[i];

        if (i != circle->current && implicates(detector, circle, i) &&
            tell_again(detector, member, now)) {
            tell(detector, member, turn->begin_ms, circle, ring, teller);
        }
    }
}

static void tell_turn(struct detector *detector, const struct turn *turn,
                      const struct circle *circle, const struct teller *teller)
{
    float ring = ring_nats(detector, circle);
    bool implicated =
        circle != NULL && ring > 0 && implicates(detector, circle, circle->current);

    tell(detector, turn->identity, turn->begin_ms, circle, implicated ? ring : 0,
         teller);
    if (circle != NULL && ring >= detector->options.threshold) {
        tell_others(detector, turn, circle, ring, teller);
    }
}

/* ---- calls -------------------------------------------------------------------------- */

static struct company company_for(struct detector *detector, const struct turn *turn)
{
    if (turn->kind == TURN_PROMPT && !turn->retry && !detector->options.alone) {
        return company_of(detector->company, turn);
    }
    return (struct company){ .circle = NULL };
}

/* Into the state of its identity, if that does not have call `number` yet. */
static bool take_in(struct detector *detector, const struct turn *turn,
                    const struct company *company, uint64_t number)
{
    struct open_state *open = &detector->open;

    if (!state_table_open(detector->states, turn->identity, true, open)) {
        return false;
    }
    if (state_table_number(detector->states, open) < number) {
        identity_observe(open->state, turn, company, detector->options.without);
        state_table_close(detector->states, open, number);
    }
    return true;
}

void detector_expect(struct detector *detector, const struct turn *const *turns,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        state_table_expect(detector->states, turns[i]->identity);
        company_expect(detector->company, turns[i]);
    }
    for (size_t i = 0; i < count; i++) {
        state_table_expect_state(detector->states, turns[i]->identity,
                                 turns[i]->kind == TURN_PROMPT);
        company_expect_circles(detector->company, turns[i]);
    }
}

bool detector_observe(struct detector *detector, const struct turn *turn,
                      detector_found *found, void *self)
{
    struct teller teller = { found, self };
    struct company company;

    company = company_for(detector, turn);
    if (!take_in(detector, turn, &company, ++detector->number)) {
        return false;
    }
    company_respond(detector->company, turn);
    if (turn->kind == TURN_PROMPT) {
        tell_turn(detector, turn, company.circle, &teller);
    }
    return true;
}

bool detector_recover(struct detector *detector, const struct turn *turn,
                      uint64_t number)
{
    struct company company = company_for(detector, turn);
    bool good = take_in(detector, turn, &company, number);

    company_respond(detector->company, turn);
    detector->number = number;
    return good;
}
