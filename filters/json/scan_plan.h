/* A compiled plan: the trie of its paths, with a small open hash table of keys per node.
 * Private to the scanner. */
#ifndef ASSAY_FILTERS_JSON_SCAN_PLAN_H
#define ASSAY_FILTERS_JSON_SCAN_PLAN_H

#include "filters/json/scan.h"

enum {
    NODE_NONE, /* a value on no path */
    NODE_ROOT  /* the whole text */
};

struct scan_node {
    uint32_t slots;   /* where its key table begins */
    uint16_t mask;    /* size of the table, a power of two, less one */
    uint16_t element; /* the node of "[]", or NODE_NONE */
    unsigned tag;
    bool wanted; /* a path ends here */
    bool pieces;
};

struct scan_slot {
    const char *key;
    uint16_t child; /* NODE_NONE: the slot is empty */
    uint8_t len;
    uint8_t ordinal; /* among the keys of its node: a bit of `seen` */
};

struct scan_plan {
    struct scan_node *nodes;
    struct scan_slot *slots;
    char *keys;
};

static inline uint32_t scan_key_hash(const char *key, size_t len)
{
    return (uint32_t)(unsigned char)key[0] * 5 + (uint32_t)(unsigned char)key[len - 1] +
           (uint32_t)len * 3;
}

/* memcmp() without the call: keys are short and nearly always equal when asked. */
static inline bool scan_key_equal(const char *a, const char *b, size_t len)
{
    uint64_t front[2], back[2];

    if (len < sizeof(uint64_t) || len > 2 * sizeof(uint64_t)) {
        while (len > 0 && a[len - 1] == b[len - 1]) {
            len--;
        }
        return len == 0;
    }
    memcpy(&front[0], a, sizeof(uint64_t));
    memcpy(&front[1], b, sizeof(uint64_t));
    memcpy(&back[0], a + len - sizeof(uint64_t), sizeof(uint64_t));
    memcpy(&back[1], b + len - sizeof(uint64_t), sizeof(uint64_t));
    return front[0] == front[1] && back[0] == back[1];
}

/* The slot of a key below a node, or NULL. */
static inline const struct scan_slot *scan_plan_find(const struct scan_plan *plan,
                                                     unsigned node, const char *key,
                                                     size_t len)
{
    const struct scan_node *parent = &plan->nodes[node];
    const struct scan_slot *table = &plan->slots[parent->slots];
    uint32_t at;

    if (len == 0) {
        return NULL;
    }
    for (at = scan_key_hash(key, len);; at++) {
        const struct scan_slot *slot = &table[at & parent->mask];

        if (slot->child == NODE_NONE) {
            return NULL;
        }
        if (slot->len == len && scan_key_equal(slot->key, key, len)) {
            return slot;
        }
    }
}

#endif
