/* Prompts that consist of the same words over and over: one template, whatever fills
 * its slots. People of one project share words too, but not nearly as many. */
#include "filters/detect/topic.h"

#include "filters/detect/reference.h"
#include "filters/detect/signal.h"

#include <math.h>

enum { TOPIC_MEMORY = 32, UNIT = INT16_MAX };

static double length_of(const int8_t *words)
{
    int32_t sum = 0;

    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        sum += words[i] * words[i];
    }
    return sqrt(sum);
}

static double cosine(const struct topic_state *topic, const int8_t *words,
                     double length)
{
    int32_t product = 0;
    int64_t sum = 0;

    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        product += topic->mean[i] * words[i];
        sum += topic->mean[i] * topic->mean[i];
    }
    return sum > 0 ? product / (sqrt((double)sum) * length) : 0;
}

static void take(struct topic_state *topic, const int8_t *words, double length)
{
    topic->count = (uint16_t)(topic->count + (topic->count < TOPIC_MEMORY));
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        double old = topic->mean[i];

        topic->mean[i] = (int16_t)lrint(old + (words[i] / length * (double)UNIT - old) /
                                                  topic->count);
    }
}

void topic_take(struct identity_state *state, enum stratum stratum,
                const struct prompt_sketch *prompt, struct likeness *likeness)
{
    struct topic_state *topic = &state->topics[stratum];
    double length = prompt->has_words ? length_of(prompt->words) : 0;

    if (length > 0) {
        likeness->compared = topic->count >= TOPIC_MIN;
        likeness->topical =
            likeness->compared && cosine(topic, prompt->words, length) >= TOPIC_COSINE;
        take(topic, prompt->words, length);
    }
}

static void topic_observe(struct identity_state *state, const struct occasion *occasion)
{
    if (occasion->content && !occasion->excused && occasion->likeness.compared) {
        reference_bet(state, occasion->opener ? BET_topic_open : BET_topic_mid,
                      occasion->likeness.topical, occasion->now);
    }
}

static void topic_explain(const struct identity_state *state, struct evidence *evidence)
{
    evidence_add_content(evidence, state, BET_topic_open);
    evidence_add_content(evidence, state, BET_topic_mid);
}

const struct signal signal_topic = {
    .name = "topic",
    .observe = topic_observe,
    .explain = topic_explain,
};
