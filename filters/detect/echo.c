/* Prompts that are made of responses given in other conversations, or to others
 * (G2). */
#include "filters/detect/echo.h"

#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

enum { PLACES = 1024 };

/* The place of a sample without its tag, among few. */
static unsigned place_of(uint32_t sample)
{
    return sample / (STATE_TAG_MASK + 1) % PLACES;
}

/* How many of the samples did responses of other sessions hold? Entries that differ
 * from a sample with our own tag in the tag alone are others'. Hardly any entry is at
 * the place of a sample. */
static unsigned in_others(const struct identity_state *state,
                          uint32_t samples[ECHO_SAMPLES], unsigned count, uint32_t tag)
{
    bool places[PLACES] = { false }, held[ECHO_SAMPLES] = { false };
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        samples[i] = (samples[i] & ~STATE_TAG_MASK) | tag;
        places[place_of(samples[i])] = true;
    }
    for (unsigned n = 0; n < STATE_RESPONSES; n++) {
        uint32_t entry = state->responses[n];

        for (unsigned i = 0; places[place_of(entry)] && i < count; i++) {
            held[i] |= (entry ^ samples[i]) - 1 < STATE_TAG_MASK;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        found += held[i];
    }
    return found;
}

unsigned echo_samples(const struct prompt_sketch *prompt,
                      uint32_t samples[ECHO_SAMPLES])
{
    unsigned count = 0;

    for (unsigned i = 0; i < prompt->sample_count; i++) {
        uint32_t sample = prompt->samples[i];
        unsigned at;

        if (count == ECHO_SAMPLES && sample >= samples[ECHO_SAMPLES - 1]) {
            continue;
        }
        count += count < ECHO_SAMPLES;
        for (at = count - 1; at > 0 && samples[at - 1] > sample; at--) {
            samples[at] = samples[at - 1];
        }
        samples[at] = sample;
    }
    return count;
}

/* Responses quote the prompts they answer: an exercise that a class copies. */
static bool may_be_quoted(const struct occasion *occasion)
{
    return occasion->company.copied || occasion->likeness.shape != RECALLED_NEVER;
}

static void echo_observe(struct identity_state *state, const struct occasion *occasion)
{
    uint32_t samples[ECHO_SAMPLES];
    unsigned count = echo_samples(&occasion->turn->prompt, samples);

    if (may_be_quoted(occasion)) {
        return;
    }
    if (occasion->company.compared) {
        reference_bet(state, BET_echo_others, occasion->company.echoed, occasion->now);
    }
    if (count >= ECHO_MIN) {
        unsigned found = in_others(state, samples, count, occasion->tag);

        reference_bet(state, BET_echo, 2 * found >= count, occasion->now);
    }
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
