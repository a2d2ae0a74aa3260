#include "config/tree.h"

#include <yaml.h>

#include <stdlib.h>

struct reader {
    yaml_parser_t parser;
    const char *name;
    struct span text; /* the whole file */
    struct arena *arena;
    struct error *error;
    struct node *root;
    struct node *open; /* the innermost map or list not yet ended */
    const char *key;   /* of the member whose value comes next; NULL: none yet */
    struct error_place key_place;
    size_t depth;
    size_t node_count;
    size_t document_count;
    bool done;
};

static struct error_place place_of(const struct reader *reader, yaml_mark_t mark)
{
    return (struct error_place){ .file = reader->name,
                                 .line = (unsigned)mark.line + 1,
                                 .column = (unsigned)mark.column + 1 };
}

static bool refuse(struct reader *reader, const yaml_event_t *event, const char *words)
{
    error_add(reader->error, place_of(reader, event->start_mark), "%s", words);
    return false;
}

static bool no_memory(struct reader *reader)
{
    error_add(reader->error, (struct error_place){ .file = reader->name },
              "not enough memory to read the file");
    return false;
}

/* Is a tab the first thing on this line (from 0) that is no space? */
static bool tab_begins(struct span text, size_t line)
{
    struct span rest = text, found = { 0 };

    for (size_t i = 0; i <= line; i++) {
        if (!span_next(&rest, '\n', &found)) {
            return false;
        }
    }
    while (found.len > 0 && found.at[0] == ' ') {
        found = span_after(found, 1);
    }
    return found.len > 0 && found.at[0] == '\t';
}

/* Where a byte stands that is no text, so that no mark tells it. */
static struct error_place place_at(const struct reader *reader, size_t offset)
{
    struct error_place place = { .file = reader->name, .line = 1, .column = 1 };

    for (size_t i = 0; i < offset && i < reader->text.len; i++) {
        bool ended = reader->text.at[i] == '\n';

        place.line += ended;
        place.column = ended ? 1 : place.column + 1;
    }
    return place;
}

static void tell_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t mark = parser->problem_mark;

    if (parser->error == YAML_MEMORY_ERROR) {
        no_memory(reader);
        return;
    }
    if (parser->error == YAML_READER_ERROR) {
        error_add(reader->error, place_at(reader, parser->problem_offset),
                  "not valid text: %s", parser->problem);
        return;
    }
    if (parser->error == YAML_SCANNER_ERROR && tab_begins(reader->text, mark.line)) {
        error_add(reader->error, place_of(reader, mark),
                  "not valid YAML: a tab; lines are indented with spaces");
        return;
    }
    error_add(reader->error, place_of(reader, mark), "not valid YAML: %s%s%s",
              parser->context == NULL ? "" : parser->context,
              parser->context == NULL ? "" : ", ",
              parser->problem == NULL ? "cannot be read" : parser->problem);
}

/* The scalar as a C string; NULL (and told) if it holds control characters. */
static const char *scalar_text(struct reader *reader, const yaml_event_t *event)
{
    struct span bytes =
        span_of((const char *)event->data.scalar.value, event->data.scalar.length);
    struct span copy;

    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.at[i];

        if (c < 0x20 || c == 0x7f) {
            refuse(reader, event, "a control character or line break in a value");
            return NULL;
        }
    }
    copy = arena_copy(reader->arena, bytes);
    if (copy.at == NULL) {
        no_memory(reader);
    }
    return copy.at;
}

static bool is_null(const yaml_event_t *event, const char *text)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (*text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static void link_node(struct reader *reader, struct node *node)
{
    struct node *parent = reader->open;

    node->parent = parent;
    if (parent == NULL) {
        reader->root = node;
        return;
    }
    node->key = reader->key;
    node->key_place = reader->key_place;
    reader->key = NULL;
    if (parent->last == NULL) {
        parent->first = node;
    } else {
        parent->last->next = node;
    }
    parent->last = node;
    parent->count++;
}

static struct node *add_node(struct reader *reader, const yaml_event_t *event,
                             enum node_kind kind)
{
    struct node *node;

    if (++reader->node_count > TREE_NODE_LIMIT) {
        refuse(reader, event, "too many values: the file is not read beyond this one");
        return NULL;
    }
    node = arena_take(reader->arena, sizeof *node);
    if (node == NULL) {
        no_memory(reader);
        return NULL;
    }
    node->kind = kind;
    node->place = place_of(reader, event->start_mark);
    link_node(reader, node);
    return node;
}

static bool wants_key(const struct reader *reader)
{
    return reader->open != NULL && reader->open->kind == NODE_MAP &&
           reader->key == NULL;
}

static bool on_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *text;
    struct node *node;

    if (event->data.scalar.anchor != NULL) {
        return refuse(reader, event, "anchors (&name) are not used here");
    }
    if (event->data.scalar.tag != NULL) {
        return refuse(reader, event, "tags (!name) are not used here");
    }
    text = scalar_text(reader, event);
    if (text == NULL) {
        return false;
    }
    if (wants_key(reader)) {
        reader->key = text;
        reader->key_place = place_of(reader, event->start_mark);
        return true;
    }
    node = add_node(reader, event, is_null(event, text) ? NODE_EMPTY : NODE_SCALAR);
    if (node == NULL) {
        return false;
    }
    node->text = text;
    return true;
}

static bool open_node(struct reader *reader, const yaml_event_t *event,
                      enum node_kind kind)
{
    struct node *node;

    if (wants_key(reader)) {
        return refuse(reader, event, "a key must be plain text");
    }
    if (++reader->depth > TREE_DEPTH_LIMIT) {
        return refuse(reader, event, "nested too deeply");
    }
    node = add_node(reader, event, kind);
    reader->open = node;
    return node != NULL;
}

static bool on_list(struct reader *reader, const yaml_event_t *event)
{
    if (event->data.sequence_start.anchor != NULL) {
        return refuse(reader, event, "anchors (&name) are not used here");
    }
    if (event->data.sequence_start.tag != NULL) {
        return refuse(reader, event, "tags (!name) are not used here");
    }
    return open_node(reader, event, NODE_LIST);
}

static bool on_map(struct reader *reader, const yaml_event_t *event)
{
    if (event->data.mapping_start.anchor != NULL) {
        return refuse(reader, event, "anchors (&name) are not used here");
    }
    if (event->data.mapping_start.tag != NULL) {
        return refuse(reader, event, "tags (!name) are not used here");
    }
    return open_node(reader, event, NODE_MAP);
}

/* By key, then by the order of the file. */
static int compare_members(const void *a, const void *b)
{
    const struct node *const *left = a;
    const struct node *const *right = b;
    const struct error_place *first = &(*left)->key_place;
    const struct error_place *second = &(*right)->key_place;
    int order = strcmp((*left)->key, (*right)->key);

    if (order != 0) {
        return order;
    }
    if (first->line != second->line) {
        return first->line < second->line ? -1 : 1;
    }
    return (first->column > second->column) - (first->column < second->column);
}

static void tell_duplicates(struct reader *reader, struct node **members, size_t count)
{
    size_t first = 0;

    for (size_t i = 1; i < count; i++) {
        if (strcmp(members[first]->key, members[i]->key) != 0) {
            first = i;
            continue;
        }
        error_add(reader->error, members[i]->key_place,
                  "duplicate key '%.60s'; it stands at line %u already",
                  members[i]->key, members[first]->key_place.line);
    }
}

static bool check_duplicates(struct reader *reader, const struct node *map)
{
    struct node **members;
    size_t count = 0;

    if (map->count < 2) {
        return true;
    }
    members = calloc(map->count, sizeof(struct node *));
    if (members == NULL) {
        return no_memory(reader);
    }
    for (struct node *member = map->first; member != NULL; member = member->next) {
        members[count++] = member;
    }
    qsort(members, count, sizeof(struct node *), compare_members);
    tell_duplicates(reader, members, count);
    free(members);
    return true;
}

static bool on_end(struct reader *reader)
{
    struct node *ended = reader->open;

    reader->open = ended->parent;
    reader->depth--;
    return ended->kind != NODE_MAP || check_duplicates(reader, ended);
}

static bool on_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++reader->document_count > 1) {
            return refuse(reader, event, "a second document; one file holds one");
        }
        return true;
    case YAML_SCALAR_EVENT:
        return on_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_list(reader, event);
    case YAML_MAPPING_START_EVENT:
        return on_map(reader, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(reader);
    case YAML_ALIAS_EVENT:
        return refuse(reader, event, "aliases (*name) are not used here");
    case YAML_STREAM_END_EVENT:
        reader->done = true;
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

static bool read_events(struct reader *reader)
{
    while (!reader->done) {
        yaml_event_t event;
        bool good;

        if (yaml_parser_parse(&reader->parser, &event) == 0) {
            tell_syntax(reader);
            return false;
        }
        good = on_event(reader, &event);
        yaml_event_delete(&event);
        if (!good) {
            return false;
        }
    }
    return true;
}

bool tree_read(const char *name, struct span text, struct arena *arena,
               struct tree *tree, struct error *error)
{
    struct reader reader = {
        .name = name, .text = text, .arena = arena, .error = error
    };
    bool good;

    if (text.len > TREE_SIZE_LIMIT) {
        error_add(error, (struct error_place){ .file = name }, "larger than %d bytes",
                  TREE_SIZE_LIMIT);
        return false;
    }
    if (yaml_parser_initialize(&reader.parser) == 0) {
        return no_memory(&reader);
    }
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.at,
                                 text.len);
    good = read_events(&reader);
    yaml_parser_delete(&reader.parser);
    if (good && reader.root == NULL) {
        error_add(error, (struct error_place){ .file = name }, "the file is empty");
        good = false;
    }
    *tree = (struct tree){ .root = reader.root, .node_count = reader.node_count };
    return good;
}

const struct node *node_member(const struct node *map, const char *key)
{
    const struct node *member = map == NULL ? NULL : map->first;

    while (member != NULL && (member->key == NULL || strcmp(member->key, key) != 0)) {
        member = member->next;
    }
    return member;
}
