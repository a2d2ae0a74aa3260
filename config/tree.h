/* The first pass: YAML text as a tree whose every node knows its place. Shape only;
 * what the values mean is value.c's. */
#ifndef ASSAY_CONFIG_TREE_H
#define ASSAY_CONFIG_TREE_H

#include "proxy/base/arena.h"
#include "proxy/base/error.h"
#include "proxy/base/span.h"

enum {
    TREE_SIZE_LIMIT = 1 << 20, /* bytes of a file */
    TREE_NODE_LIMIT = 1 << 17, /* of all kinds */
    TREE_DEPTH_LIMIT = 8       /* of nested maps and lists; the schema needs 5 */
};

enum node_kind {
    NODE_EMPTY, /* nothing was written, or "~" or "null" */
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAP
};

struct node {
    enum node_kind kind;
    struct error_place place;
    const char *text; /* of a scalar; no control characters within */
    const char *key;  /* of a map's member; NULL elsewhere */
    struct error_place key_place;
    struct node *parent;
    struct node *first, *last; /* members or elements, in the order of the file */
    struct node *next;
    size_t count;
};

struct tree {
    struct node *root;
    size_t node_count;
};

/* Reads one YAML document into `arena`. Refused, each with its place: anchors and
 * aliases (a few bytes would become gigabytes), tags, several documents, keys that are
 * not plain text, duplicate keys, control characters, and what exceeds the limits
 * above. false if the text cannot be read as a tree; if it can, mistakes may still have
 * been added. `name` outlives the tree and *error. */
bool tree_read(const char *name, struct span text, struct arena *arena,
               struct tree *tree, struct error *error) MUST_CHECK;

/* The member of a map by its key; NULL if it has none. `map` may be NULL. */
const struct node *node_member(const struct node *map, const char *key);

#endif
