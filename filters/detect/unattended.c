/* Tokens, calls and agent turns per human turn, halved every week; and agents that call
 * the same tool with the same arguments over and over, which their own people want to
 * know. Delegated busywork shows here, and so do forged marks of harness text,
 * subagents and tool results. Context only. */
#include "filters/detect/context.h"
#include "filters/detect/signal.h"

enum {
    WEEK = 7 * 24 * 3600 * STATE_TICKS,
    TURNS_MIN = 5,
    TURN_TOKENS = 11 * 1000 * 1000, /* a little above one turn in a hundred of people */
    TURN_CALLS = 84,
    TURN_AGENT_TURNS = 20,
    LOOP_MIN = 6
};

static void halve(struct unattended_state *unattended, uint32_t now)
{
    unattended->tokens /= 2;
    unattended->calls /= 2;
    unattended->agent_turns /= 2;
    unattended->turns /= 2;
    unattended->since = now;
}

static void follow_loop(struct loop_state *loop, uint32_t call)
{
    if (call == 0) {
        return;
    }
    if (call != loop->call) {
        loop->call = call;
        loop->run = 0;
    }
    loop->run = (uint16_t)(loop->run + (loop->run < UINT16_MAX));
    loop->longest = loop->run > loop->longest ? loop->run : loop->longest;
}

static void unattended_call(struct identity_state *state, const struct turn *turn)
{
    struct unattended_state *unattended = &state->unattended;
    uint32_t now = state_time(turn->begin_ms);

    if (unattended->since == 0) {
        unattended->since = now;
    } else if (now > unattended->since && now - unattended->since >= WEEK) {
        halve(unattended, now);
        state->loop.longest = 0;
    }
    follow_loop(&state->loop, turn->loop);
    unattended->tokens += turn->input_tokens + turn->output_tokens;
    unattended->calls++;
    unattended->turns += turn->kind == TURN_PROMPT;
    unattended->agent_turns += turn->kind == TURN_SUBAGENT || turn->harness;
}

void unattended_context(const struct identity_state *state, struct evidence *evidence)
{
    const struct unattended_state *seen = &state->unattended;
    uint64_t turns = seen->turns;

    if (state->loop.longest >= LOOP_MIN) {
        evidence_add_context(evidence, "loop",
                             "lately an agent called the same tool with the same "
                             "arguments %u times in a row; it may have been stuck",
                             state->loop.longest);
    }
    if (turns >= TURNS_MIN &&
        (seen->tokens > TURN_TOKENS * turns || seen->calls > TURN_CALLS * turns ||
         seen->agent_turns > TURN_AGENT_TURNS * turns)) {
        evidence_add_context(
            evidence, "unattended",
            "%u human turns lately, each with %llu tokens, %u calls and "
            "%u agent turns; one in a hundred turns of people takes more "
            "than 8 million tokens or 80 calls",
            seen->turns, (unsigned long long)(seen->tokens / turns),
            seen->calls / seen->turns, seen->agent_turns / seen->turns);
    }
}

const struct signal signal_unattended = { .name = "unattended",
                                          .call = unattended_call };
