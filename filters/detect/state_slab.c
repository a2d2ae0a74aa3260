#include "filters/detect/state_slab.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_SIZE = 64 * 1024,
    BLOCK_STATES = BLOCK_SIZE / sizeof(struct identity_state)
};

union slab_state {
    struct identity_state state;
    union slab_state *next; /* while it is unused */
};

struct slab_block {
    struct slab_block *next;
    union slab_state states[BLOCK_STATES];
};

static bool add_block(struct state_slab *slab)
{
    struct slab_block *block = malloc(sizeof *block);

    if (block == NULL) {
        return false;
    }
    memset(block, 0, sizeof *block); /* touches its pages */
    block->next = slab->blocks;
    slab->blocks = block;
    for (unsigned i = 0; i < BLOCK_STATES; i++) {
        block->states[i].next = slab->unused;
        slab->unused = &block->states[i];
    }
    return true;
}

struct identity_state *state_slab_take(struct state_slab *slab)
{
    union slab_state *taken;

    if (slab->unused == NULL && !add_block(slab)) {
        return NULL;
    }
    taken = slab->unused;
    slab->unused = taken->next;
    return &taken->state;
}

void state_slab_give(struct state_slab *slab, struct identity_state *state)
{
    union slab_state *given = (union slab_state *)state;

    given->next = slab->unused;
    slab->unused = given;
}

void state_slab_free(struct state_slab *slab)
{
    while (slab->blocks != NULL) {
        struct slab_block *block = slab->blocks;

        slab->blocks = block->next;
        free(block);
    }
    slab->unused = NULL;
}
