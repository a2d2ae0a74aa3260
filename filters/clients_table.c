#include "filters/clients_table.h"

#include "config/nearest.h"
#include "config/tree.h"
#include "filters/table_file.h"

#include <stdlib.h>

enum { TABLE_BUDGET = 32 << 20, CLIENTS_MAX = 512 };

struct reader {
    struct clients *clients;
    struct error *error;
};

static void *take(struct reader *reader, size_t count, size_t size)
{
    void *memory = arena_take(&reader->clients->arena, count * size + 1);

    CHECK(memory != NULL); /* the file's size is bounded, and so is what comes of it */
    return memory;
}

/* Of a node that is_text_list() has passed. */
static struct span text_of(const struct node *node)
{
    CHECK(node->text != NULL);
    return span_text(node->text);
}

static bool is_field_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
            c != '_') {
            return false;
        }
    }
    return name.len > 0 && name.len <= CLIENTS_NAME_MAX;
}

/* Gives a field its number. */
static void add_field(struct clients *clients, struct span name)
{
    size_t number = clients->field_count++;

    clients->fields[number] = name;
    clients->older[number] = clients->newest_of_length[name.len];
    clients->newest_of_length[name.len] = (uint8_t)(number + 1);
}

/* The number of a field, which the table may name for the first time. */
static size_t read_field(struct reader *reader, const struct node *node,
                         struct span name)
{
    struct clients *clients = reader->clients;
    size_t i = 0;

    if (!is_field_name(name)) {
        error_add(reader->error, node->place,
                  "\"%.*s\" is no header field name in lower case", (int)name.len,
                  name.at);
    }
    while (i < clients->field_count && !span_equal(clients->fields[i], name)) {
        i++;
    }
    if (i == CLIENTS_FIELDS_MAX) {
        error_add(reader->error, node->place, "more than %d different header fields",
                  (int)CLIENTS_FIELDS_MAX);
        return CLIENTS_USER_AGENT;
    }
    if (i == clients->field_count) {
        add_field(clients, name);
    }
    return i;
}

static void read_condition(struct reader *reader, const struct node *node,
                           struct condition *condition)
{
    struct span text = text_of(node);
    size_t colon = span_find(text, ':');

    condition->field = read_field(reader, node, span_of(text.at, colon));
    if (colon == text.len) {
        return;
    }
    text = span_after(text, colon + 1);
    while (text.len > 0 && text.at[0] == ' ') {
        text = span_after(text, 1);
    }
    condition->anywhere = text.len > 0 && text.at[0] == '*';
    condition->text = span_after(text, condition->anywhere);
    if (condition->text.len == 0) {
        error_add(reader->error, node->place, "there is no text behind the colon");
    }
}

static void read_source(struct reader *reader, const struct node *node,
                        struct source *source)
{
    struct span text = text_of(node);
    size_t slash = span_find(text, '/');

    source->field = read_field(reader, node, span_of(text.at, slash));
    if (slash < text.len) {
        struct scan_path path = { text.at + slash + 1, 1, false };

        if (!is_field_name(span_text(path.path))) {
            error_add(reader->error, node->place, "\"%s\" is no member's name",
                      path.path);
        } else {
            source->member = scan_plan_new(&path, 1);
        }
    }
}

/* A list of texts; false (and a mistake) for anything else. */
static bool is_text_list(struct reader *reader, const struct node *node)
{
    if (node->kind != NODE_LIST) {
        error_add(reader->error, node->place, "%s must be a list", node->key);
        return false;
    }
    for (const struct node *each = node->first; each != NULL; each = each->next) {
        if (each->kind != NODE_SCALAR) {
            error_add(reader->error, each->place, "an element of %s must be a text",
                      node->key);
            return false;
        }
    }
    return true;
}

static void read_conditions(struct reader *reader, const struct node *node, void *into)
{
    struct conditions *list = into;

    if (!is_text_list(reader, node)) {
        return;
    }
    list->at = take(reader, node->count, sizeof(*list->at));
    for (const struct node *each = node->first; each != NULL; each = each->next) {
        read_condition(reader, each, &list->at[list->count++]);
    }
}

static void read_sources(struct reader *reader, const struct node *node, void *into)
{
    struct sources *list = into;

    if (!is_text_list(reader, node)) {
        return;
    }
    list->at = take(reader, node->count, sizeof(*list->at));
    for (const struct node *each = node->first; each != NULL; each = each->next) {
        read_source(reader, each, &list->at[list->count++]);
    }
}

static void read_name(struct reader *reader, const struct node *node, void *into)
{
    const char **name = into;

    if (node->kind != NODE_SCALAR) {
        error_add(reader->error, node->place, "tool must be a text");
    } else if (strlen(node->text) >= sizeof(((struct claims *)NULL)->tool)) {
        error_add(reader->error, node->place,
                  "a tool's name has at most %zu characters",
                  sizeof(((struct claims *)NULL)->tool) - 1);
    } else {
        *name = node->text;
    }
}

/* The keys of a map and what reads each into a struct. */
struct key {
    const char *name;
    size_t offset;
    void (*read)(struct reader *reader, const struct node *node, void *into);
};

static const struct key *find_key(const struct key *keys, const char *name)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) {
            return keys;
        }
    }
    return NULL;
}

static void tell_unknown(struct reader *reader, const struct key *keys,
                         const struct node *node)
{
    struct nearest nearest = nearest_to(node->key);

    for (; keys->name != NULL; keys++) {
        nearest_offer(&nearest, keys->name);
    }
    if (nearest.word != NULL) {
        error_add(reader->error, node->key_place, "unknown key %s; did you mean %s?",
                  node->key, nearest.word);
    } else {
        error_add(reader->error, node->key_place, "unknown key %s", node->key);
    }
}

static void read_map(struct reader *reader, const struct node *map, const char *what,
                     const struct key *keys, void *into)
{
    if (map->kind != NODE_MAP) {
        error_add(reader->error, map->place, "%s must be a map", what);
        return;
    }
    for (const struct node *each = map->first; each != NULL; each = each->next) {
        const struct key *key = find_key(keys, each->key);

        if (key == NULL) {
            tell_unknown(reader, keys, each);
        } else {
            key->read(reader, each, (char *)into + key->offset);
        }
    }
}

static void read_tool(struct reader *reader, const struct node *node, struct tool *tool)
{
    static const struct key keys[] = {
        { "tool", offsetof(struct tool, name), read_name },
        { "match", offsetof(struct tool, match), read_conditions },
        { "version", offsetof(struct tool, version), read_sources },
        { "headless", offsetof(struct tool, headless), read_conditions },
        { "interactive", offsetof(struct tool, interactive), read_conditions },
        { .name = NULL },
    };

    read_map(reader, node, "a client", keys, tool);
    if (tool->name == NULL) {
        error_add(reader->error, node->place, "a client needs a tool");
        tool->name = "";
    }
    if (tool->match.count == 0) {
        error_add(reader->error, node->place, "a client needs a condition in match");
    }
}

static void read_clients(struct reader *reader, const struct node *node, void *into)
{
    struct clients *clients = into;

    if (node->kind != NODE_LIST || node->count > CLIENTS_MAX) {
        error_add(reader->error, node->place,
                  "clients must be a list of at most %d clients", (int)CLIENTS_MAX);
        return;
    }
    clients->tools = take(reader, node->count, sizeof(*clients->tools));
    for (const struct node *each = node->first; each != NULL; each = each->next) {
        read_tool(reader, each, &clients->tools[clients->count++]);
    }
}

static void read_table(struct reader *reader, const struct tree *tree)
{
    static const struct key keys[] = {
        { "clients", 0, read_clients },
        { "session", offsetof(struct clients, session), read_sources },
        { "agent", offsetof(struct clients, agent), read_sources },
        { "retry", offsetof(struct clients, retry), read_sources },
        { .name = NULL },
    };

    read_map(reader, tree->root, "the file", keys, reader->clients);
}

struct clients *clients_load(const char *path, struct error *error)
{
    struct clients *clients = calloc(1, sizeof(*clients));
    struct reader reader = { clients, error };
    size_t mistakes = error->count;
    struct tree tree;
    struct span text;

    CHECK(clients != NULL);
    arena_pool_init(&clients->pool, 0);
    arena_init(&clients->arena, &clients->pool, TABLE_BUDGET);
    add_field(clients, SPAN("user-agent"));
    if (path == NULL) {
        return clients;
    }
    text = table_file_read(path, error);
    if (text.at != NULL && tree_read(path, text, &clients->arena, &tree, error)) {
        read_table(&reader, &tree);
    }
    table_file_free(text);
    return error->count == mistakes ? clients : clients_free(clients);
}

static void free_sources(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        sources->at[i].member = scan_plan_free(sources->at[i].member);
    }
}

struct clients *clients_free(struct clients *clients)
{
    if (clients != NULL) {
        for (size_t i = 0; i < clients->count; i++) {
            free_sources(&clients->tools[i].version);
        }
        free_sources(&clients->session);
        free_sources(&clients->agent);
        free_sources(&clients->retry);
        arena_done(&clients->arena);
        arena_pool_done(&clients->pool);
        free(clients);
    }
    return NULL;
}
