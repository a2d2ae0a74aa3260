#include "filters/clients.h"

#include "config/nearest.h"
#include "config/tree.h"
#include "filters/json/scan.h"
#include "proxy/base/arena.h"
#include "proxy/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TABLE_BUDGET = 4 << 20,
    CLIENTS_MAX = 512,
    FIELDS_MAX = 48, /* different header fields that a table may name */
    USER_AGENT = 0   /* the first of them */
};

/* Header fields are named by their number in clients.fields, and every head is searched
 * for them once. */
struct condition {
    size_t field;
    struct span text; /* empty: the field is there */
    bool anywhere;
};

struct source {
    size_t field;
    struct scan_plan *member; /* NULL: the whole value */
};

struct conditions {
    struct condition *at;
    size_t count;
};

struct sources {
    struct source *at;
    size_t count;
};

struct client {
    const char *tool;
    struct conditions match, headless, interactive;
    struct sources version;
};

struct clients {
    struct arena_pool pool;
    struct arena arena;
    struct span fields[FIELDS_MAX];
    size_t field_count;
    struct client *rows;
    size_t count;
    struct sources session, agent, retry;
};

/* ---- reading the table -------------------------------------------------------------- */

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

static bool is_field_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
            c != '_') {
            return false;
        }
    }
    return name.len > 0;
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
    if (i == FIELDS_MAX) {
        error_add(reader->error, node->place, "more than %d different header fields",
                  (int)FIELDS_MAX);
        return USER_AGENT;
    }
    if (i == clients->field_count) {
        clients->fields[clients->field_count++] = name;
    }
    return i;
}

static void read_condition(struct reader *reader, const struct node *node,
                           struct condition *condition)
{
    struct span text = span_text(node->text);
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
    struct span text = span_text(node->text);
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

static void read_tool(struct reader *reader, const struct node *node, void *into)
{
    const char **tool = into;

    if (node->kind != NODE_SCALAR) {
        error_add(reader->error, node->place, "tool must be a text");
    } else if (strlen(node->text) >= sizeof(((struct claims *)NULL)->tool)) {
        error_add(reader->error, node->place,
                  "a tool's name has at most %zu characters",
                  sizeof(((struct claims *)NULL)->tool) - 1);
    } else {
        *tool = node->text;
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

static void read_client(struct reader *reader, const struct node *node,
                        struct client *client)
{
    static const struct key keys[] = {
        { "tool", offsetof(struct client, tool), read_tool },
        { "match", offsetof(struct client, match), read_conditions },
        { "version", offsetof(struct client, version), read_sources },
        { "headless", offsetof(struct client, headless), read_conditions },
        { "interactive", offsetof(struct client, interactive), read_conditions },
        { .name = NULL },
    };

    read_map(reader, node, "a client", keys, client);
    if (client->tool == NULL) {
        error_add(reader->error, node->place, "a client needs a tool");
        client->tool = "";
    }
    if (client->match.count == 0) {
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
    clients->rows = take(reader, node->count, sizeof(*clients->rows));
    for (const struct node *each = node->first; each != NULL; each = each->next) {
        read_client(reader, each, &clients->rows[clients->count++]);
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

/* The file's bytes in the arena; at is NULL if it cannot be read. */
static struct span read_file(struct reader *reader, const char *path)
{
    char *bytes = take(reader, TREE_SIZE_LIMIT, 1);
    FILE *file = fopen(path, "re");
    size_t len;

    if (file == NULL) {
        error_add(reader->error, (struct error_place){ .file = path }, "%s",
                  strerror(errno));
        return span_of(NULL, 0);
    }
    len = fread(bytes, 1, TREE_SIZE_LIMIT, file);
    if (ferror(file) != 0 || len == TREE_SIZE_LIMIT) {
        error_add(reader->error, (struct error_place){ .file = path },
                  "cannot be read, or is larger than %d bytes", (int)TREE_SIZE_LIMIT);
        bytes = NULL;
    }
    fclose(file);
    return span_of(bytes, bytes == NULL ? 0 : len);
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
    clients->fields[USER_AGENT] = SPAN("user-agent");
    clients->field_count = 1;
    if (path == NULL) {
        return clients;
    }
    text = read_file(&reader, path);
    if (text.at != NULL && tree_read(path, text, &clients->arena, &tree, error)) {
        read_table(&reader, &tree);
    }
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
            free_sources(&clients->rows[i].version);
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

/* ---- reading heads ------------------------------------------------------------------ */

/* The values of the fields that the table names; at is NULL where a field is absent. */
struct values {
    struct span at[FIELDS_MAX];
};

static void find_values(const struct clients *clients, const struct head *head,
                        struct values *values)
{
    memset(values, 0, sizeof(*values));
    for (size_t i = head->field_count; i > 0; i--) {
        const struct field *field = &head->fields[i - 1];

        for (size_t k = 0; k < clients->field_count; k++) {
            if (field->name.len == clients->fields[k].len &&
                span_equal_nocase(field->name, clients->fields[k])) {
                values->at[k] = field->value;
                break;
            }
        }
    }
}

/* Does it hold? *behind is what follows the text. */
static bool holds(const struct condition *condition, const struct values *values,
                  struct span *behind)
{
    struct span value = values->at[condition->field];

    if (value.at == NULL) {
        return false;
    }
    if (condition->anywhere) {
        const char *at =
            value.len == 0
                ? NULL
                : memmem(value.at, value.len, condition->text.at, condition->text.len);

        if (at == NULL) {
            return false;
        }
        value = span_after(value, (size_t)(at - value.at));
    } else if (!span_starts(value, condition->text)) {
        return false;
    }
    *behind = span_after(value, condition->text.len);
    return true;
}

static bool any_holds(const struct conditions *conditions, const struct values *values)
{
    struct span behind;

    for (size_t i = 0; i < conditions->count; i++) {
        if (holds(&conditions->at[i], values, &behind)) {
            return true;
        }
    }
    return false;
}

/* Stores a claim: printable ASCII, cut where too long. */
static void store_claim(char *array, size_t size, struct span value)
{
    size_t len = value.len < size ? value.len : size - 1;

    for (size_t i = 0; i < len; i++) {
        char c = value.at[i];

        array[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    array[len] = '\0';
}

static void member_seen(void *self, const struct scan_value *value)
{
    struct text *found = self;

    if (value->type == SCAN_STRING) {
        found->len = 0;
        text_put(found, value->text);
    }
}

/* The first of these sources that says something; the value may lie in `memory`. */
static struct span find_source(const struct sources *sources,
                               const struct values *values, struct text *memory)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->at[i];
        struct span value = values->at[source->field];

        if (value.at != NULL && source->member != NULL) {
            struct scan scan;

            memory->len = 0;
            scan_init(&scan, source->member, SCAN_TOLERANT);
            (void)scan_feed(&scan, value, member_seen, memory);
            value = text_span(memory);
        }
        if (value.len > 0) {
            return value;
        }
    }
    return span_of(NULL, 0);
}

/* "2.1.0 (external, cli)" is 2.1.0. */
static struct span first_word(struct span text)
{
    size_t len = 0;

    while (len < text.len && memchr(" /;,()", text.at[len], 6) == NULL) {
        len++;
    }
    return span_of(text.at, len);
}

static void store_version(const struct client *client, const struct values *values,
                          struct span behind, struct text *memory,
                          struct claims *claims)
{
    struct span version = find_source(&client->version, values, memory);

    store_claim(claims->tool_version, sizeof(claims->tool_version),
                first_word(version.len > 0 ? version : behind));
}

static bool recognise(const struct client *client, const struct values *values,
                      struct text *memory, struct claims *claims)
{
    for (size_t i = 0; i < client->match.count; i++) {
        const struct condition *condition = &client->match.at[i];
        struct span behind;

        if (!holds(condition, values, &behind)) {
            continue;
        }
        store_claim(claims->tool, sizeof(claims->tool), span_text(client->tool));
        if (condition->field != USER_AGENT) {
            behind = span_of(NULL, 0);
        }
        store_version(client, values, behind, memory, claims);
        if (any_holds(&client->headless, values)) {
            store_claim(claims->mode, sizeof(claims->mode), SPAN("headless"));
        } else if (any_holds(&client->interactive, values)) {
            store_claim(claims->mode, sizeof(claims->mode), SPAN("interactive"));
        }
        return true;
    }
    return false;
}

/* A program nobody knows goes by the product its User-Agent begins with. */
static void store_product(struct span agent, struct claims *claims)
{
    struct span product, rest;

    if (agent.at == NULL) {
        return;
    }
    product = first_word(agent);
    rest = span_after(agent, product.len);
    store_claim(claims->tool, sizeof(claims->tool), product);
    if (rest.len > 0 && rest.at[0] == '/') {
        store_claim(claims->tool_version, sizeof(claims->tool_version),
                    first_word(span_after(rest, 1)));
    }
}

void clients_claims(const struct clients *clients, const struct head *head,
                    struct claims *claims)
{
    char bytes[SCAN_TEXT_MAX];
    struct text memory = text_over(bytes, sizeof(bytes));
    struct values values;
    uint64_t retry;
    size_t i = 0;

    memset(claims, 0, sizeof(*claims));
    find_values(clients, head, &values);
    while (i < clients->count &&
           !recognise(&clients->rows[i], &values, &memory, claims)) {
        i++;
    }
    if (i == clients->count) {
        store_product(values.at[USER_AGENT], claims);
    }
    store_claim(claims->session, sizeof(claims->session),
                find_source(&clients->session, &values, &memory));
    store_claim(claims->agent, sizeof(claims->agent),
                find_source(&clients->agent, &values, &memory));
    if (span_decimal(find_source(&clients->retry, &values, &memory), &retry)) {
        claims->retry = retry < UINT32_MAX ? (uint32_t)retry : UINT32_MAX;
    }
}

/* ---- claims in bodies --------------------------------------------------------------- */

void clients_session(struct span value, struct claims *claims)
{
    if (claims->session[0] == '\0') {
        store_claim(claims->session, sizeof(claims->session), value);
    }
}

/* What follows the last `mark` in the value; false if it is not there. */
static bool behind_mark(struct span value, struct span mark, struct span *behind)
{
    bool found = false;

    while (value.len >= mark.len) {
        const char *at = memmem(value.at, value.len, mark.at, mark.len);

        if (at == NULL) {
            break;
        }
        value = span_after(value, (size_t)(at - value.at) + mark.len);
        *behind = value;
        found = true;
    }
    return found;
}

void clients_user(struct span value, struct claims *claims)
{
    struct span session;

    if (behind_mark(value, SPAN("\"session_id\":"), &session)) {
        while (session.len > 0 && (session.at[0] == ' ' || session.at[0] == '"')) {
            session = span_after(session, 1);
        }
        clients_session(span_of(session.at, span_find(session, '"')), claims);
    } else if (span_find(value, '"') == value.len &&
               behind_mark(value, SPAN("_session_"), &session)) {
        clients_session(session, claims);
    }
}
