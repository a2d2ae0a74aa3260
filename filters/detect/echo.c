/* Prompts that are made of responses given in other conversations. */
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Did a response of another session hold this sample? */
static bool in_others(const struct identity_state *state, uint32_t sample, uint32_t tag)
{
    uint32_t wanted = sample & ~STATE_TAG_MASK;
    bool found = false;

    for (unsigned i = 0; i < STATE_RESPONSES; i++) {
        uint32_t entry = state->responses[i];

        found |= (entry & ~STATE_TAG_MASK) == wanted &&
                 (entry & STATE_TAG_MASK) != tag && i < state->response_count;
    }
    return found;
}

/* A response keeps no more than ECHO_SAMPLES, the smallest; looking for more would hide
 * the echo of a long one. */
static void echo_observe(struct identity_state *state, const struct occasion *occasion)
{
    const struct prompt_sketch *prompt = &occasion->turn->prompt;
    uint32_t samples[SKETCH_PROMPT];
    unsigned count = prompt->sample_count, found = 0;

    if (count < ECHO_MIN) {
        return;
    }
    memcpy(samples, prompt->samples, count * sizeof(*samples));
    qsort(samples, count, sizeof(*samples), ascending);
    count = count < ECHO_SAMPLES ? count : ECHO_SAMPLES;
    for (unsigned i = 0; i < count; i++) {
        found += in_others(state, samples[i], occasion->tag);
    }
    reference_bet(state, BET_echo, 2 * found >= count, occasion->now);
}

static void echo_explain(const struct identity_state *state, struct evidence *evidence)
{
    evidence_add_yes_no(evidence, state, BET_echo);
}

const struct signal signal_echo = { "echo", echo_observe, echo_explain };
