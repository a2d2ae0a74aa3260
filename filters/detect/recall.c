#include "filters/detect/recall.h"

uint16_t recall_fingerprint(uint64_t hash)
{
    /* The upper bits of a bottom-k value are small, so they are no fingerprint. */
    uint16_t fingerprint = (uint16_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 48);

    return fingerprint == 0 ? 1 : fingerprint;
}

/* Looks at all of it, so that the compiler makes it a few wide comparisons. */
static bool holds(const uint16_t *ring, unsigned size, uint16_t fingerprint)
{
    unsigned found = 0;

    for (unsigned i = 0; i < size; i++) {
        found |= ring[i] == fingerprint;
    }
    return found != 0;
}

static void push(uint16_t *ring, unsigned size, uint16_t *head, uint16_t fingerprint)
{
    ring[*head] = fingerprint;
    *head = (uint16_t)((*head + 1U) % size);
}

enum recalled recall_of(const struct recall *recall, uint16_t fingerprint)
{
    if (holds(recall->known, recall->known_size, fingerprint)) {
        return RECALLED_OFTEN;
    }
    return holds(recall->fresh, recall->fresh_size, fingerprint) ? RECALLED_ONCE
                                                                 : RECALLED_NEVER;
}

void recall_put(const struct recall *recall, uint16_t fingerprint)
{
    if (!holds(recall->fresh, recall->fresh_size, fingerprint)) {
        push(recall->fresh, recall->fresh_size, recall->fresh_head, fingerprint);
    } else if (!holds(recall->known, recall->known_size, fingerprint)) {
        push(recall->known, recall->known_size, recall->known_head, fingerprint);
    }
}
