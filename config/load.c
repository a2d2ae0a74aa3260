#include "config/load.h"

#include "config/nearest.h"
#include "config/tree.h"
#include "config/validate.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TREE_BUDGET = 64 << 20, /* bytes; TREE_NODE_LIMIT nodes and their text fit */
    CONFIG_BUDGET = 64 << 20,
    KEYS_TOLD = 120 /* characters of keys that may stand in a map, to whom finds none */
};

/* The second pass on its way through the rows. */
struct loader {
    struct loaded *loaded;
    struct value_reader values;
    struct error *error;
};

/* One map on its way into its struct. */
struct filling {
    const struct field_group *group;
    const struct node *map; /* NULL: not written, its defaults hold */
    struct error_place place;
    void *target;
};

static void fill_group(struct loader *loader, const struct filling *filling);

static void *take(struct loader *loader, size_t size)
{
    void *memory = arena_take(&loader->loaded->arena, size);

    if (memory == NULL) {
        error_add(loader->error, (struct error_place){ 0 },
                  "not enough memory for the configuration");
    }
    return memory;
}

static void note_place(struct loader *loader, const void *member,
                       struct error_place place)
{
    struct loaded *loaded = loader->loaded;

    CHECK(loaded->written_count < loaded->written_limit);
    loaded->written[loaded->written_count++] = (struct written){ member, place };
}

static const char *kind_name(enum node_kind kind)
{
    static const char *const names[] = { "nothing", "a single value", "a list",
                                         "a map of keys" };

    return names[kind];
}

static bool expect(struct loader *loader, const struct field *field,
                   const struct node *node, enum node_kind kind)
{
    if (node->kind == kind) {
        return true;
    }
    error_add(loader->error, node->place, "'%s' is %s; %s is wanted", field->key,
              kind_name(node->kind), kind_name(kind));
    return false;
}

static bool expect_count(struct loader *loader, const struct field *field,
                         const struct node *node)
{
    if (node->count < field->least) {
        error_add(loader->error, node->place, "'%s' needs at least %zu element%s",
                  field->key, (size_t)field->least, field->least == 1 ? "" : "s");
        return false;
    }
    if (node->count > field->most) {
        error_add(loader->error, node->place,
                  "'%s' has %zu elements; at most %zu are taken", field->key,
                  node->count, (size_t)field->most);
        return false;
    }
    return true;
}

static void fill_texts(struct loader *loader, const struct field *field,
                       const struct node *list, void *member)
{
    const char **texts;
    size_t count = 0;

    if (!expect(loader, field, list, NODE_LIST) || !expect_count(loader, field, list)) {
        return;
    }
    texts = take(loader, (list->count + 1) * sizeof *texts);
    if (texts == NULL) {
        return;
    }
    for (const struct node *node = list->first; node != NULL; node = node->next) {
        if (!expect(loader, field, node, NODE_SCALAR)) {
            continue;
        }
        texts[count] = value_element(&loader->values, field, node->text, node->place);
        if (texts[count] != NULL) {
            note_place(loader, &texts[count++], node->place);
        }
    }
    *(const char ***)member = texts;
}

/* A list whose elements are scalars that the setter of the row appends. */
static void fill_appended(struct loader *loader, const struct field *field,
                          const struct node *list, void *target)
{
    if (!expect(loader, field, list, NODE_LIST) || !expect_count(loader, field, list)) {
        return;
    }
    for (const struct node *node = list->first; node != NULL; node = node->next) {
        if (expect(loader, field, node, NODE_SCALAR)) {
            value_set(&loader->values, field, node->text, node->place, target);
        }
    }
}

static void fill_pairs(struct loader *loader, const struct field *field,
                       const struct node *map, void *target)
{
    const struct field text = { .type = FIELD_TEXT };
    void *member = (char *)target + field->offset;
    struct config_pair *pairs;
    size_t count = 0;

    if (!expect(loader, field, map, NODE_MAP) || !expect_count(loader, field, map)) {
        return;
    }
    pairs = take(loader, (map->count + 1) * sizeof *pairs);
    if (pairs == NULL) {
        return;
    }
    for (const struct node *node = map->first; node != NULL; node = node->next) {
        struct config_pair *pair = &pairs[count];

        if (!expect(loader, field, node, NODE_SCALAR)) {
            continue;
        }
        pair->place = node->key_place;
        pair->name = arena_copy(&loader->loaded->arena, span_text(node->key)).at;
        value_set(&loader->values, &text, node->text, node->place, &pair->value);
        count += pair->name != NULL && pair->value != NULL;
    }
    *(struct config_pair **)member = pairs;
    memcpy((char *)target + field->count_offset, &count, sizeof count);
}

/* Where an element's mistakes are told: at its name, if it has one. */
static struct error_place element_place(const struct node *node)
{
    return node->key == NULL ? node->place : node->key_place;
}

/* Notes an element's name and place in its struct, where its group wants them; false
 * (and told) without memory. */
static bool label_element(struct loader *loader, const struct field_group *group,
                          const struct node *node, char *element)
{
    struct error_place place = element_place(node);
    struct span name;

    if (group->place_offset != NO_OFFSET) {
        memcpy(element + group->place_offset, &place, sizeof place);
    }
    if (group->name_offset != NO_OFFSET) {
        name = arena_copy(&loader->loaded->arena, span_text(node->key));
        if (name.at == NULL) {
            error_add(loader->error, place, "does not fit into memory");
            return false;
        }
        memcpy(element + group->name_offset, &name.at, sizeof name.at);
    }
    return true;
}

static void fill_elements(struct loader *loader, const struct field *field,
                          const struct node *list, void *target)
{
    const struct field_group *group = field->group;
    char *elements;
    size_t count = 0;

    if (!expect(loader, field, list,
                field->type == FIELD_LIST ? NODE_LIST : NODE_MAP) ||
        !expect_count(loader, field, list)) {
        return;
    }
    elements = take(loader, (list->count + 1) * group->size);
    if (elements == NULL) {
        return;
    }
    /* Linked before they are filled, so that config_free() finds every secret. */
    memcpy((char *)target + field->offset, &elements, sizeof elements);
    for (const struct node *node = list->first; node != NULL; node = node->next) {
        char *element = elements + count++ * group->size;

        if (!label_element(loader, group, node, element)) {
            return;
        }
        memcpy((char *)target + field->count_offset, &count, sizeof count);
        fill_group(loader,
                   &(struct filling){ group, node, element_place(node), element });
    }
}

static void fill_absent(struct loader *loader, const struct field *field,
                        const struct filling *filling)
{
    if (field->type == FIELD_MAP) {
        fill_group(loader,
                   &(struct filling){ field->group, NULL, filling->place,
                                      (char *)filling->target + field->offset });
    } else if (field->required && filling->map != NULL) {
        error_add(loader->error, filling->place, "missing key '%s'", field->key);
    } else if (field->fallback != NULL) {
        value_set(&loader->values, field, field->fallback, filling->place,
                  filling->target);
    }
}

static void fill_written(struct loader *loader, const struct field *field,
                         const struct node *node, void *target)
{
    void *member = (char *)target + field->offset;

    if (field->type == FIELD_MAP) {
        fill_group(loader,
                   &(struct filling){ field->group, node, node->key_place, member });
        return;
    }
    if (node->kind == NODE_EMPTY) {
        error_add(loader->error, node->key_place, "'%s' has no value", field->key);
        return;
    }
    note_place(loader, member, node->place);
    if (field->type == FIELD_LIST || field->type == FIELD_NAMED) {
        fill_elements(loader, field, node, target);
    } else if (field->type == FIELD_PAIRS) {
        fill_pairs(loader, field, node, target);
    } else if (field->type == FIELD_WORDS || field->type == FIELD_NETWORKS) {
        fill_appended(loader, field, node, target);
    } else if (field->type == FIELD_TEXTS) {
        fill_texts(loader, field, node, member);
    } else if (expect(loader, field, node, NODE_SCALAR)) {
        value_set(&loader->values, field, node->text, node->place, target);
    }
}

/* "; here may stand a, b and c", where that is short enough to help; else "". */
static struct span keys_of(const struct field_group *group, char memory[KEYS_TOLD])
{
    struct text text = text_over(memory, KEYS_TOLD);

    text_put(&text, SPAN("; here may stand "));
    for (const struct field *field = group->fields; field->key != NULL; field++) {
        bool last = field[1].key == NULL;

        text_put(&text, field == group->fields ? SPAN("")
                        : last                 ? SPAN(" and ")
                                               : SPAN(", "));
        text_put(&text, span_text(field->key));
    }
    return text.full ? span_text("") : text_span(&text);
}

/* The first group in the order of the reference that has this key; NULL: none. */
static const struct field_group *group_with(const struct field_group *group,
                                            const char *key)
{
    const struct field_group *found = field_find(group, key) != NULL ? group : NULL;

    for (const struct field *field = group->fields; found == NULL && field->key != NULL;
         field++) {
        found = field->group == NULL ? NULL : group_with(field->group, key);
    }
    return found;
}

static void tell_unknown(struct loader *loader, const struct field_group *group,
                         const struct node *member)
{
    const struct field_group *elsewhere = group_with(&config_schema, member->key);
    struct nearest nearest = nearest_to(member->key);
    char memory[KEYS_TOLD];

    for (const struct field *field = group->fields; field->key != NULL; field++) {
        nearest_offer(&nearest, field->key);
    }
    if (nearest.word == NULL && elsewhere != NULL) {
        error_add(loader->error, member->key_place,
                  "unknown key '%.60s'; it is one of %s", member->key,
                  elsewhere->title == NULL ? "the file's own, at the left margin"
                                           : elsewhere->title);
    } else if (nearest.word == NULL) {
        struct span keys = keys_of(group, memory);

        error_add(loader->error, member->key_place, "unknown key '%.60s'%.*s",
                  member->key, (int)keys.len, keys.at);
    } else {
        error_add(loader->error, member->key_place,
                  "unknown key '%.60s'; did you mean '%s'?", member->key, nearest.word);
    }
}

static void fill_group(struct loader *loader, const struct filling *filling)
{
    const struct node *map = filling->map;

    if (map != NULL && map->kind != NODE_MAP && map->kind != NODE_EMPTY) {
        error_add(loader->error, map->place, "%s; a map of keys is wanted here",
                  kind_name(map->kind));
        return;
    }
    for (const struct node *member = map == NULL ? NULL : map->first; member != NULL;
         member = member->next) {
        if (field_find(filling->group, member->key) == NULL) {
            tell_unknown(loader, filling->group, member);
        }
    }
    for (const struct field *field = filling->group->fields; field->key != NULL;
         field++) {
        const struct node *member = node_member(map, field->key);

        if (member == NULL) {
            fill_absent(loader, field, filling);
        } else {
            fill_written(loader, field, member, filling->target);
        }
    }
}

static int compare_written(const void *a, const void *b)
{
    const struct written *left = a;
    const struct written *right = b;
    uintptr_t first = (uintptr_t)left->member;
    uintptr_t second = (uintptr_t)right->member;

    return (first > second) - (first < second);
}

struct error_place config_place(const struct config *config, const void *member,
                                struct error_place otherwise)
{
    const struct loaded *loaded = (const struct loaded *)config;
    struct written wanted = { .member = member };
    const struct written *found =
        loaded->written_count == 0
            ? NULL
            : bsearch(&wanted, loaded->written, loaded->written_count, sizeof wanted,
                      compare_written);

    return found == NULL ? otherwise : found->place;
}

/* The folder part of a file's name, with its final slash. */
static struct span folder_of(const char *name)
{
    const char *slash = strrchr(name, '/');

    return span_of(name, slash == NULL ? 0 : (size_t)(slash - name) + 1);
}

static void fill_config(struct loader *loader, const char *name,
                        const struct tree *tree)
{
    struct loaded *loaded = loader->loaded;

    loaded->config.file = name;
    loaded->written = take(loader, tree->node_count * sizeof *loaded->written);
    if (loaded->written == NULL) {
        return;
    }
    loaded->written_limit = tree->node_count;
    fill_group(loader,
               &(struct filling){
                   &config_schema, tree->root, { .file = name }, &loaded->config });
    qsort(loaded->written, loaded->written_count, sizeof *loaded->written,
          compare_written);
}

static struct loaded *loaded_new(void)
{
    struct loaded *loaded = calloc(1, sizeof *loaded);

    if (loaded != NULL) {
        arena_pool_init(&loaded->pool, 0);
        arena_init(&loaded->arena, &loaded->pool, CONFIG_BUDGET);
    }
    return loaded;
}

/* Passes two and three. */
static struct config *config_from_tree(const char *name, const struct tree *tree,
                                       const char *const *families,
                                       enum config_secrets secrets, struct error *error)
{
    struct loaded *loaded = loaded_new();
    struct loader loader = { .loaded = loaded, .error = error };
    struct validation validation = { families, secrets == CONFIG_WITH_SECRETS, error };

    if (loaded == NULL) {
        error_add(error, (struct error_place){ .file = name }, "not enough memory");
        return NULL;
    }
    loader.values =
        (struct value_reader){ &loaded->arena, folder_of(name), secrets, error };
    fill_config(&loader, name, tree);
    config_validate(&loaded->config, &validation);
    return &loaded->config;
}

static int compare_places(const void *a, const void *b)
{
    const struct error_place *left = &((const struct error_entry *)a)->place;
    const struct error_place *right = &((const struct error_entry *)b)->place;

    if (left->line != right->line) {
        return left->line < right->line ? -1 : 1;
    }
    return (left->column > right->column) - (left->column < right->column);
}

struct config *config_parse(const char *name, struct span text,
                            const char *const *families, enum config_secrets secrets,
                            struct error *error)
{
    size_t mistakes = error->count;
    struct config *config = NULL;
    struct arena_pool pool;
    struct arena arena;
    struct tree tree;

    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, TREE_BUDGET);
    if (tree_read(name, text, &arena, &tree, error)) {
        config = config_from_tree(name, &tree, families, secrets, error);
    }
    arena_done(&arena);
    arena_pool_done(&pool);
    if (error->count > mistakes) {
        /* An operator works through the file from its top, whatever pass found it. */
        qsort(error->entries + mistakes, error->count - mistakes,
              sizeof *error->entries, compare_places);
    }
    return error->count == mistakes ? config : config_free(config);
}

/* At most one byte more than a file may have: enough to see that it is too large. */
static bool read_file(FILE *file, char **text, size_t *len)
{
    size_t limit = TREE_SIZE_LIMIT + 1;

    *text = malloc(limit);
    if (*text == NULL) {
        return false;
    }
    *len = fread(*text, 1, limit, file);
    return ferror(file) == 0;
}

struct config *config_load(const char *path, const char *const *families,
                           enum config_secrets secrets, struct error *error)
{
    struct config *config = NULL;
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t len = 0;

    if (file == NULL || !read_file(file, &text, &len)) {
        error_add(error, (struct error_place){ .file = path }, "cannot be read: %s",
                  strerror(errno));
    } else {
        config = config_parse(path, span_of(text, len), families, secrets, error);
    }
    free(text);
    if (file != NULL) {
        fclose(file);
    }
    return config;
}

struct config *config_free(struct config *config)
{
    struct loaded *loaded = (struct loaded *)config;

    if (config == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < config->provider_count; i++) {
        secret_free(config->providers[i].secret);
    }
    secret_free(config->redis.password);
    for (size_t i = 0; i < config->webhook_count; i++) {
        secret_free(config->webhooks[i].secret);
    }
    for (size_t i = 0; i < config->admin_user_count; i++) {
        secret_free(config->admin_users[i].token);
    }
    arena_done(&loaded->arena);
    arena_pool_done(&loaded->pool);
    free(loaded);
    return NULL;
}
