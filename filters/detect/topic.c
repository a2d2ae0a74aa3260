/* One narrow topic. People of one project have one too, so it only corroborates. */
#include "filters/detect/topic.h"

#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

#include <math.h>
#include <stddef.h>

enum { TOPIC_MEMORY = 32, UNIT = INT16_MAX };

static double norm(const int8_t *words)
{
    int32_t sum = 0;

    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        sum += words[i] * words[i];
    }
    return sum > 0 ? sqrt(sum) : 1;
}

static void topic_observe(struct identity_state *state, const struct occasion *occasion)
{
    const struct prompt_sketch *prompt = &occasion->turn->prompt;
    double length;

    if (!prompt->has_words) {
        return;
    }
    length = norm(prompt->words);
    state->topic_count += state->topic_count < TOPIC_MEMORY;
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        double old = state->topic[i];
        double step = (prompt->words[i] / length * UNIT - old) / state->topic_count;

        state->topic[i] = (int16_t)lrint(old + step);
    }
}

float topic_focus(const struct identity_state *state)
{
    double sum = 0;

    if (state->topic_count < TOPIC_MIN) {
        return 0;
    }
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        sum += (double)state->topic[i] * state->topic[i];
    }
    return (float)(sqrt(sum) / UNIT);
}

const struct signal signal_topic = { "topic", topic_observe, NULL };
