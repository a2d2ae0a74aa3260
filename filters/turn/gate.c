#include "filters/turn/gate.h"

#include "filters/turn/sketch_key.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROOTS = 48,         /* of conversations, remembered of an identity ... */
    CONVERSATIONS = 16, /* ... with their last prompts */
    REPLIES = 24,       /* ... by which a next call names the one before it */
    TURNS = 4,          /* ... that a companion may copy */
    WAYS = 8,           /* identities that share a place in the table */
    RETRIES = 5,        /* of answers that came, an hour */
    HOUR_MS = 3600 * 1000,
    RETRY_MS = 60 * 1000,
    COMPANION_MS = 10 * 1000,
    COMPANIONS = 2, /* of one turn */
    SUBAGENT_SAMPLES = 3,
    SUBAGENT_SHARE = 80 /* percent of a prompt's samples */
};

/* A conversation and its last prompt. */
struct conversation {
    uint64_t base;    /* the session that is claimed, or the root */
    uint64_t session; /* its name: base, or another once base named an earlier one */
    int64_t begin_ms;
    uint32_t words;
    uint32_t messages;
    bool failed;
};

struct replied {
    uint32_t reply;
    uint64_t session;
};

struct recent_turn {
    uint64_t words;
    uint64_t root;
    int64_t begin_ms;
    uint32_t companions;
};

/* What is remembered of an identity. Lists have the latest first; a zero is a free place. */
struct gate_state {
    uint64_t identity; /* 0: the place is free */
    uint64_t used;     /* gate.clock, when last */
    uint64_t arguments_session;
    uint32_t arguments[GATE_ARGUMENTS]; /* a ring */
    uint32_t argument_head;
    uint32_t roots[ROOTS]; /* the lowest bit says that it is a subagent's */
    struct conversation conversations[CONVERSATIONS];
    struct replied replied[REPLIES];
    struct recent_turn turns[TURNS];
    int64_t retry_hour_ms; /* when it began, and the retries since */
    uint32_t retries;
};

_Static_assert(sizeof(struct gate_state) <= 2048, "a gate outgrew its budget");

struct gate {
    struct gate_state *states;
    size_t places;
    uint64_t clock;
};

struct gate *gate_new(unsigned identities_log2)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    if (gate == NULL) {
        return NULL;
    }
    gate->places = ((size_t)1 << identities_log2) / WAYS;
    gate->places += gate->places == 0;
    gate->states = calloc(gate->places * WAYS, sizeof(*gate->states));
    return gate->states == NULL ? gate_free(gate) : gate;
}

struct gate *gate_free(struct gate *gate)
{
    if (gate != NULL) {
        free(gate->states);
        free(gate);
    }
    return NULL;
}

static struct gate_state *state_of(struct gate *gate, uint64_t identity)
{
    struct gate_state *way = &gate->states[identity % gate->places * WAYS];
    struct gate_state *oldest = way;

    gate->clock++;
    for (unsigned i = 0; i < WAYS; i++, way++) {
        if (way->identity == identity) {
            way->used = gate->clock;
            return way;
        }
        if (way->used < oldest->used) {
            oldest = way;
        }
    }
    *oldest = (struct gate_state){ .identity = identity, .used = gate->clock };
    return oldest;
}

/* ---- lists --------------------------------------------------------------------------- */

/* Moves what stands at `at` to the front of a list of things of `size` bytes. */
static void to_front(void *list, unsigned at, size_t size)
{
    char *bytes = list, moved[sizeof(struct conversation)];

    memcpy(moved, bytes + at * size, size);
    memmove(bytes + size, bytes, at * size);
    memcpy(bytes, moved, size);
}

static uint32_t root_mark(uint64_t root)
{
    uint32_t mark = (uint32_t)root << 1; /* room for the lowest bit */

    return mark == 0 ? 2 : mark;
}

/* Where the root stands; ROOTS if it is new. */
static unsigned root_find(const struct gate_state *state, uint64_t root)
{
    unsigned at = 0;

    while (at < ROOTS && (state->roots[at] & ~1U) != root_mark(root)) {
        at++;
    }
    return at;
}

static void root_use(struct gate_state *state, uint64_t root, bool subagent)
{
    unsigned at = root_find(state, root);

    if (at == ROOTS) {
        at = ROOTS - 1;
        state->roots[at] = root_mark(root);
    }
    state->roots[at] |= subagent;
    to_front(state->roots, at, sizeof(*state->roots));
}

/* ---- conversations ------------------------------------------------------------------- */

/* The conversation of this base moves to the front; a new one takes the place of the one
 * that was quiet for longest. */
static struct conversation *conversation_of(struct gate_state *state, uint64_t base)
{
    unsigned at = 0;

    while (at < CONVERSATIONS - 1 && state->conversations[at].base != base) {
        at++;
    }
    if (state->conversations[at].base != base) {
        state->conversations[at] =
            (struct conversation){ .base = base, .session = base, .failed = true };
    }
    to_front(state->conversations, at, sizeof(*state->conversations));
    return &state->conversations[0];
}

static uint64_t base_of(const struct gate_state *state, const struct call *call)
{
    if (call->claimed != 0) {
        return call->claimed;
    }
    for (unsigned i = 0; call->predecessor != 0 && i < REPLIES; i++) {
        if (state->replied[i].reply == (uint32_t)call->predecessor &&
            state->replied[i].session != 0) {
            return state->replied[i].session;
        }
    }
    return call->root;
}

static void remember_reply(struct gate_state *state, const struct call *call,
                           uint64_t base)
{
    if (call->reply != 0) {
        state->replied[REPLIES - 1] = (struct replied){ (uint32_t)call->reply, base };
        to_front(state->replied, REPLIES - 1, sizeof(*state->replied));
    }
}

static bool may_retry(struct gate_state *state, const struct conversation *last,
                      int64_t now_ms)
{
    if (last->failed) {
        return true;
    }
    if (now_ms - state->retry_hour_ms >= HOUR_MS) {
        state->retry_hour_ms = now_ms;
        state->retries = 0;
    }
    return now_ms - last->begin_ms < RETRY_MS && state->retries++ < RETRIES;
}

/* Notes the conversation's prompt, and decides whether it is one that was sent before. */
static void speak(struct gate_state *state, struct conversation *conversation,
                  struct call *call)
{
    struct turn *turn = &call->turn;
    uint32_t words = (uint32_t)turn->prompt.whole;
    bool begun = conversation->begin_ms != 0;

    turn->retry = begun && conversation->words == words &&
                  call->messages <= conversation->messages &&
                  may_retry(state, conversation, turn->begin_ms);
    if (begun && call->opens && call->predecessor == 0 && !turn->retry &&
        !conversation->failed) {
        conversation->session =
            sketch_mix(conversation->base ^ (uint64_t)turn->begin_ms);
    }
    turn->session = conversation->session;
    conversation->begin_ms = turn->begin_ms;
    conversation->words = words;
    conversation->messages = call->messages;
    conversation->failed = call->failed;
}

/* ---- tool arguments ------------------------------------------------------------------ */

static bool in_arguments(const struct gate_state *state, uint32_t sample)
{
    for (unsigned i = 0; i < GATE_ARGUMENTS; i++) {
        if (state->arguments[i] == sample) {
            return sample != 0;
        }
    }
    return false;
}

static void remember_arguments(struct gate_state *state, const struct call *call)
{
    for (unsigned i = 0; i < call->argument_count; i++) {
        state->arguments[state->argument_head++ % GATE_ARGUMENTS] = call->arguments[i];
    }
    if (call->argument_count > 0) {
        state->arguments_session = call->turn.session;
    }
}

/* Does the prompt lie in what a model wrote as a tool's argument? */
static bool was_delegated(const struct gate_state *state,
                          const struct prompt_sketch *prompt)
{
    unsigned found = 0;

    if (in_arguments(state, (uint32_t)prompt->whole)) {
        return true;
    }
    for (unsigned i = 0; i < prompt->sample_count; i++) {
        found += in_arguments(state, prompt->samples[i]);
    }
    return prompt->sample_count >= SUBAGENT_SAMPLES &&
           found * 100 >= prompt->sample_count * SUBAGENT_SHARE;
}

/* ---- turns --------------------------------------------------------------------------- */

/* Is it a copy that the client made of a turn's words for a call of its own? Of two such
 * calls either may be settled first. */
static bool is_companion(struct gate_state *state, const struct call *call)
{
    for (unsigned i = 0; i < TURNS; i++) {
        struct recent_turn *turn = &state->turns[i];

        if (turn->words == call->turn.prompt.whole && turn->root != call->root &&
            llabs(call->turn.begin_ms - turn->begin_ms) < COMPANION_MS &&
            turn->begin_ms != 0 && turn->companions < COMPANIONS) {
            turn->companions++;
            return true;
        }
    }
    return false;
}

static void remember_turn(struct gate_state *state, const struct call *call)
{
    state->turns[TURNS - 1] = (struct recent_turn){ call->turn.prompt.whole, call->root,
                                                    call->turn.begin_ms, 0 };
    to_front(state->turns, TURNS - 1, sizeof(*state->turns));
}

static void judge_prompt(struct gate_state *state, struct conversation *conversation,
                         struct call *call)
{
    struct turn *turn = &call->turn;

    if (is_companion(state, call)) {
        turn->kind = TURN_CONTINUATION;
        turn->harness = true;
        turn->has_prompt = false;
    } else if (root_find(state, call->root) == ROOTS &&
               was_delegated(state, &turn->prompt)) {
        turn->kind = TURN_SUBAGENT;
    } else {
        speak(state, conversation, call);
        remember_turn(state, call);
    }
}

void gate_judge(struct gate *gate, struct call *call)
{
    struct gate_state *state = state_of(gate, call->turn.identity);
    uint64_t base = base_of(state, call);
    struct conversation *conversation = conversation_of(state, base);
    struct turn *turn = &call->turn;
    unsigned root = root_find(state, call->root);

    turn->session = conversation->session;
    if (root < ROOTS && (state->roots[root] & 1) != 0) {
        turn->kind = TURN_SUBAGENT;
    } else if (turn->kind == TURN_PROMPT) {
        judge_prompt(state, conversation, call);
    }
    root_use(state, call->root, turn->kind == TURN_SUBAGENT);
    if (turn->kind == TURN_SUBAGENT && call->claimed == 0 &&
        state->arguments_session != 0) {
        turn->session = state->arguments_session;
    }
    remember_arguments(state, call);
    remember_reply(state, call, base);
}
