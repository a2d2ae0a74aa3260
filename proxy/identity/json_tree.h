/* Small untrusted JSON texts (token headers, claims, key sets) as a tree. Strict RFC
 * 8259 in UTF-8. Refused besides: a member that an object has already (readers differ
 * in which one they take), the character U+0000 (C strings end there), lone surrogates,
 * and what exceeds the limits below. */
#ifndef ASSAY_IDENTITY_JSON_TREE_H
#define ASSAY_IDENTITY_JSON_TREE_H

#include "proxy/base/arena.h"

enum {
    JSON_TREE_DEPTH = 16,
    JSON_TREE_MEMBERS = 256, /* of one object */
    JSON_TREE_NODES = 8192
};

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_node {
    enum json_kind kind;
    struct span key;  /* of an object's member, escapes undone */
    struct span text; /* of a string, escapes undone; of a number, as written */
    const struct json_node *first, *next;
};

/* NULL for a text that is refused or does not fit into the arena. The tree lives as
 * long as the arena and borrows nothing from `text`. */
const struct json_node *json_tree_read(struct span text, struct arena *arena);

/* The member of an object; NULL if it has none, or for another kind or NULL. */
const struct json_node *json_member(const struct json_node *object, struct span key);

/* The text of a string; the empty span for everything else. */
struct span json_string(const struct json_node *node);

/* Walks "realm_access.team" down from an object. A member whose name is the whole rest
 * of the path wins, so that names with dots in them ("https://corp.example/team") can
 * be asked for. */
const struct json_node *json_at(const struct json_node *object, struct span path);

#endif
