#include "filters/json/scan_plan.h"

#include <limits.h>
#include <stdlib.h>

enum { KEYS_PER_NODE_MAX = 64 }; /* bits of `seen` */

/* A key step from one node to another, before the tables are laid out. */
struct edge {
    struct span key;
    uint16_t parent;
    uint16_t child;
    uint8_t ordinal;
};

struct builder {
    struct scan_node *nodes;
    size_t node_count;
    struct edge *edges;
    size_t edge_count;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);

    CHECK(memory != NULL);
    return memory;
}

/* At most this many nodes: every step begins at the front, after a '.' or
 * with a '['. */
static size_t count_steps(const struct scan_path *paths, size_t count)
{
    size_t steps = 0;

    for (size_t i = 0; i < count; i++) {
        steps++;
        for (const char *at = paths[i].path; *at != '\0'; at++) {
            steps += *at == '.' || *at == '[';
        }
    }
    return steps;
}

static uint16_t add_node(struct builder *builder)
{
    CHECK(builder->node_count < UINT16_MAX);
    return (uint16_t)builder->node_count++;
}

static uint16_t key_step(struct builder *builder, uint16_t parent, struct span key)
{
    struct edge *edge;
    unsigned siblings = 0;

    for (size_t i = 0; i < builder->edge_count; i++) {
        edge = &builder->edges[i];
        if (edge->parent == parent) {
            if (span_equal(edge->key, key)) {
                return edge->child;
            }
            siblings++;
        }
    }
    CHECK(key.len > 0 && key.len <= SCAN_TEXT_MAX && siblings < KEYS_PER_NODE_MAX);
    edge = &builder->edges[builder->edge_count++];
    *edge = (struct edge){ .key = key,
                           .parent = parent,
                           .child = add_node(builder),
                           .ordinal = (uint8_t)siblings };
    return edge->child;
}

static uint16_t element_step(struct builder *builder, uint16_t parent)
{
    struct scan_node *node = &builder->nodes[parent];

    if (node->element == NODE_NONE) {
        node->element = add_node(builder);
    }
    return node->element;
}

/* Everything below the parent and below itself. */
static uint16_t any_step(struct builder *builder, uint16_t parent)
{
    uint16_t any = add_node(builder);

    CHECK(builder->nodes[parent].any == NODE_NONE &&
          builder->nodes[parent].element == NODE_NONE);
    builder->nodes[parent].any = any;
    builder->nodes[parent].element = any;
    builder->nodes[any].any = any;
    builder->nodes[any].element = any;
    return any;
}

static void add_path(struct builder *builder, const struct scan_path *path)
{
    const char *at = path->path;
    uint16_t node = NODE_ROOT;
    unsigned steps = 0;

    while (*at != '\0') {
        if (*at == '[') {
            CHECK(at[1] == ']');
            node = element_step(builder, node);
            at += 2;
        } else {
            size_t len;

            at += *at == '.' && at != path->path;
            len = strcspn(at, ".[");
            node = len == 2 && memcmp(at, "**", 2) == 0
                       ? any_step(builder, node)
                       : key_step(builder, node, span_of(at, len));
            at += len;
        }
        steps++;
    }
    CHECK(steps <= SCAN_MATCH_MAX && !builder->nodes[node].wanted);
    CHECK(path->tag <= UINT16_MAX);
    builder->nodes[node].wanted = true;
    builder->nodes[node].strings = (uint8_t)path->strings;
    builder->nodes[node].tag = (uint16_t)path->tag;
}

static size_t children(const struct builder *builder, size_t node)
{
    size_t count = 0;

    for (size_t i = 0; i < builder->edge_count; i++) {
        count += builder->edges[i].parent == node;
    }
    return count;
}

/* How many keys, by the ends of each, would not stand where their hash says. */
static unsigned collisions(const uint32_t *ends, size_t count, unsigned factor,
                           unsigned mask)
{
    uint64_t taken[(UINT8_MAX + 1) / 64] = { 0 };
    unsigned found = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned at = scan_ends_hash(ends[i], factor) & mask;
        uint64_t bit = UINT64_C(1) << (at % 64);

        found += (taken[at / 64] & bit) != 0;
        taken[at / 64] |= bit;
    }
    return found;
}

/* The factor that lets most keys of a node be found at once. */
static uint8_t best_factor(const struct builder *builder, size_t node)
{
    unsigned mask = builder->nodes[node].mask, best = 1, least = UINT_MAX;
    uint32_t ends[KEYS_PER_NODE_MAX];
    size_t count = 0;

    for (size_t i = 0; i < builder->edge_count; i++) {
        const struct edge *edge = &builder->edges[i];

        if (edge->parent == node) {
            ends[count++] = scan_key_ends(edge->key.at, edge->key.len);
        }
    }
    for (unsigned factor = 1; factor <= UINT8_MAX && least > 0; factor += 2) {
        unsigned found = collisions(ends, count, factor, mask);

        if (found < least) {
            least = found;
            best = factor;
        }
    }
    return (uint8_t)best;
}

/* Gives each node with keys a table that is at most a quarter full, so that a key that
 * it is without mostly finds an empty slot; all others share the empty slot 0. */
static size_t lay_out_tables(struct builder *builder)
{
    size_t used = 1;

    for (size_t node = 0; node < builder->node_count; node++) {
        size_t keys = children(builder, node);
        size_t size = 1;

        if (keys == 0) {
            continue;
        }
        while (size < 4 * keys && size < UINT8_MAX) {
            size *= 2;
        }
        builder->nodes[node].slots = (uint32_t)used;
        builder->nodes[node].mask = (uint8_t)(size - 1);
        builder->nodes[node].factor = best_factor(builder, node);
        used += size;
    }
    return used;
}

static void fill_tables(struct scan_plan *plan, const struct builder *builder)
{
    char *key = plan->keys;

    for (size_t i = 0; i < builder->edge_count; i++) {
        const struct edge *edge = &builder->edges[i];
        const struct scan_node *parent = &plan->nodes[edge->parent];
        struct scan_slot *table = &plan->slots[parent->slots];
        uint32_t at = scan_key_hash(edge->key.at, edge->key.len, parent->factor);

        while (table[at & parent->mask].child != NODE_NONE) {
            at++;
        }
        memcpy(key, edge->key.at, edge->key.len);
        table[at & parent->mask] = (struct scan_slot){ .key = key,
                                                       .child = edge->child,
                                                       .len = (uint8_t)edge->key.len,
                                                       .ordinal = edge->ordinal };
        key += edge->key.len;
    }
}

struct scan_plan *scan_plan_new(const struct scan_path *paths, size_t count)
{
    size_t steps = count_steps(paths, count);
    size_t key_bytes = 0;
    struct builder builder = { .node_count = NODE_ROOT + 1 };
    struct scan_plan *plan = allocate(1, sizeof(*plan));

    builder.nodes = allocate(builder.node_count + steps, sizeof(*builder.nodes));
    builder.edges = allocate(steps, sizeof(*builder.edges));
    for (size_t i = 0; i < count; i++) {
        add_path(&builder, &paths[i]);
    }
    for (size_t i = 0; i < builder.edge_count; i++) {
        key_bytes += builder.edges[i].key.len;
    }
    builder.nodes = realloc(builder.nodes, builder.node_count * sizeof(*builder.nodes));
    CHECK(builder.nodes != NULL);
    plan->nodes = builder.nodes;
    plan->slots = allocate(lay_out_tables(&builder), sizeof(*plan->slots));
    plan->keys = allocate(key_bytes, 1);
    fill_tables(plan, &builder);
    free(builder.edges);
    return plan;
}

struct scan_plan *scan_plan_free(struct scan_plan *plan)
{
    if (plan != NULL) {
        free(plan->nodes);
        free(plan->slots);
        free(plan->keys);
        free(plan);
    }
    return NULL;
}
