/* What an identity's earlier prompts leave behind: their templates and some of their
 * phrases, in 16 bits each. */
#ifndef ASSAY_FILTERS_DETECT_PROMPTS_H
#define ASSAY_FILTERS_DETECT_PROMPTS_H

#include "filters/detect/identity_state.h"
#include "filters/detect/recall.h"

struct likeness {
    enum recalled shape; /* has its template come before? */
    bool elsewhere;      /* ... but only in the other stratum */
    bool at_once;        /* it is that of the prompt before */
    uint16_t known;      /* different prompts that came before */
    float recycled;      /* the share of its sampled phrases that came before */
    bool compared;       /* its words, with those of its stratum */
    bool topical;        /* they are the same over and over; if compared */
};

/* Is half of it made of what came before? */
bool is_near(const struct likeness *likeness);

/* How a prompt resembles the earlier ones; then takes it in. */
struct likeness prompts_take(struct identity_state *state, enum stratum stratum,
                             const struct prompt_sketch *prompt, uint32_t now);

/* The template that came most often; its count is 0 if there is none. */
const struct template_state *prompts_top(const struct identity_state *state);

#endif
