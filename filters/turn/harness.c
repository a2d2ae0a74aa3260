#include "filters/turn/harness.h"

#include "config/nearest.h"
#include "config/tree.h"
#include "filters/table_file.h"

#include <stdlib.h>

enum { TABLE_BUDGET = 32 << 20 };

struct entries {
    struct span *at;
    size_t count;
};

struct harness {
    struct arena_pool pool;
    struct arena arena;
    struct entries lists[HARNESS_LISTS];
};

static const char *const list_names[HARNESS_LISTS] = {
    [HARNESS_TEXT] = "text",
    [HARNESS_SYSTEM] = "system",
    [HARNESS_VOLATILE] = "volatile",
};

static void read_entry(const struct node *node, struct entries *entries,
                       struct error *error)
{
    struct span text = span_trim(span_text(node->text == NULL ? "" : node->text));

    if (node->kind != NODE_SCALAR || text.len == 0 || text.len > HARNESS_FRONT) {
        error_add(error, node->place, "an entry must be a text of 1 to %d characters",
                  (int)HARNESS_FRONT);
    } else {
        entries->at[entries->count++] = text;
    }
}

static void read_list(struct harness *harness, const struct node *node,
                      struct entries *entries, struct error *error)
{
    if (node->kind != NODE_LIST && node->kind != NODE_EMPTY) {
        error_add(error, node->place, "%s must be a list", node->key);
        return;
    }
    entries->at = arena_take(&harness->arena, node->count * sizeof(*entries->at) + 1);
    CHECK(entries->at != NULL); /* the file's size is bounded, and so is this */
    for (const struct node *each = node->first; each != NULL; each = each->next) {
        read_entry(each, entries, error);
    }
}

static void read_member(struct harness *harness, const struct node *node,
                        struct error *error)
{
    struct nearest nearest = nearest_to(node->key);

    for (unsigned i = 0; i < HARNESS_LISTS; i++) {
        if (strcmp(node->key, list_names[i]) == 0) {
            read_list(harness, node, &harness->lists[i], error);
            return;
        }
        nearest_offer(&nearest, list_names[i]);
    }
    if (nearest.word != NULL) {
        error_add(error, node->key_place, "unknown key %s; did you mean %s?", node->key,
                  nearest.word);
    } else {
        error_add(error, node->key_place, "unknown key %s", node->key);
    }
}

static void read_table(struct harness *harness, const struct tree *tree,
                       struct error *error)
{
    if (tree->root->kind != NODE_MAP) {
        error_add(error, tree->root->place, "the file must be a map");
        return;
    }
    for (const struct node *each = tree->root->first; each != NULL; each = each->next) {
        read_member(harness, each, error);
    }
}

struct harness *harness_load(const char *path, struct error *error)
{
    struct harness *harness = calloc(1, sizeof(*harness));
    size_t mistakes = error->count;
    struct tree tree;
    struct span text;

    CHECK(harness != NULL);
    arena_pool_init(&harness->pool, 0);
    arena_init(&harness->arena, &harness->pool, TABLE_BUDGET);
    if (path == NULL) {
        return harness;
    }
    text = table_file_read(path, error);
    if (text.at != NULL && tree_read(path, text, &harness->arena, &tree, error)) {
        read_table(harness, &tree, error);
    }
    table_file_free(text);
    return error->count == mistakes ? harness : harness_free(harness);
}

struct harness *harness_free(struct harness *harness)
{
    if (harness != NULL) {
        arena_done(&harness->arena);
        arena_pool_done(&harness->pool);
        free(harness);
    }
    return NULL;
}

bool harness_knows(const struct harness *harness, enum harness_list list,
                   struct span front)
{
    const struct entries *entries = &harness->lists[list];

    while (front.len > 0 && memchr(" \t\r\n", front.at[0], 4) != NULL) {
        front = span_after(front, 1);
    }
    for (size_t i = 0; i < entries->count; i++) {
        if (span_starts(front, entries->at[i])) {
            return true;
        }
    }
    return false;
}
