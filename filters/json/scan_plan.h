/* A compiled plan: the trie of its paths, with a small open hash table of keys per
 * node. Private to the scanner. */
#ifndef ASSAY_FILTERS_JSON_SCAN_PLAN_H
#define ASSAY_FILTERS_JSON_SCAN_PLAN_H

#include "filters/json/scan.h"
#include "filters/run.h"

enum {
    NODE_NONE, /* a value on no path */
    NODE_ROOT  /* the whole text */
};

struct scan_node {
    uint32_t slots; /* where its key table begins */
    uint16_t tag;
    uint16_t element; /* the node of "[]", or NODE_NONE */
    uint16_t any;     /* the node of keys that its table is without, or NODE_NONE */
    uint8_t mask;     /* size of the table, a power of two, less one */
    uint8_t factor;   /* of the hash of its keys */
    bool wanted;      /* a path ends here */
    uint8_t strings;  /* enum scan_strings */
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

static inline uint32_t scan_key_ends(const char *key, size_t len)
{
    return (uint32_t)(unsigned char)key[0] * 5 + (uint32_t)(unsigned char)key[len - 1] +
           (uint32_t)len * 3;
}

static inline uint32_t scan_ends_hash(uint32_t ends, uint32_t factor)
{
    return ends * factor >> 4;
}

static inline uint32_t scan_key_hash(const char *key, size_t len, uint32_t factor)
{
    return scan_ends_hash(scan_key_ends(key, len), factor);
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
    for (at = scan_key_hash(key, len, parent->factor);; at++) {
        const struct scan_slot *slot = &table[at & parent->mask];

        if (slot->child == NODE_NONE) {
            return NULL;
        }
        if (slot->len == len && run_equal(slot->key, key, len)) {
            return slot;
        }
    }
}

#endif
