#include "filters/detect/recall.h"

#include <stdbool.h>
#include <stddef.h>

/* A value's place: its bank of either ring. */
struct place {
    uint16_t *fresh;
    uint16_t *known;
    uint8_t *fresh_head;
    uint8_t *known_head;
    uint16_t fingerprint; /* never 0, which is a free entry */
};

static struct place place_of(const struct recall *recall, uint64_t hash)
{
    /* The upper bits of a bottom-k value are small, so they are no fingerprint. */
    uint64_t scattered = hash * UINT64_C(0x9e3779b97f4a7c15);
    size_t bank = scattered >> 40 & (RECALL_BANKS - 1);
    uint16_t fingerprint = (uint16_t)(scattered >> 48);

    return (struct place){
        .fresh = recall->fresh + bank * recall->fresh_size,
        .known = recall->known + bank * recall->known_size,
        .fresh_head = &recall->heads[bank],
        .known_head = &recall->heads[RECALL_BANKS + bank],
        .fingerprint = fingerprint == 0 ? 1 : fingerprint,
    };
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

static void push(uint16_t *ring, unsigned size, uint8_t *head, uint16_t fingerprint)
{
    ring[*head] = fingerprint;
    *head = (uint8_t)((*head + 1U) % size);
}

enum recalled recall_of(const struct recall *recall, uint64_t hash)
{
    struct place place = place_of(recall, hash);

    if (holds(place.known, recall->known_size, place.fingerprint)) {
        return RECALLED_OFTEN;
    }
    return holds(place.fresh, recall->fresh_size, place.fingerprint) ? RECALLED_ONCE
                                                                     : RECALLED_NEVER;
}

void recall_put(const struct recall *recall, uint64_t hash)
{
    struct place place = place_of(recall, hash);

    if (!holds(place.fresh, recall->fresh_size, place.fingerprint)) {
        push(place.fresh, recall->fresh_size, place.fresh_head, place.fingerprint);
    } else if (!holds(place.known, recall->known_size, place.fingerprint)) {
        push(place.known, recall->known_size, place.known_head, place.fingerprint);
    }
}
