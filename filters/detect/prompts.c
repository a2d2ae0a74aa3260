#include "filters/detect/prompts.h"

#include "filters/detect/reference.h"

#include <stddef.h>

enum { ESTABLISHED = 8 }; /* turns; more earn no further protection */

static struct recall shapes_of(struct identity_state *state)
{
    return (struct recall){
        .fresh = state->shapes_fresh,
        .known = state->shapes_known,
        .heads = state->shapes_heads,
        .fresh_size = STATE_SHAPES_FRESH / RECALL_BANKS,
        .known_size = STATE_SHAPES_KNOWN / RECALL_BANKS,
    };
}

static struct recall phrases_of(struct identity_state *state)
{
    return (struct recall){
        .fresh = state->phrases_fresh,
        .known = state->phrases_known,
        .heads = state->phrases_heads,
        .fresh_size = STATE_PHRASES_FRESH / RECALL_BANKS,
        .known_size = STATE_PHRASES_KNOWN / RECALL_BANKS,
    };
}

/* A template is remembered in its place. */
static uint64_t placed(uint64_t shape, enum stratum stratum)
{
    return stratum == STRATUM_OPEN ? shape : ~shape;
}

static void take_shape(struct identity_state *state, enum stratum stratum,
                       const struct prompt_sketch *prompt, struct likeness *likeness)
{
    struct recall shapes = shapes_of(state);
    uint64_t shape = placed(prompt->shape, stratum);
    enum recalled here = recall_of(&shapes, shape);
    enum recalled elsewhere = recall_of(&shapes, ~shape);

    recall_put(&shapes, shape);
    likeness->elsewhere = here == RECALLED_NEVER && elsewhere != RECALLED_NEVER;
    likeness->shape = here == RECALLED_NEVER        ? elsewhere
                      : elsewhere == RECALLED_NEVER ? here
                                                    : RECALLED_OFTEN;
}

static void count_prompt(struct identity_state *state,
                         const struct prompt_sketch *prompt, struct likeness *likeness)
{
    uint16_t shape = (uint16_t)prompt->shape;

    likeness->known = state->distinct;
    likeness->at_once =
        likeness->shape != RECALLED_NEVER && state->latest_shape == shape;
    if (likeness->shape == RECALLED_NEVER && state->distinct < UINT16_MAX) {
        state->distinct++;
    }
    state->latest_shape = shape;
}

static float take_phrases(struct identity_state *state,
                          const struct prompt_sketch *prompt)
{
    struct recall phrases = phrases_of(state);
    unsigned recycled = 0;

    for (unsigned i = 0; i < prompt->bottom_count; i++) {
        recycled += recall_of(&phrases, prompt->bottom[i]) != RECALLED_NEVER;
    }
    for (unsigned i = 0; i < prompt->bottom_count; i++) {
        recall_put(&phrases, prompt->bottom[i]);
    }
    return prompt->bottom_count == 0 ? 0
                                     : (float)recycled / (float)prompt->bottom_count;
}

/* ---- templates, for the evidence ------------------------------------------------- */

static uint32_t strength(const struct template_state *template)
{
    uint32_t count = template->count < ESTABLISHED ? template->count : ESTABLISHED;

    return count << 16 | template->last;
}

/* The prompt's template, else a free slot or the weakest template's. */
static struct template_state *template_slot(struct identity_state *state,
                                            uint32_t shape)
{
    struct template_state *weakest = &state->templates[0];

    for (unsigned i = 0; i < STATE_TEMPLATES; i++) {
        struct template_state *template = &state->templates[i];

        if (template->count > 0 && template->shape == shape) {
            return template;
        }
        if (strength(template) < strength(weakest)) {
            weakest = template;
        }
    }
    *weakest = (struct template_state){ .shape = shape };
    return weakest;
}

static void count_template(struct identity_state *state,
                           const struct prompt_sketch *prompt, uint32_t now)
{
    struct template_state *template = template_slot(state, (uint32_t)prompt->shape);
    uint16_t length =
        (uint16_t)(prompt->characters < UINT16_MAX ? prompt->characters : UINT16_MAX);

    if (template->count == 0) {
        template->first = now;
        template->shortest = length;
    }
    template->count = (uint8_t)(template->count + (template->count < UINT8_MAX));
    template->latest = now;
    template->shortest = length < template->shortest ? length : template->shortest;
    template->longest = length > template->longest ? length : template->longest;
    template->last = (uint16_t)state->turns;
}

const struct template_state *prompts_top(const struct identity_state *state)
{
    const struct template_state *top = &state->templates[0];

    for (unsigned i = 1; i < STATE_TEMPLATES; i++) {
        if (state->templates[i].count > top->count) {
            top = &state->templates[i];
        }
    }
    return top;
}

bool is_near(const struct likeness *likeness)
{
    return likeness->shape != RECALLED_NEVER || likeness->recycled >= NEAR_RECYCLED;
}

struct likeness prompts_take(struct identity_state *state, enum stratum stratum,
                             const struct prompt_sketch *prompt, uint32_t now)
{
    struct likeness likeness = { .recycled = take_phrases(state, prompt) };

    take_shape(state, stratum, prompt, &likeness);
    count_prompt(state, prompt, &likeness);
    count_template(state, prompt, now);
    return likeness;
}
