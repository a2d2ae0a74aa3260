/* Prompts that are made of responses given in other conversations, or to others (G2). */
#include "filters/detect/echo.h"

#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Did a response of another session hold this sample? Entries that differ from the sample
 * with our own tag in the tag alone are others'. */
static bool in_others(const struct identity_state *state, uint32_t sample, uint32_t tag)
{
    uint32_t own = (sample & ~STATE_TAG_MASK) | tag;
    unsigned found = 0;

    for (unsigned i = 0; i < STATE_RESPONSES; i++) {
        found |= (state->responses[i] ^ own) - 1 < STATE_TAG_MASK;
    }
    return found != 0;
}

unsigned echo_samples(const struct prompt_sketch *prompt,
                      uint32_t samples[SKETCH_PROMPT])
{
    unsigned count = prompt->sample_count;

    memcpy(samples, prompt->samples, count * sizeof(*samples));
    qsort(samples, count, sizeof(*samples), ascending);
    return count < ECHO_SAMPLES ? count : ECHO_SAMPLES;
}

/* Responses quote the prompts they answer: an exercise that a class copies. */
static bool may_be_quoted(const struct occasion *occasion)
{
    return occasion->company.copied || occasion->likeness.shape != RECALLED_NEVER;
}

static void echo_observe(struct identity_state *state, const struct occasion *occasion)
{
    uint32_t samples[SKETCH_PROMPT];
    unsigned count = echo_samples(&occasion->turn->prompt, samples), found = 0;

    if (may_be_quoted(occasion)) {
        return;
    }
    if (occasion->company.compared) {
        reference_bet(state, BET_echo_others, occasion->company.echoed, occasion->now);
    }
    if (count < ECHO_MIN) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        found += in_others(state, samples[i], occasion->tag);
    }
    reference_bet(state, BET_echo, 2 * found >= count, occasion->now);
}

static void echo_explain(const struct identity_state *state, struct evidence *evidence)
{
    evidence_add_yes_no(evidence, state, BET_echo);
    evidence_add_yes_no(evidence, state, BET_echo_others);
}

const struct signal signal_echo = {
    .name = "echo",
    .observe = echo_observe,
    .explain = echo_explain,
};
