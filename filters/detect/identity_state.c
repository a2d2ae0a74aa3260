#include "filters/detect/identity_state.h"

#include "filters/detect/habit.h"
#include "filters/detect/prompts.h"
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"
#include "filters/detect/topic.h"

#include <string.h>

const struct signal *const signals[] = {
#define SIGNAL(name) &signal_##name,
#include "filters/filters.def"
    NULL
};

void identity_state_init(struct identity_state *state, uint64_t identity)
{
    *state = (struct identity_state){ .identity = identity };
}

uint32_t state_time(int64_t unix_ms)
{
    int64_t ticks =
        (unix_ms - STATE_EPOCH_MS + 1000 / STATE_TICKS / 2) * STATE_TICKS / 1000;

    return ticks < 1 ? 1 : ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

int64_t state_unix_ms(uint32_t time)
{
    return STATE_EPOCH_MS + (int64_t)time * (1000 / STATE_TICKS);
}

/* ---- sessions -------------------------------------------------------------------- */

static uint32_t root_of(const struct turn *turn)
{
    uint32_t root = (uint32_t)turn->session;

    return root == 0 ? 1 : root;
}

static uint32_t tag_of(const struct turn *turn)
{
    return (uint32_t)(turn->session >> 32) & STATE_TAG_MASK;
}

static struct session_state *live_session(struct identity_state *state, uint32_t root)
{
    for (unsigned i = 0; i < STATE_SESSIONS; i++) {
        if (state->sessions[i].root == root) {
            return &state->sessions[i];
        }
    }
    return NULL;
}

static bool is_buried(const struct identity_state *state, uint32_t root)
{
    for (unsigned i = 0; i < STATE_TOMBSTONES; i++) {
        if (state->tombstones[i] == root) {
            return true;
        }
    }
    return false;
}

static void bury(struct identity_state *state, uint32_t root)
{
    state->tombstones[state->tombstone_head] = root;
    state->tombstone_head = (state->tombstone_head + 1) % STATE_TOMBSTONES;
}

/* Makes the session the most recently used; a new one takes the place of the least. */
static struct session_state *touch_session(struct identity_state *state, uint32_t root)
{
    struct session_state *live = live_session(state, root);
    struct session_state session = { .root = root };

    if (live != NULL) {
        session = *live;
    } else {
        live = &state->sessions[STATE_SESSIONS - 1];
        if (live->root != 0) {
            bury(state, live->root);
        }
    }
    memmove(&state->sessions[1], &state->sessions[0],
            (size_t)(live - state->sessions) * sizeof(session));
    state->sessions[0] = session;
    return &state->sessions[0];
}

/* ---- calls ----------------------------------------------------------------------- */

static void keep_response(struct identity_state *state, const struct turn *turn)
{
    uint32_t tag = tag_of(turn);

    for (unsigned i = 0; i < turn->response.count; i++) {
        state->responses[state->response_head] =
            (turn->response.samples[i] & ~STATE_TAG_MASK) | tag;
        state->response_head = (state->response_head + 1) % STATE_RESPONSES;
    }
}

/* When the response ended that this prompt answers; 0: not known. */
static uint32_t answered_at(struct identity_state *state, uint32_t root, bool opener)
{
    const struct session_state *session =
        live_session(state, opener ? state->last_session : root);

    return session == NULL ? 0 : session->end;
}

static void observe_turn(struct identity_state *state, const struct turn *turn,
                         const struct company *company, uint32_t without)
{
    uint32_t root = root_of(turn);
    struct occasion occasion = {
        .turn = turn,
        .now = state_time(turn->begin_ms),
        .tag = tag_of(turn),
        .company = *company,
        .first = state->turns == 0,
        .opener = live_session(state, root) == NULL && !is_buried(state, root),
        .fresh = !turn->retry,
        .long_enough = turn->prompt.characters >= LONG_PROMPT,
    };

    state->turns++;
    lately_count(&state->prompts, company_week(turn));
    occasion.content = occasion.fresh && (occasion.opener || occasion.long_enough);
    if (occasion.content) {
        enum stratum stratum = occasion.opener ? STRATUM_OPEN : STRATUM_MID;

        occasion.likeness = prompts_take(state, stratum, &turn->prompt, occasion.now);
        topic_take(state, stratum, &turn->prompt, &occasion.likeness);
    }
    occasion.answered = answered_at(state, root, occasion.opener);
    occasion.session = touch_session(state, root);
    occasion.again =
        !occasion.opener && occasion.session->opener == (uint8_t)turn->prompt.shape;
    occasion.excused = occasion.content && habit_excuses(&occasion);
    for (unsigned i = 0; signals[i] != NULL; i++) {
        if (signals[i]->observe != NULL && (without >> i & 1) == 0) {
            signals[i]->observe(state, &occasion);
        }
    }
    state->last_turn_ms = turn->begin_ms;
    state->last_session = root;
}

void identity_observe(struct identity_state *state, const struct turn *turn,
                      const struct company *company, uint32_t without)
{
    uint32_t root = root_of(turn);

    state->calls++;
    for (unsigned i = 0; signals[i] != NULL; i++) {
        if (signals[i]->call != NULL && (without >> i & 1) == 0) {
            signals[i]->call(state, turn);
        }
    }
    if (turn->kind == TURN_PROMPT) {
        observe_turn(state, turn, company, without);
    }
    /* Hundreds of subagents would push the person's sessions out. */
    if (turn->kind != TURN_SUBAGENT || live_session(state, root) != NULL) {
        touch_session(state, root)->end = state_time(turn->end_ms);
    }
    keep_response(state, turn);
}
