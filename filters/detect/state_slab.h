/* Room for states that are kept whole, taken from the system many at a time: a state that
 * grows does not wait for fresh pages one by one. What is given back serves the next; all
 * of it is held until the end, beyond the table's bound if packed states took its place. */
#ifndef ASSAY_FILTERS_DETECT_STATE_SLAB_H
#define ASSAY_FILTERS_DETECT_STATE_SLAB_H

#include "filters/detect/identity_state.h"

/* All zero at first. */
struct state_slab {
    union slab_state *unused;
    struct slab_block *blocks;
};

/* Uninitialized; NULL without memory. */
struct identity_state *state_slab_take(struct state_slab *slab);
void state_slab_give(struct state_slab *slab, struct identity_state *state);
void state_slab_free(struct state_slab *slab);

#endif
